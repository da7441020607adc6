//! Proof files that hold, and every way in which they do not.

use tlog::checkpoint::{self, Checkpoint, Origin, SignedCheckpoint};
use tlog::cosignature::Cosigner;
use tlog::note::{KeyName, SigningKey};
use tlog::tree::MemoryTree;

use super::*;
use crate::verify::report::{Status, Verdict};

const TRUST: &str = include_str!("../golden/trust.json");
const ENTRY_0: &str = include_str!("../golden/entry-0.tlog-proof");
const ENTRY_6: &str = include_str!("../golden/entry-6.tlog-proof");

fn trust() -> Trust {
    TRUST.parse().unwrap()
}

fn statuses(report: &Report) -> Vec<(CheckId, Status)> {
    report
        .checks
        .iter()
        .map(|check| (check.id, check.status))
        .collect()
}

fn status(report: &Report, id: CheckId) -> Status {
    report
        .checks
        .iter()
        .find(|check| check.id == id)
        .unwrap()
        .status
}

fn codes(report: &Report) -> Vec<Code> {
    report
        .findings
        .iter()
        .map(|finding| finding.refusal.code)
        .collect()
}

/// The golden log with another key, for checkpoints that the golden key never signed.
struct OwnLog(SigningKey);

impl OwnLog {
    fn new() -> Self {
        Self(SigningKey::new(
            KeyName::parse("example.com/workledger").unwrap(),
            &[77; 32],
        ))
    }

    /// A proof of the leaf as the only one of the log.
    fn proof(&self, leaf: &[u8]) -> ProofFile {
        let tree: MemoryTree = [leaf_hash(leaf)].into_iter().collect();
        let origin = Origin::parse("example.com/workledger").unwrap();
        let checkpoint = Checkpoint::new(origin, tree.size(), tree.root());
        ProofFile {
            extra: Some(leaf.to_vec()),
            index: LeafIndex::new(0),
            hashes: Vec::new(),
            checkpoint: SignedCheckpoint::parse(&checkpoint::sign(&self.0, &checkpoint)).unwrap(),
        }
    }

    fn trust(&self, lines: &str) -> Trust {
        let policy = format!("log {}\n{lines}", self.0.verifier_key());
        Trust {
            policy: tlog::policy::Policy::parse(&policy).unwrap(),
            charter: trust().charter,
            from: None,
        }
    }
}

#[test]
fn the_golden_proof_is_verified_and_its_report_is_always_the_same() {
    let report = verify(ENTRY_6.as_bytes(), &trust());
    assert_eq!(report.verdict, Verdict::Verified);
    let golden = include_str!("../golden/entry-6.report.json");
    assert_eq!(report.to_json(), golden.trim_end());
}

#[test]
fn checks_of_authority_and_after_are_absent() {
    for evidence in [ENTRY_6, ENTRY_0, "", "c2sp.org/tlog-proof@v1\n"] {
        let report = verify(evidence.as_bytes(), &trust());
        let ids: Vec<CheckId> = report.checks.iter().map(|check| check.id).collect();
        assert_eq!(ids, CheckId::ALL[..8], "{evidence}");
    }
}

#[test]
fn the_charter_that_the_trust_names_is_checked_with_its_own_keys() {
    let report = verify(ENTRY_0.as_bytes(), &trust());
    assert_eq!(report.verdict, Verdict::Verified);
    assert_eq!(status(&report, CheckId::Signatures), Status::Pass);
    assert_eq!(
        status(&verify(ENTRY_6.as_bytes(), &trust()), CheckId::Signatures),
        Status::Skipped
    );
}

#[test]
fn every_flipped_bit_fails() {
    let trust = trust();
    for evidence in [ENTRY_0, ENTRY_6] {
        for bit in 0..evidence.len() * 8 {
            let mut bytes = evidence.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let report = verify(&bytes, &trust);
            assert_eq!(
                report.verdict,
                Verdict::Failed,
                "bit {bit} of byte {}",
                bit / 8
            );
            assert!(!report.findings.is_empty());
        }
    }
}

#[test]
fn every_cut_fails() {
    for end in 0..ENTRY_6.len() {
        let report = verify(&ENTRY_6.as_bytes()[..end], &trust());
        assert_eq!(report.verdict, Verdict::Failed, "cut at {end}");
    }
}

#[test]
fn what_is_wrong_has_its_code() {
    let line = |text: &str, n: usize| text.lines().nth(n).unwrap().to_owned() + "\n";
    let (extra, index, hash) = (line(ENTRY_6, 1), line(ENTRY_6, 2), line(ENTRY_6, 3));
    let swapped = |from: &str, to: &str| ENTRY_6.replace(from, to);
    let cases = [
        (String::new(), Code::PackMalformed),
        (TRUST.to_owned(), Code::PackMalformed),
        (line(ENTRY_6, 0), Code::ProofMalformed),
        (
            swapped("tlog-proof@v1", "tlog-proof@v2"),
            Code::PackMalformed,
        ),
        (swapped(&index, "index 06\n"), Code::ProofMalformed),
        (swapped(&index, "index 7\n"), Code::RootMismatch),
        (swapped(&index, "index 16\n"), Code::IndexOutOfRange),
        (swapped(&hash, &hash.repeat(2)), Code::ProofSurplus),
        (swapped(&hash, ""), Code::ProofMalformed),
        (swapped("\n16\n", "\n016\n"), Code::CheckpointMalformed),
        (
            swapped("\n16\n", "\n17\n"),
            Code::CheckpointSignatureInvalid,
        ),
        (swapped("g6FX6", "g6FX7"), Code::CheckpointSignatureInvalid),
        (
            swapped("example.com/workledger\n16", "example.com/other\n16"),
            Code::OriginUnknown,
        ),
        (swapped(&extra, &line(ENTRY_0, 1)), Code::RootMismatch),
    ];
    for (evidence, code) in cases {
        let report = verify(evidence.as_bytes(), &trust());
        assert_eq!(
            (report.verdict, codes(&report)),
            (Verdict::Failed, vec![code]),
            "{evidence}"
        );
    }
    assert_eq!(codes(&verify(b"\xff", &trust())), [Code::PackMalformed]);
}

#[test]
fn a_file_without_its_leaf_is_incomplete() {
    let mut file = ProofFile::parse(ENTRY_6).unwrap();
    file.extra = None;
    let report = verify(file.to_string().as_bytes(), &trust());
    assert_eq!(
        (report.verdict, report.findings.len()),
        (Verdict::Incomplete, 0)
    );
    assert_eq!(status(&report, CheckId::Inclusion), Status::Skipped);
    assert_eq!(report.trace, None);
}

#[test]
fn another_log_s_record_is_no_record_of_this_log() {
    let mut other = trust();
    other.charter = crate::digest::RecordHash::new(crate::digest::Digest::of(&[b"other"]));
    assert_eq!(
        codes(&verify(ENTRY_6.as_bytes(), &other)),
        [Code::OriginMismatch]
    );
    assert_eq!(
        codes(&verify(ENTRY_0.as_bytes(), &other)),
        [Code::TrustMismatch]
    );
}

#[test]
fn a_leaf_that_is_no_record_fails_though_it_is_logged() {
    let log = OwnLog::new();
    let golden = ProofFile::parse(ENTRY_6).unwrap().extra.unwrap();
    let spaced = String::from_utf8(golden).unwrap().replace(":{", ": {");
    for (leaf, code) in [
        ("hello", Code::NotStrictJson),
        (&spaced, Code::LeafNotCanonical),
    ] {
        let report = verify(
            log.proof(leaf.as_bytes()).to_string().as_bytes(),
            &log.trust("quorum none\n"),
        );
        assert_eq!(
            (report.verdict, codes(&report)),
            (Verdict::Failed, vec![code])
        );
        assert_eq!(status(&report, CheckId::Inclusion), Status::Pass);
        assert_eq!(report.trace.unwrap().len(), 1);
    }
}

#[test]
fn a_log_that_does_not_begin_with_its_charter_is_not_that_log() {
    let log = OwnLog::new();
    let leaf = ProofFile::parse(ENTRY_6).unwrap().extra.unwrap();
    let file = log.proof(&leaf).to_string();
    let report = verify(file.as_bytes(), &log.trust("quorum none\n"));
    assert_eq!(codes(&report), [Code::CharterMissing]);
    assert_eq!(status(&report, CheckId::Inclusion), Status::Pass);
}

#[test]
fn witnesses_count_when_the_trust_asks_for_them() {
    let log = OwnLog::new();
    let leaf = ProofFile::parse(ENTRY_0).unwrap().extra.unwrap();
    let witness = Cosigner::new(KeyName::parse("w").unwrap(), &[1; 32]);
    let trust = log.trust(&format!("witness w {}\nquorum w\n", witness.verifier_key()));
    let mut file = log.proof(&leaf);
    let alone = verify(file.to_string().as_bytes(), &trust);
    assert_eq!(
        (alone.verdict, codes(&alone)),
        (Verdict::Failed, vec![Code::QuorumNotMet])
    );
    assert_eq!(status(&alone, CheckId::Inclusion), Status::Pass);

    let cosignature = witness
        .cosign(file.checkpoint.unverified(), 1_700_000_000)
        .unwrap();
    file.checkpoint = file.checkpoint.with_signature(cosignature).unwrap();
    let witnessed = verify(file.to_string().as_bytes(), &trust);
    assert_eq!(witnessed.verdict, Verdict::Verified);
    assert_eq!(witnessed.as_of.witnessed_ms, Some(1_700_000_000_000));
    assert!(statuses(&witnessed).contains(&(CheckId::Witnesses, Status::Pass)));
}

#[test]
fn the_trace_is_the_way_that_was_checked() {
    let trace = verify(ENTRY_6.as_bytes(), &trust()).trace.unwrap();
    let file = ProofFile::parse(ENTRY_6).unwrap();
    assert_eq!(trace.len(), 1 + file.hashes.len());
    assert_eq!(trace[0].hash(), leaf_hash(&file.extra.unwrap()));
    assert_eq!(trace[4].hash(), file.checkpoint.unverified().root);
}
