//! Figures of the real service, in release: `make bench`. It prints and judges nothing.
//!
//! The same run measures what the machine can do at most (`limits.rs`), and each figure is printed beside its limit: the
//! disk bounds a durable answer, and the processor bounds the signatures. The load comes from this program, on the same
//! cores (`load.rs`). `docs/performance.md` says what each line means.
//!
//! `DRAGONS_BENCH_LEAVES` is how long the log is at a start: 100,000 unless it says otherwise. Words behind `--` choose
//! parts: `alone`, `singles`, `batches`, `reads`, `long`.

mod limits;
mod load;
mod long;
mod nginx;
mod table;

use ledger::key::PrivateKey;
use ledger::record::SignedRecord;
use tests::{Service, Signer};
use tlog::policy::Policy;
use tlog::proof::ProofFile;

use crate::limits::Limits;
use crate::load::{Load, Request, Took};
use crate::nginx::Nginx;
use crate::table::{latencies, line, per_entry, rate, rated};

/// How many records go one by one, each when the one before it is answered.
const ALONE: usize = 2_000;

/// How many go one by one over many connections, and over how many.
const SINGLE: usize = 20_000;
const CONNECTIONS: usize = 256;

/// How many go in bodies of many lines, how many lines, and over how many connections.
const BATCHED: usize = 100_000;
const LINES: usize = 2_000;
const BATCH_CONNECTIONS: usize = 4;

/// How many tiles are read, and over how many connections.
const READS: usize = 20_000;
const READERS: usize = 16;

fn main() {
    // Both programs are built before anything is measured.
    tests::dragons();
    let mut service = Service::unlimited(&[]);
    let signer = service.signer();
    service.log(&signer.registration("a", &PrivateKey::from_seed(&[5; 32])));
    let limits = Limits::measured(&service);
    limits.print();
    if is_chosen("alone") {
        alone(&service, &signer, &limits);
    }
    if is_chosen("singles") {
        singles(&service, &signer, &limits);
    }
    if is_chosen("batches") {
        batches(&service, &signer, &limits);
    }
    if is_chosen("reads") {
        reads(&service, &limits);
    }
    if is_chosen("long") {
        long::run(&mut service, &limits);
    }
}

/// Whether a part is to run: all do if none is named. What begins with a dash is cargo's.
fn is_chosen(part: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|it| !it.starts_with('-'));
    let first = named.next();
    first.is_none_or(|first| first == part || named.any(|it| it == part))
}

/// Records by an observer, each of its own.
fn records(signer: &Signer, what: &str, count: usize) -> Vec<SignedRecord> {
    let record = |n: usize| signer.observation("a", &format!("{what}-{n}"));
    (0..count).map(record).collect()
}

fn post(path: &str, kind: &str, body: &str) -> Request {
    Request::post(path, kind, body.as_bytes())
}

fn alone(service: &Service, signer: &Signer, limits: &Limits) {
    let records = records(signer, "alone", ALONE);
    let posts = records.iter().map(|record| {
        let body = record.envelope().to_json();
        post("/v1/entries", "application/json", &body)
    });
    let took = Load::on(service, 1).send(posts.collect());
    latencies("one post at a time, durable and proven", &took.each);
    let over = |share| table::at(&took.each, share).saturating_sub(table::at(&limits.synced, 500));
    let (p50, p99) = (over(500).as_secs_f64() * 1e3, over(990).as_secs_f64() * 1e3);
    line(
        "  beyond one fdatasync",
        &format!("p50 {p50:7.3} ms   p99 {p99:7.3} ms"),
    );
}

fn singles(service: &Service, signer: &Signer, limits: &Limits) {
    for (what, path) in [
        ("single posts with proof", "/v1/entries"),
        ("single posts without proof", "/v1/entries?proof=false"),
    ] {
        let records = records(signer, what, SINGLE);
        let posts = records.iter().map(|record| {
            let body = record.envelope().to_json();
            post(path, "application/json", &body)
        });
        let load = Load::on(service, CONNECTIONS);
        let took = load.send(posts.collect());
        let title = format!("{what}, {CONNECTIONS} connections");
        rated(
            &title,
            SINGLE,
            &took,
            &[("HTTP of an empty handler", limits.requests_a_second)],
        );
        per_entry(&took, SINGLE);
        latencies("  an answer", &took.each);
        if !path.contains("proof=false") {
            check_proofs(&took, &service.policy());
        }
    }
}

/// Each answer has a proof that verifies. This is done when the time is taken.
fn check_proofs(took: &Took, policy: &Policy) {
    for body in &took.bodies {
        let answer: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let proof = answer["proof"].as_str().expect("a proof");
        let proof = ProofFile::parse(proof).expect("a proof file");
        let leaf = proof.extra.clone().expect("the leaf");
        proof.verify(&leaf, policy).expect("a proof that holds");
    }
    line("  proofs verified", &took.bodies.len().to_string());
}

fn batches(service: &Service, signer: &Signer, limits: &Limits) {
    let lines: Vec<String> = records(signer, "line", BATCHED)
        .iter()
        .map(|record| record.envelope().to_json())
        .collect();
    let bodies = lines.chunks(LINES).map(|lines| lines.join("\n"));
    let posts = bodies.map(|body| post("/v1/entries", "application/x-ndjson", &body));
    let took = Load::on(service, BATCH_CONNECTIONS).send(posts.collect());
    let title = format!("bodies of {LINES} lines, {BATCH_CONNECTIONS} connections");
    rated(
        &title,
        BATCHED,
        &took,
        &[("verify_strict of a core", limits.verified_a_second)],
    );
    per_entry(&took, BATCHED);
}

fn reads(service: &Service, limits: &Limits) {
    // Names of tiles have one part as long as there are fewer than a thousand.
    let full = (service.size() / 256).min(1_000);
    assert!(full > 0, "there are tiles only after `batches`");
    for (what, folder) in [
        ("tiles of hashes", "/tile/0"),
        ("bundles of entries", "/tile/entries"),
    ] {
        let paths: Vec<String> = (0..full).map(|n| format!("{folder}/{n:03}")).collect();
        let gets = |count: usize| {
            let path = |n: usize| &paths[n * 7919 % paths.len()];
            (0..count).map(|n| Request::get(path(n))).collect()
        };
        let took = Load::on(service, READERS).send(gets(READS));
        let title = format!("{what}, {READERS} connections");
        let nginx = Nginx::serving(service, &copies(service, &paths));
        let nginx = nginx.map(|nginx| nginx.rate(gets(READS)));
        let empty = ("HTTP of an empty handler", limits.requests_a_second);
        let limits = [
            Some(empty),
            nginx.map(|rate| ("nginx on the same bytes", rate)),
        ];
        let limits: Vec<_> = limits.into_iter().flatten().collect();
        rated(&title, READS, &took, &limits);
        let bytes: usize = took.bodies.iter().map(Vec::len).sum();
        rate("  bytes of them, MiB", bytes >> 20, took.all);
        per_entry(&took, READS);
    }
    proofs(service);
}

/// What the service serves there.
fn copies(service: &Service, paths: &[String]) -> Vec<(String, Vec<u8>)> {
    let gets = paths.iter().map(|path| Request::get(path));
    let took = Load::on(service, 1).send(gets.collect());
    paths.iter().cloned().zip(took.bodies).collect()
}

fn proofs(service: &Service) {
    let size = service.size();
    let path = |n: u64| format!("/v1/entries/{}/proof", n * 7919 % size);
    let gets = (0..ALONE as u64).map(|n| Request::get(&path(n)));
    let took = Load::on(service, 1).send(gets.collect());
    latencies("an inclusion proof, asked for later", &took.each);
}
