//! The verification of a proof file: one record is in the log.

use std::error::Error;

use tlog::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};
use tlog::proof::{ParseProofFileError, ProofFile};
use tlog::{LeafIndex, ProofError, inclusion, leaf_hash};

use crate::codes::{Code, Refusal};
use crate::envelope::Validity;
use crate::leaf::Leaf;
use crate::record::{Body, Charter, Role, SignedRecord};
use crate::text::Name;
use crate::verify::draft::Draft;
use crate::verify::report::{CheckId, Report, TraceStep};
use crate::verify::trust::Trust;

/// Milliseconds in a second: witnesses count seconds, records milliseconds.
const SECOND_MS: u64 = 1000;

pub(super) fn verify(evidence: &[u8], trust: &Trust) -> Report {
    let mut draft = Draft::default();
    match read(evidence) {
        Ok(file) => check_file(&mut draft, &file, trust),
        Err(refusal) => give_up(&mut draft, refusal),
    }
    draft.finish(|check| match check {
        CheckId::Form | CheckId::Checkpoint | CheckId::Inclusion | CheckId::Leaves => true,
        CheckId::Witnesses => trust.policy.needs_witnesses(),
        _ => false,
    })
}

fn read(evidence: &[u8]) -> Result<ProofFile, Refusal> {
    let text = std::str::from_utf8(evidence).map_err(|error| Code::PackMalformed.because(error))?;
    ProofFile::parse(text).map_err(|error| {
        let code = match error {
            ParseProofFileError::TooLong { .. } | ParseProofFileError::Header => {
                Code::PackMalformed
            }
            ParseProofFileError::Checkpoint(_) => Code::CheckpointMalformed,
            _ => Code::ProofMalformed,
        };
        code.because(with_sources(&error))
    })
}

/// What cannot be read is checked no further.
fn give_up(draft: &mut Draft, refusal: Refusal) {
    draft.fail(CheckId::Form, refusal, None, None);
    for check in CheckId::ALL {
        if (CheckId::Checkpoint..=CheckId::Chains).contains(check) {
            draft.skip(*check, "the evidence cannot be read");
        }
    }
}

fn check_file(draft: &mut Draft, file: &ProofFile, trust: &Trust) {
    draft.pass(
        CheckId::Form,
        format!("a proof file for entry {}", file.index),
    );
    let checkpoint = check_checkpoint(draft, &file.checkpoint, trust);
    check_inclusion(draft, file, checkpoint.as_ref());
    draft.skip(
        CheckId::Consistency,
        "there is one checkpoint, and none to compare it with",
    );
    let record = check_leaf(draft, file, trust);
    check_signatures(draft, file.index, record, trust);
    draft.skip(CheckId::Chains, "one record is no chain");
}

/// The checkpoint as far as the log's own signature goes. Witnesses that are missing fail their own check; whether
/// the leaf is in the tree can be said all the same.
fn check_checkpoint(
    draft: &mut Draft,
    signed: &SignedCheckpoint,
    trust: &Trust,
) -> Option<VerifiedCheckpoint> {
    let (verified, witnesses) = match trust.policy.verify(signed) {
        Ok(verified) => (verified, Ok(())),
        Err(error) => {
            let by_log = trust
                .policy
                .logs()
                .iter()
                .find_map(|log| signed.verify(&log.key).ok());
            let Some(verified) = by_log else {
                draft.fail(CheckId::Checkpoint, checkpoint_refusal(&error), None, None);
                draft.skip(CheckId::Witnesses, "the log did not sign the checkpoint");
                return None;
            };
            (verified, Err(error))
        }
    };
    let (origin, size) = (verified.origin(), verified.size());
    draft.pass(
        CheckId::Checkpoint,
        format!("signed by {origin}, {size} entries"),
    );
    draft.as_of.size = Some(size);
    match witnesses {
        Ok(()) => count_witnesses(draft, &verified, trust),
        Err(error) => draft.fail(CheckId::Witnesses, checkpoint_refusal(&error), None, None),
    }
    Some(verified)
}

fn count_witnesses(draft: &mut Draft, checkpoint: &VerifiedCheckpoint, trust: &Trust) {
    let cosignatures = checkpoint.cosignatures();
    let last_s = cosignatures
        .iter()
        .map(|cosignature| cosignature.time_s)
        .max();
    draft.as_of.witnessed_ms = last_s.map(|time_s| time_s.saturating_mul(SECOND_MS));
    let count = cosignatures.len();
    if trust.policy.needs_witnesses() {
        draft.pass(
            CheckId::Witnesses,
            format!("the quorum is met, with {count} cosignatures"),
        );
    } else {
        draft.skip(
            CheckId::Witnesses,
            format!("the trust asks for none, there are {count} cosignatures"),
        );
    }
}

fn check_inclusion(draft: &mut Draft, file: &ProofFile, checkpoint: Option<&VerifiedCheckpoint>) {
    let Some(leaf) = &file.extra else {
        return draft.skip(CheckId::Inclusion, "the file does not hold the leaf");
    };
    let Some(checkpoint) = checkpoint else {
        return draft.skip(
            CheckId::Inclusion,
            "there is no checkpoint that the log signed",
        );
    };
    let (index, size, leaf) = (file.index, checkpoint.size(), leaf_hash(leaf));
    match inclusion::verify(&file.hashes, index, size, &leaf, checkpoint.root()) {
        Err(error) => draft.fail(
            CheckId::Inclusion,
            inclusion_refusal(&error),
            Some(index),
            None,
        ),
        Ok(steps) => {
            let count = steps.len();
            let detail = format!("entry {index} is in the tree of {size}, by {count} hashes");
            draft.pass(CheckId::Inclusion, detail);
            let joins = steps.into_iter().map(TraceStep::Join);
            draft.trace = Some([TraceStep::Leaf(leaf)].into_iter().chain(joins).collect());
        }
    }
}

/// The record in the leaf, if it is one of the log that the trust names.
fn check_leaf(draft: &mut Draft, file: &ProofFile, trust: &Trust) -> Option<SignedRecord> {
    let Some(bytes) = &file.extra else {
        draft.skip(CheckId::Leaves, "the file does not hold the leaf");
        return None;
    };
    let index = Some(file.index);
    let leaf = Leaf::parse(bytes).and_then(|leaf| {
        let received_ms = leaf.received_ms();
        SignedRecord::from_envelope(leaf.into_envelope()).map(|record| (received_ms, record))
    });
    let (received_ms, record) = match leaf {
        Ok(leaf) => leaf,
        Err(refusal) => {
            draft.fail(CheckId::Leaves, refusal, index, None);
            return None;
        }
    };
    draft.as_of.received_ms = Some(received_ms);
    count_record(draft, &record);
    if let Err(refusal) = check_log(&record, trust) {
        draft.fail(CheckId::Leaves, refusal, index, agent(&record));
        return None;
    }
    draft.pass(
        CheckId::Leaves,
        format!("{} {} of this log", record.kind(), record.hash()),
    );
    Some(record)
}

fn count_record(draft: &mut Draft, record: &SignedRecord) {
    draft.summary.records.insert(record.kind(), 1);
    draft.summary.agents.extend(agent(record).cloned());
}

/// Charter 1 is the log's name; every other record bears that name.
fn check_log(record: &SignedRecord, trust: &Trust) -> Result<(), Refusal> {
    let (pinned, hash) = (trust.charter, record.hash());
    match record.record().log {
        None if hash == pinned => Ok(()),
        None => {
            Err(Code::TrustMismatch
                .because(format!("the charter is {hash}, the trust names {pinned}")))
        }
        Some(log) if log == pinned => Ok(()),
        Some(log) => {
            Err(Code::OriginMismatch.because(format!("made for {log}, the trust names {pinned}")))
        }
    }
}

/// Only charter 1 can be checked by itself: the trust names it, and it brings its keys. All other keys stand in
/// other records, and a key that the evidence alone vouches for vouches for nothing.
fn check_signatures(
    draft: &mut Draft,
    index: LeafIndex,
    record: Option<SignedRecord>,
    trust: &Trust,
) {
    let Some(record) = record else {
        return draft.skip(CheckId::Signatures, "there is no record to check");
    };
    match record.record().body.clone() {
        Body::Charter(charter) if record.hash() == trust.charter => {
            match check_roots(record, &charter) {
                Ok(count) => draft.pass(
                    CheckId::Signatures,
                    format!("signed by {count} of its roots"),
                ),
                Err(refusal) => draft.fail(CheckId::Signatures, refusal, Some(index), None),
            }
        }
        _ => draft.skip(
            CheckId::Signatures,
            "the keys that count for it stand in other records",
        ),
    }
}

fn check_roots(record: SignedRecord, charter: &Charter) -> Result<u64, Refusal> {
    let checked = record.check(|_| None);
    let mut roots = 0;
    for signature in checked.signatures() {
        match signature.validity {
            Validity::Valid => roots += u64::from(charter.grants(Role::Root, &signature.keyid)),
            Validity::Invalid => return Err(Code::SignatureInvalid.because(signature.keyid)),
            Validity::Unknown => return Err(Code::KeyUnknown.because(signature.keyid)),
        }
    }
    let want = charter.thresholds.root;
    if roots < want {
        return Err(
            Code::CharterNotAuthorized.because(format!("signed by {roots} roots, needs {want}"))
        );
    }
    Ok(roots)
}

/// The agent that a record is about.
fn agent(record: &SignedRecord) -> Option<&Name> {
    match &record.record().body {
        Body::Manifest(registration) => Some(&registration.agent),
        Body::Lease(lease) => Some(&lease.agent),
        Body::Order(order) => Some(&order.agent),
        Body::Heartbeat(heartbeat) => Some(&heartbeat.chain.agent),
        Body::Receipt(receipt) => Some(&receipt.chain.agent),
        Body::Transition(transition) => Some(&transition.agent),
        Body::Refusal(refused) => Some(&refused.agent),
        Body::Observation(observation) => Some(&observation.agent),
        Body::Charter(_) | Body::LeaseRenewal(_) | Body::LeaseRevocation(_) | Body::Pulse(_) => {
            None
        }
    }
}

fn checkpoint_refusal(error: &CheckpointError) -> Refusal {
    let code = match error {
        CheckpointError::UnknownOrigin { .. } => Code::OriginUnknown,
        CheckpointError::QuorumNotMet { .. } => Code::QuorumNotMet,
        _ => Code::CheckpointSignatureInvalid,
    };
    code.because(with_sources(error))
}

fn inclusion_refusal(error: &ProofError) -> Refusal {
    let code = match error {
        ProofError::IndexOutOfRange { .. } => Code::IndexOutOfRange,
        ProofError::SurplusHashes { .. } => Code::ProofSurplus,
        ProofError::RootMismatch { .. } => Code::RootMismatch,
        _ => Code::ProofMalformed,
    };
    code.because(with_sources(error))
}

/// An error and what it came from, in one line.
fn with_sources(error: &dyn Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", with_sources(source)),
    }
}

#[cfg(test)]
mod tests {
    use tlog::checkpoint::{self, Checkpoint, Origin};
    use tlog::cosignature::Cosigner;
    use tlog::note::{KeyName, SigningKey};
    use tlog::tree::MemoryTree;

    use super::*;
    use crate::verify::report::{Status, Verdict};

    const TRUST: &str = include_str!("golden/trust.json");
    const ENTRY_0: &str = include_str!("golden/entry-0.tlog-proof");
    const ENTRY_6: &str = include_str!("golden/entry-6.tlog-proof");

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
                checkpoint: SignedCheckpoint::parse(&checkpoint::sign(&self.0, &checkpoint))
                    .unwrap(),
            }
        }

        fn trust(&self, lines: &str) -> Trust {
            let policy = format!("log {}\n{lines}", self.0.verifier_key());
            Trust {
                policy: tlog::policy::Policy::parse(&policy).unwrap(),
                charter: trust().charter,
            }
        }
    }

    #[test]
    fn the_golden_proof_is_verified_and_its_report_is_always_the_same() {
        let report = verify(ENTRY_6.as_bytes(), &trust());
        assert_eq!(report.verdict, Verdict::Verified);
        let golden = include_str!("golden/entry-6.report.json");
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
            (String::new(), Code::ProofMalformed),
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
    fn witnesses_count_when_the_trust_asks_for_them() {
        let log = OwnLog::new();
        let leaf = ProofFile::parse(ENTRY_6).unwrap().extra.unwrap();
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
}
