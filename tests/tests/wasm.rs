//! The verifier for browsers gives the same report as the native one, byte for byte: at once and in chunks.
//!
//! It needs the page that `make web` builds, so it is a step of `make browser`.

use std::path::{Path, PathBuf};
use std::process::Command;

use ledger::verify::{Trust, verify};
use serde_json::{Value, json};
use tests::{lies, samples};

/// Sizes of chunks that fall into the middle of everything.
const CHUNKS: [usize; 3] = [7, 61, 4096];

/// Evidence with a name, and the trust to verify it by.
struct Case {
    name: String,
    evidence: Vec<u8>,
    trust: Trust,
}

#[test]
fn every_sample_gives_the_same_report() {
    let case = |sample: samples::Sample| Case {
        name: sample.file.to_owned(),
        evidence: sample.evidence.into_bytes(),
        trust: sample.trust.trust(),
    };
    check(&samples::all().into_iter().map(case).collect::<Vec<_>>());
}

#[test]
fn every_lie_gives_the_same_report() {
    let case = |lie: lies::Sample| Case {
        name: lie.name,
        evidence: lie.evidence,
        trust: lie.trust.parse().expect("a trust file"),
    };
    check(&lies::all().into_iter().map(case).collect::<Vec<_>>());
}

#[test]
fn every_cut_and_every_odd_byte_gives_the_same_report() {
    let proof = samples::History::golden().proof(6).into_bytes();
    let trust = samples::History::golden().trust();
    let case = |name: String, evidence: Vec<u8>| Case {
        name,
        evidence,
        trust: trust.clone(),
    };
    let cuts = (0..proof.len())
        .step_by(97)
        .map(|at| case(format!("cut at {at}"), proof[..at].to_vec()));
    let flips = (0..proof.len()).step_by(89).map(|at| {
        let mut bytes = proof.clone();
        bytes[at] ^= 0x81;
        case(format!("flipped at {at}"), bytes)
    });
    check(&cuts.chain(flips).collect::<Vec<_>>());
}

#[test]
fn every_pair_of_checkpoints_gives_the_same_report() {
    let history = samples::History::golden();
    let other = history.clone().with_leaf(3, |leaf| leaf.replace('1', "2"));
    let head = |of: &samples::History, size: u64| of.checkpoint(size).to_string();
    let (older, newer) = (head(&history, 9), head(&history, 16));
    let proof = history.consistency(9);
    let pairs = [
        ("grown", [older.clone(), newer.clone(), proof.clone()]),
        ("newer first", [newer.clone(), older.clone(), proof.clone()]),
        (
            "without the proof",
            [older.clone(), newer.clone(), String::new()],
        ),
        ("split", [older.clone(), head(&other, 9), String::new()]),
        ("rewritten", [head(&other, 9), newer.clone(), proof.clone()]),
        (
            "of a stranger",
            [
                head(&history.clone().signed_by([7; 32]), 9),
                newer.clone(),
                proof.clone(),
            ],
        ),
        ("cut", [older, newer, proof[..proof.len() - 9].to_owned()]),
    ];
    let case = |(name, parts): (&str, [String; 3])| Case {
        name: name.to_owned(),
        evidence: parts.concat().into_bytes(),
        trust: history.trust(),
    };
    check(&pairs.map(case));
}

/// Verifies each case natively and in WebAssembly.
fn check(cases: &[Case]) {
    let directory = tempfile::tempdir().unwrap();
    let reports = in_wasm(directory.path(), cases);
    assert_eq!(reports.len(), cases.len(), "a report for each case");
    for (case, reports) in cases.iter().zip(&reports) {
        let native = verify(&case.evidence, &case.trust, None).to_json();
        let reports = reports.as_array().expect("several reports of each");
        let in_all = CHUNKS.len() + 1 + usize::from(is_for_proofs(&case.evidence));
        assert_eq!(reports.len(), in_all);
        for report in reports {
            assert_eq!(report.as_str(), Some(&*native), "{}", case.name);
        }
    }
}

/// Whether the module of proof files takes it, which has a report of its own then.
fn is_for_proofs(evidence: &[u8]) -> bool {
    let starts: [&[u8]; 2] = [b"{\"pack\":", b"\x1f\x8b"];
    !starts.iter().any(|start| evidence.starts_with(start))
}

/// The reports of each case: at once, then in chunks of each size, then with the module of proof files.
fn in_wasm(directory: &Path, cases: &[Case]) -> Vec<Value> {
    let file = |at: usize| directory.join(at.to_string());
    let entry = |(at, case): (usize, &Case)| {
        std::fs::write(file(at), &case.evidence).unwrap();
        json!({ "evidence": file(at), "trust": case.trust.to_json(), "chunks": CHUNKS })
    };
    let list: Vec<_> = cases.iter().enumerate().map(entry).collect();
    let index = directory.join("index.json");
    std::fs::write(&index, serde_json::to_vec(&list).unwrap()).unwrap();
    let program = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/browser/reports.mjs"));
    let output = Command::new("node").arg(program).arg(index).output();
    let output = output.expect("node runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "run `make web` first? {stderr}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
