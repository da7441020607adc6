//! A log of some length: a start, the disk, and the verifier.

use std::path::Path;
use std::time::{Duration, Instant};

use tests::{Process, Service, dragons};

use crate::limits::Limits;
use crate::load::{Load, Request, Took};
use crate::table::{line, per_entry, rate, rated};
use crate::{BATCH_CONNECTIONS, LINES, post, records};

/// How many records are signed and sent at a time, so that they need not be held all at once.
const PART: usize = 20_000;

/// How many leaves are read to know how long one is.
const SAMPLES: u64 = 200;

/// How long a log is at a start.
fn leaves() -> u64 {
    let given = std::env::var("DRAGONS_BENCH_LEAVES");
    given.map_or(100_000, |text| text.parse().expect("a number"))
}

pub(crate) fn run(service: &mut Service, limits: &Limits) {
    fill(service);
    let (size, peak) = (service.size(), service.process().resident_bytes());
    line("leaves", &format!("{size:9}"));
    line("  memory of the service", &format!("{:9} MiB", peak >> 20));
    verify(service, limits);
    let leaf = leaf_bytes(service);
    assert!(service.stop().success());
    let stored = bytes_below(&service.data());
    let beyond = stored as f64 / size as f64 - leaf;
    line("  bytes of a leaf", &format!("{leaf:9.0}"));
    line(
        "  bytes on the disk beyond the leaf",
        &format!("{beyond:9.0}"),
    );
    let began = Instant::now();
    service.start();
    line(
        "  a start, until it answers",
        &format!("{:9.3} s", began.elapsed().as_secs_f64()),
    );
}

/// By batches; the last of these say what an entry costs in a log that long.
fn fill(service: &Service) {
    let signer = service.signer();
    let mut part = 0;
    while service.size() < leaves() {
        let took = batch(service, &records(&signer, &format!("part-{part}"), PART));
        part += 1;
        if service.size() >= leaves() {
            rate("entries a second at this length", PART, took.all);
            per_entry(&took, PART);
        }
    }
}

fn batch(service: &Service, records: &[ledger::record::SignedRecord]) -> Took {
    let lines: Vec<String> = records.iter().map(|it| it.envelope().to_json()).collect();
    let bodies = lines.chunks(LINES).map(|lines| lines.join("\n"));
    let posts = bodies.map(|body| post("/v1/entries", "application/x-ndjson", &body));
    Load::on(service, BATCH_CONNECTIONS).send(posts.collect())
}

/// `dragons verify` of the whole log, by one thread and by all.
fn verify(service: &Service, limits: &Limits) {
    let pack = service.scratch("whole.pack.jsonl");
    let trust = service.trust();
    let words = |words: &[&str]| -> Duration {
        let mut command = dragons().command();
        let command = command.args(words).arg("--trust").arg(&trust);
        let began = Instant::now();
        let output = command.arg("--server").arg(service.url()).output();
        let output = output.expect("the command runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        began.elapsed()
    };
    let pack = pack.to_str().expect("UTF-8");
    words(&["export", "-o", pack]);
    let count = usize::try_from(service.size()).expect("leaves in memory");
    for (what, threads) in [
        ("dragons verify, one thread", &["--threads", "1"][..]),
        ("dragons verify, a thread for each core", &[]),
    ] {
        let before = Process::children_worked();
        let all = words(&[&["verify", pack], threads].concat());
        let worked = Process::children_worked() - before;
        let took = Took {
            all,
            worked,
            ..Took::default()
        };
        rated(
            what,
            count,
            &took,
            &[("verify_strict of a core", limits.verified_a_second)],
        );
        let each = worked.as_secs_f64() * 1e6 / count as f64;
        line("  processor time a leaf", &format!("{each:9.1} µs"));
    }
}

fn leaf_bytes(service: &Service) -> f64 {
    let size = service.size();
    let path = |n: u64| format!("/v1/entries/{}", (n * 7919 + size / 2) % size);
    let request = |n| Request::leaf(&path(n));
    let took = Load::on(service, 1).send((0..SAMPLES).map(request).collect());
    let bytes: usize = took.bodies.iter().map(Vec::len).sum();
    bytes as f64 / SAMPLES as f64
}

/// What the files in a folder and below it have in bytes.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let of = |entry: std::fs::DirEntry| {
        let kind = entry.metadata().expect("a file");
        if kind.is_dir() {
            bytes_below(&entry.path())
        } else {
            kind.len()
        }
    };
    entries.map(|entry| of(entry.expect("a file"))).sum()
}
