//! Figures of the real service, in release: `make bench`. It prints and judges nothing.
//!
//! Latencies stand beside the `fdatasync` of the same run, since a durable answer cannot be
//! faster than the disk.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use ledger::key::PrivateKey;
use tests::{Service, Signer};

/// How many records go one by one.
const SINGLE: usize = 2_000;

/// How many records go in bodies of many lines.
const BATCHED: usize = 100_000;

/// The most lines that the service takes in one body.
const LINES: usize = 4_096;

fn main() {
    let mut service = Service::unlimited(&[]);
    let signer = service.signer();
    service.log(&signer.registration("a", &PrivateKey::from_seed(&[5; 32])));
    latencies("fdatasync of 1 KiB", &syncs(&service));
    latencies(
        "one record, durable and proven",
        &one_by_one(&service, &signer),
    );
    batches(&service, &signer);
    latencies("an inclusion proof", &proofs(&service));
    restart(&mut service);
}

fn latencies(what: &str, samples: &[Duration]) {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    let at = |share: usize| samples[(samples.len() - 1) * share / 100].as_secs_f64() * 1e3;
    let (p50, p99) = (at(50), at(99));
    println!(
        "{what:<34} p50 {p50:7.3} ms   p99 {p99:7.3} ms   of {}",
        samples.len()
    );
}

fn rate(what: &str, count: u64, took: Duration) {
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64();
    println!(
        "{what:<34} {rate:9.0}/s   {count} in {:.2} s",
        took.as_secs_f64()
    );
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn syncs(service: &Service) -> Vec<Duration> {
    let mut file = File::create(service.scratch("sync")).expect("a file");
    let mut sync = || {
        file.write_all(&[0; 1024]).expect("room on the disk");
        timed(|| file.sync_data().expect("a disk that syncs"))
    };
    (0..SINGLE).map(|_| sync()).collect()
}

fn one_by_one(service: &Service, signer: &Signer) -> Vec<Duration> {
    let record = |n: usize| signer.observation("a", &format!("single-{n}"));
    let records: Vec<_> = (0..SINGLE).map(record).collect();
    records
        .iter()
        .map(|record| timed(|| service.log(record)))
        .collect()
}

fn batches(service: &Service, signer: &Signer) {
    let line = |n: usize| {
        signer
            .observation("a", &format!("line-{n}"))
            .envelope()
            .to_json()
    };
    let lines: Vec<String> = (0..BATCHED).map(line).collect();
    let took = timed(|| {
        for body in lines.chunks(LINES) {
            assert_eq!(service.post_lines(body).status, 200);
        }
    });
    rate("records in bodies of 4,096 lines", BATCHED as u64, took);
}

fn proofs(service: &Service) -> Vec<Duration> {
    let size = service.size();
    let path = |n: u64| format!("/v1/entries/{}/proof", n * 7919 % size);
    let fetch = |n| timed(|| assert_eq!(service.get(&path(n)).status, 200));
    (0..SINGLE as u64).map(fetch).collect()
}

fn restart(service: &mut Service) {
    let size = service.size();
    assert!(service.stop().success());
    rate(
        "leaves found again at a start",
        size,
        timed(|| service.start()),
    );
}
