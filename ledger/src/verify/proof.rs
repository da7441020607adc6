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

/// What a proof file of any version begins with: all else is evidence of no kind.
const MAGIC: &str = "c2sp.org/tlog-proof@";

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
    if !text.starts_with(MAGIC) {
        return Err(Code::PackMalformed.because(format!("it does not begin with {MAGIC}")));
    }
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
mod tests;
