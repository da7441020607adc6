//! The second verifier, in Python, says of every sample what ours says, as far as it looks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use ledger::codes::Code;
use ledger::verify::{CheckId, Trust, verify};
use serde_json::Value;
use tempfile::TempDir;
use tests::lies::{Layer, Sample, all};

/// What the second verifier looks at.
const CHECKS: [CheckId; 6] = [
    CheckId::Form,
    CheckId::Checkpoint,
    CheckId::Witnesses,
    CheckId::Inclusion,
    CheckId::Consistency,
    CheckId::Leaves,
];

/// What a check came to, by its name, and the codes that were found.
type Findings = (BTreeMap<String, String>, BTreeSet<String>);

/// The codes that it knows. All others are of checks that it does not make.
const CODES: [Code; 25] = [
    Code::DisclosureMismatch,
    Code::Malformed,
    Code::TooLarge,
    Code::UnknownMember,
    Code::NotStrictJson,
    Code::LeafNotCanonical,
    Code::OriginMismatch,
    Code::KeyRepeated,
    Code::CharterMissing,
    Code::RootMismatch,
    Code::ProofMalformed,
    Code::ProofSurplus,
    Code::IndexOutOfRange,
    Code::CheckpointMalformed,
    Code::CheckpointSignatureInvalid,
    Code::OriginUnknown,
    Code::QuorumNotMet,
    Code::Inconsistent,
    Code::TimeRegressed,
    Code::PackMalformed,
    Code::PackCount,
    Code::PackOrder,
    Code::PackSelection,
    Code::PackIncomplete,
    Code::TrustMismatch,
];

/// Of a state proof it looks at what the entries open too.
fn opens_a_state(sample: &Sample, check: CheckId) -> bool {
    check == CheckId::Disclosures && sample.file().ends_with(".state-proof.jsonl")
}

fn ours(sample: &Sample) -> Findings {
    let trust: Trust = sample.trust.parse().unwrap();
    let report = verify(&sample.evidence, &trust, None);
    let checks = report
        .checks
        .iter()
        .filter(|check| CHECKS.contains(&check.id) || opens_a_state(sample, check.id));
    let codes = report.findings.iter().map(|finding| finding.refusal.code);
    (
        checks
            .map(|check| (check.id.to_string(), check.status.to_string()))
            .collect(),
        codes
            .filter(|code| CODES.contains(code))
            .map(|code| code.to_string())
            .collect(),
    )
}

/// The second verifier's, of samples that are told to one trust.
fn theirs(folder: &Path, trust: &str, samples: &[&Sample]) -> Vec<Findings> {
    let trust_file = folder.join("trust.json");
    std::fs::write(&trust_file, trust).unwrap();
    let files: Vec<PathBuf> = samples
        .iter()
        .map(|sample| folder.join(sample.file()))
        .collect();
    for (file, sample) in files.iter().zip(samples) {
        std::fs::write(file, &sample.evidence).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/verify.py");
    let output = Command::new(python())
        .arg(script)
        .arg(trust_file)
        .args(files)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| read(&line)).collect()
}

/// The first Python that has the one library that it takes, by the order in which the setup looks.
fn python() -> &'static str {
    let has_library = |python: &&str| {
        let mut command = Command::new(python);
        let output = command.args(["-c", "import cryptography"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(has_library);
    found.expect("Python with its cryptography package, which `make setup` installs")
}

fn read(line: &Value) -> Findings {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = line["checks"].as_object().unwrap().iter();
    let codes = line["codes"].as_array().unwrap().iter();
    (
        checks
            .map(|(id, status)| (id.clone(), text(status)))
            .collect(),
        codes.map(text).collect(),
    )
}

#[test]
fn both_say_the_same_of_every_sample_of_the_log_layer() {
    let samples = all();
    let mut by_trust: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.layer == Layer::Log) {
        by_trust.entry(&sample.trust).or_default().push(sample);
    }
    let folder = TempDir::new().unwrap();
    let mut differences = Vec::new();
    for (trust, samples) in by_trust {
        let theirs = theirs(folder.path(), trust, &samples);
        assert_eq!(theirs.len(), samples.len());
        for (sample, theirs) in samples.iter().zip(theirs) {
            let ours = ours(sample);
            if ours != theirs {
                differences.push(format!("{}:\n  {ours:?}\n  {theirs:?}", sample.name));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_second_verifier_is_short() {
    let script = include_str!("../python/verify.py");
    assert!(script.lines().count() <= 400);
}
