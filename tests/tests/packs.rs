//! Packs from a service into files, and from files into a verdict: whole or not at all, offline, in flat memory.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use ledger::key::PrivateKey;
use ledger::pack::{Line, Reader};
use serde_json::Value;
use tests::{Process, Service, dragons, pack_of_pulses, read};

/// What a leaf may cost a verifier that has to remember all of them.
const MOST_BYTES_A_LEAF: u64 = 64;

/// How far the peaks of two runs differ without a reason: an allocator asks for pages, and not for bytes.
const ALLOCATOR_BYTES: u64 = 256 * 1024;

fn filled(to: u64) -> Service {
    let service = Service::new();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service.fill(to);
    service
}

/// A command line with this service's address and trust; the words for files are replaced.
fn command(service: &Service, line: &str) -> Command {
    let mut command = dragons().command();
    command.env("DRAGONS_SERVER", service.url());
    command.args(line.split_whitespace().map(|word| match word {
        "TRUST" => service.trust(),
        word if word.contains(".pack") || word.contains(".checkpoint") => service.scratch(word),
        word => word.into(),
    }));
    command
}

fn run(service: &Service, line: &str) -> Output {
    command(service, line).output().unwrap()
}

fn exported(service: &Service, line: &str) -> Value {
    let output = run(service, &format!("export {line} --trust TRUST --json"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn status(report: &Value, check: &str) -> String {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|one| one["id"] == check).unwrap();
    check["status"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_exported_is_a_pack_that_holds_offline() {
    let service = filled(300);
    let earlier = service.get("/checkpoint").body;
    std::fs::write(service.scratch("old.checkpoint"), earlier).unwrap();
    service.fill(400);
    let summary = exported(&service, "--from 0 --to 350 -o range.pack");
    assert_eq!(summary["count"], 350);
    exported(&service, "--agent a -o agent.pack --gzip");
    exported(&service, "-o all.pack --earlier old.checkpoint");
    let plain = read(&service.scratch("range.pack"));
    assert_eq!(plain, service.get("/v1/pack?from=0&to=350").text());
    let (mut reader, mut lines) = (Reader::default(), 0);
    reader.push(plain.as_bytes(), |_: Line| lines += 1).unwrap();
    reader.finish().unwrap();
    assert_eq!(lines, 3 + 350);
    for pack in ["range.pack", "agent.pack", "all.pack"] {
        let trace = service.scratch("sockets");
        let verify = command(&service, &format!("verify {pack} --trust TRUST --json"));
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "-e", "trace=network", "-o"])
            .arg(&trace);
        strace.arg(verify.get_program()).args(verify.get_args());
        let output = strace.output().unwrap();
        let report = report(&output);
        for check in ["form", "checkpoint", "inclusion", "leaves", "signatures"] {
            assert_eq!(status(&report, check), "pass", "{pack}: {check}");
        }
        let consistency = status(&report, "consistency");
        assert_eq!(consistency == "pass", pack == "all.pack", "{pack}");
        assert_eq!(report["summary"]["problems"], 0, "{pack}");
        assert_eq!(read(&trace), "", "{pack}: a verification opens no socket");
    }
    let piped = format!("verify - --trust {}", service.trust().display());
    let mut piped = command(&service, &piped);
    let agent = std::fs::File::open(service.scratch("agent.pack")).unwrap();
    let output = piped.arg("--json").stdin(agent).output().unwrap();
    let direct = run(&service, "verify agent.pack --trust TRUST --json");
    assert_eq!(output.stdout, direct.stdout);
}

/// The sizes of the heads that the service has kept.
fn kept(service: &Service) -> Vec<u64> {
    let lines = service.get("/v1/checkpoints?limit=1000").text();
    let size = |line: &str| serde_json::from_str::<Value>(line).unwrap()["size"].as_u64();
    lines.lines().filter_map(size).collect()
}

#[test]
fn an_older_end_is_judged_as_a_whole_only_under_its_own_head() {
    let service = filled(20);
    let mut size = 20;
    // Heads of one second replace one another, so a kept one may be a while away; of a batch the last alone is kept.
    let (kept_size, other_size) = loop {
        size += 1;
        service.fill(size);
        let kept = kept(&service);
        let newest = kept.iter().copied().rfind(|kept| (20..size).contains(kept));
        let other = (2..size).rev().find(|size| !kept.contains(size));
        if let (Some(newest), Some(other)) = (newest, other) {
            break (newest, other);
        }
    };
    let verified = |to: u64| {
        let summary = exported(&service, &format!("--from 0 --to {to} -o end.pack"));
        let output = run(&service, "verify end.pack --trust TRUST --json");
        (summary["size"].as_u64().unwrap(), report(&output))
    };
    let (of, whole) = verified(kept_size);
    assert_eq!(of, kept_size);
    assert_eq!(whole["as_of"]["judged_to"], kept_size);
    assert_eq!(status(&whole, "liveness"), "pass", "{whole}");
    assert_eq!(whole["verdict"], "verified");
    let (of, part) = verified(other_size);
    let missing = of - other_size;
    assert!(missing > 0, "no head of that size was kept");
    assert_eq!(part["as_of"]["judged_to"], other_size);
    assert_eq!(
        (&part["verdict"], status(&part, "liveness").as_str()),
        (&"incomplete".into(), "skipped")
    );
    assert!(
        part.to_string().contains(&format!("{missing} later")),
        "{part}"
    );
}

#[test]
fn what_cannot_be_had_leaves_no_file() {
    let service = filled(20);
    let before = files(&service);
    for line in [
        "--from 0 --to 21 -o none.pack",
        "--from 5 --to 5 -o none.pack",
        "--agent nobody -o none.pack",
    ] {
        let output = run(&service, &format!("export {line} --trust TRUST"));
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert_eq!(files(&service), before, "{line}");
    }
}

#[test]
fn a_pack_that_breaks_off_leaves_no_file() {
    let service = filled(20);
    let whole = service.get("/v1/pack").body;
    let before = files(&service);
    for (length, claimed) in [
        (whole.len() / 2, whole.len()),
        (whole.len() / 2, whole.len() / 2),
        (0, 0),
        (whole.len() - 1, whole.len() - 1),
    ] {
        let url = answering(&whole[..length], claimed);
        let line = format!("export -o none.pack --trust TRUST --server {url}");
        let output = run(&service, &line);
        assert_eq!(output.status.code(), Some(2), "{length} of {claimed}");
        assert_eq!(files(&service), before, "{length} of {claimed}");
    }
    // A leaf that was changed on its way does not lead to the signed root.
    let whole = String::from_utf8(whole).unwrap();
    let changed = whole.replacen("eyJsb2ci", "eyJsb2cj", 1);
    assert_ne!(changed, whole);
    let url = answering(changed.as_bytes(), changed.len());
    let line = format!("export -o none.pack --trust TRUST --server {url}");
    assert_eq!(run(&service, &line).status.code(), Some(2));
    assert_eq!(files(&service), before);
}

#[test]
fn a_service_streams_packs_in_flat_memory() {
    // In steps: a body has 4,096 lines at most.
    let service = filled(4_000);
    for to in [8_000, 12_000, 16_000] {
        service.fill(to);
    }
    let fetch = || {
        let request = service.request("GET", "/v1/pack").send().unwrap();
        let (mut request, mut chunk, mut got) = (request, vec![0; 1 << 16], 0);
        loop {
            match request.read(&mut chunk).unwrap() {
                0 => return got,
                length => got += length as u64,
            }
        }
    };
    // The first one warms the caches of the store.
    fetch();
    let process = service.process();
    process.forget_peak();
    let before = process.peak_bytes();
    let bytes = fetch();
    let grown = process.peak_bytes().saturating_sub(before);
    assert!(bytes > 8 << 20, "a pack of {bytes} bytes");
    assert!(grown < bytes / 4, "{grown} bytes for a pack of {bytes}");
}

/// Two lengths, so that what the program needs in any case does not count. One thread: what several read ahead is bounded,
/// but how much of it the allocator keeps is not the same each time.
#[test]
fn a_verification_costs_few_bytes_a_leaf() {
    let (few, many) = (1_000, 17_000);
    let (small, large) = (peak_of_verifying(few), peak_of_verifying(many));
    let most = MOST_BYTES_A_LEAF * (many - few) + ALLOCATOR_BYTES;
    let grown = large.saturating_sub(small);
    assert!(
        grown <= most,
        "{grown} bytes for {} leaves more, at most {most}",
        many - few
    );
}

/// The most memory that `dragons verify` has when it has read a pack of so many leaves.
fn peak_of_verifying(count: u64) -> u64 {
    let mut pack = Vec::new();
    let directory = tempfile::tempdir().unwrap();
    let trust = directory.path().join("trust.json");
    std::fs::write(&trust, pack_of_pulses(count, &mut pack).unwrap()).unwrap();
    let mut verify = dragons().command();
    verify
        .args(["verify", "-", "--json", "--threads", "1", "--trust"])
        .arg(&trust);
    let verify = verify.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut verify = verify.spawn().unwrap();
    let mut stdin = verify.stdin.take().unwrap();
    stdin.write_all(&pack).unwrap();
    // All but what the pipe holds has been verified now, and the program waits for more.
    let peak = Process(verify.id()).peak_bytes();
    drop(stdin);
    let output = verify.wait_with_output().unwrap();
    assert_eq!(report(&output)["summary"]["problems"], 0);
    peak
}

/// A server that gives one answer, with the length that it claims.
fn answering(body: &[u8], claimed: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = body.to_vec();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {claimed}\r\n\r\n");
        // The client may hang up on what it does not like.
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&body);
    });
    url
}

/// The names of everything beside the data.
fn files(service: &Service) -> Vec<String> {
    let directory = service.scratch("none.pack");
    let directory = directory.parent().unwrap_or(Path::new("."));
    let names = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
