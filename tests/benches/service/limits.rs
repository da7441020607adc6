//! What this machine can do at most, measured in the same run.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ledger::digest::Digest;
use ledger::key::PrivateKey;
use tests::Service;

use crate::CONNECTIONS;
use crate::load::{Load, Request};
use crate::table::{a_second, latencies, line};

/// How often each is tried.
const SYNCS: usize = 1_000;
const SIGNATURES: usize = 10_000;
const HASHED: usize = 2_000;
const REQUESTS: usize = 50_000;

/// How long what is signed in a record is, about.
const SIGNED_BYTES: usize = 500;

pub(crate) struct Limits {
    /// How long an `fdatasync` of a kilobyte took with nothing else under way.
    pub(crate) synced: Vec<Duration>,
    /// With all cores at work.
    synced_busy: Vec<Duration>,
    /// Strict Ed25519 verifications a second of a core.
    pub(crate) verified_a_second: f64,
    hashed_a_second: f64,
    /// Requests a second that a server answers which does nothing.
    pub(crate) requests_a_second: f64,
    own_empty_handler: f64,
}

impl Limits {
    pub(crate) fn measured(service: &Service) -> Self {
        Self {
            synced: syncs(service),
            synced_busy: while_all_cores_work(|| syncs(service)),
            verified_a_second: verifications(),
            hashed_a_second: hashes(),
            requests_a_second: empty_handler(),
            own_empty_handler: requests(&Load::on(service, CONNECTIONS), "/healthz"),
        }
    }

    pub(crate) fn print(&self) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        line("cores", &format!("{cores:9}"));
        latencies("fdatasync of 1 KiB", &self.synced);
        latencies("fdatasync of 1 KiB, all cores at work", &self.synced_busy);
        let rates = [
            ("verify_strict of a core", self.verified_a_second, "/s"),
            ("SHA-256 of a core", self.hashed_a_second / 1e6, " MB/s"),
            ("HTTP of an empty handler", self.requests_a_second, "/s"),
            ("GET /healthz of the service", self.own_empty_handler, "/s"),
        ];
        for (what, rate, unit) in rates {
            line(what, &format!("{rate:9.0}{unit}"));
        }
    }
}

fn syncs(service: &Service) -> Vec<Duration> {
    let mut file = File::create(service.scratch("sync")).expect("a file");
    let mut sync = || {
        file.write_all(&[0; 1024]).expect("room on the disk");
        let began = Instant::now();
        file.sync_data().expect("a disk that syncs");
        began.elapsed()
    };
    (0..SYNCS).map(|_| sync()).collect()
}

fn while_all_cores_work<T>(work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    black_box(Digest::of(&[black_box(&[0; 4096])]));
                }
            });
        }
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        done
    })
}

/// How long a core has worked for this thread.
fn worked() -> Duration {
    let stat = tests::read(std::path::Path::new("/proc/thread-self/schedstat"));
    let nanoseconds = stat
        .split_whitespace()
        .next()
        .and_then(|it| it.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

fn verifications() -> f64 {
    let key = PrivateKey::from_seed(&[9; 32]);
    let message = [7; SIGNED_BYTES];
    let (signature, public) = (key.sign(&message), key.public());
    let began = worked();
    for _ in 0..SIGNATURES {
        assert!(public.verifies(black_box(&message), black_box(&signature)));
    }
    a_second(SIGNATURES, worked() - began)
}

fn hashes() -> f64 {
    const BYTES: usize = 64 * 1024;
    let began = worked();
    for _ in 0..HASHED {
        black_box(Digest::of(&[black_box(&[0; BYTES])]));
    }
    a_second(HASHED * BYTES, worked() - began)
}

/// A server that reads the head of a request and answers, a thread for each connection.
fn empty_handler() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    requests(&Load::at(&address, CONNECTIONS), "/")
}

fn answer(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("a socket");
    let mut requests = BufReader::new(stream.try_clone().expect("a socket"));
    let mut line = String::new();
    while requests.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line == "\r\n" {
            let taken = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            if taken.is_err() {
                return;
            }
        }
        line.clear();
    }
}

fn requests(load: &Load, path: &str) -> f64 {
    let took = load.send(vec![Request::get(path); REQUESTS]);
    a_second(REQUESTS, took.all)
}
