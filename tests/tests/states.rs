//! The governance state, told by the service: in pulses, packs and proofs, and kept for its next start.

use std::path::Path;
use std::process::{Command, Output};

use ledger::key::PrivateKey;
use serde_json::{Value, json};
use tests::{Service, dragons, read};

/// A log of an agent, whose service was stopped and started again: the first leaf of the second run is a pulse.
fn restarted(to: u64) -> (Service, u64) {
    let mut service = Service::new();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service.fill(to);
    // The first group of a service is its pulse.
    let pulse = service.size();
    assert!(service.stop().success());
    service.start();
    while service.size() <= pulse {}
    (service, pulse)
}

fn run(service: &Service, words: &[&str]) -> Output {
    let mut command = dragons().command();
    command.env("DRAGONS_SERVER", service.url());
    command.args(words).arg("--json");
    command.output().unwrap()
}

fn succeeds(service: &Service, words: &[&str]) -> Value {
    let output = run(service, words);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exports a range, and gives the exit code and the report of its verification.
fn judged(service: &Service, range: &[&str], trust: &Path) -> (Option<i32>, Value) {
    let (own, pack) = (service.trust(), service.scratch("part.pack.jsonl"));
    let (own, pack) = (own.to_str().unwrap(), pack.to_str().unwrap());
    let words = [&["export", "--trust", own, "-o", pack], range].concat();
    succeeds(service, &words);
    let trust = trust.to_str().unwrap();
    let output = run(service, &["verify", pack, "--trust", trust]);
    (
        output.status.code(),
        serde_json::from_slice(&output.stdout).unwrap(),
    )
}

#[test]
fn a_month_is_verified_without_the_one_before_it() {
    let (service, pulse) = restarted(300);
    service.fill(400);
    let at = pulse.to_string();
    let (code, october) = judged(&service, &["--to", &at], &service.trust());
    assert_eq!((code, &october["verdict"]), (Some(0), &json!("verified")));
    assert_eq!(october["state"]["size"], pulse);
    let mut trust: Value = serde_json::from_str(&read(&service.trust())).unwrap();
    trust["from"] = october["state"].clone();
    let known = service.scratch("from-october.json");
    std::fs::write(&known, trust.to_string()).unwrap();
    let (code, november) = judged(&service, &["--from", &at], &known);
    assert_eq!((code, &november["verdict"]), (Some(0), &json!("verified")));
    let (_, all) = judged(&service, &[], &known);
    assert_eq!(november["state"], all["state"]);
    assert_eq!(november["as_of"]["judged_to"], all["as_of"]["judged_to"]);
    let (code, unknown) = judged(&service, &["--from", &at], &service.trust());
    assert_eq!((code, &unknown["verdict"]), (Some(3), &json!("incomplete")));
    assert!(
        unknown
            .to_string()
            .contains("which the trust does not name")
    );
    trust["from"]["root"] = json!(service.checkpoint().root().to_string());
    std::fs::write(&known, trust.to_string()).unwrap();
    let (code, other) = judged(&service, &["--from", &at], &known);
    assert_eq!(
        (code, &other["findings"][0]["code"]),
        (Some(1), &json!("trust-mismatch"))
    );
}

#[test]
fn what_a_pulse_says_of_an_agent_is_proven_in_a_small_file() {
    let (service, pulse) = restarted(40);
    let trust = service.trust();
    let trust = trust.to_str().unwrap();
    let file = service.scratch("a.state-proof.jsonl");
    let file = file.to_str().unwrap();
    for (agent, at, told) in [
        ("a", "1000000", None),
        (
            "a",
            &pulse.to_string(),
            Some("agent a was stopped, in epoch 0, with no lease"),
        ),
        ("b", &pulse.to_string(), Some("there was no agent b")),
        ("a", "1", Some("there was no agent a")),
    ] {
        let words = [
            "prove-state",
            agent,
            "--at",
            at,
            "--trust",
            trust,
            "-o",
            file,
        ];
        let Some(told) = told else {
            assert_eq!(run(&service, &words).status.code(), Some(2));
            continue;
        };
        let summary = succeeds(&service, &words);
        assert!(
            summary["told"].as_str().unwrap().contains(told),
            "{summary}"
        );
        let bare = format!("/v1/agents/{agent}/proof?at={at}");
        assert_eq!(
            service.get(&bare).text().lines().count(),
            read(file.as_ref()).lines().count()
        );
        let report = succeeds(&service, &["verify", file, "--trust", trust]);
        assert_eq!(
            (&report["verdict"], &report["state"]),
            (&json!("verified"), &json!(null))
        );
    }
}

#[test]
fn a_start_reads_the_newest_snapshot_and_the_tail() {
    let mut service = Service::new();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service.fill(6_000);
    // Pulses stand at starts, and a snapshot is worth its writing after so many leaves.
    for _ in 0..2 {
        assert!(service.stop().success());
        service.start();
    }
    assert!(service.stop().success());
    let folder = service.data().join("snapshots");
    let snapshots = || std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(snapshots(), 1);
    let size = |service: &Service| service.size();
    service.start();
    let before = size(&service);
    assert!(service.stop().success());
    for file in std::fs::read_dir(&folder).unwrap() {
        std::fs::write(file.unwrap().path(), "damaged").unwrap();
    }
    service.start();
    assert!(size(&service) >= before);
    assert!(service.stop().success());
    let fsck = Command::new(tests::dragonsd().path())
        .arg("fsck")
        .arg("--data")
        .arg(service.data())
        .output();
    assert!(fsck.unwrap().status.success());
}
