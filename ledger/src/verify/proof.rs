//! The verification of a proof file: one record is in the log.

use tlog::checkpoint::VerifiedCheckpoint;
use tlog::proof::{MAX_PROOF_FILE_BYTES, ParseProofFileError, ProofFile};
use tlog::{LeafIndex, inclusion, leaf_hash};

use crate::codes::{Code, Party, Refusal};
use crate::record::{Body, SignedRecord};
use crate::state_proof;
use crate::text::Name;
use crate::verify::causes::with_causes;
use crate::verify::draft::Draft;
use crate::verify::fault::{self, Shown};
use crate::verify::head::{Signers, check_checkpoint, inclusion_refusal};
use crate::verify::log_keys::LogKeys;
use crate::verify::reading::{GZIP_START, PROOF_START, Reading};
use crate::verify::records::{check_first, check_log, check_roots, read_leaf};
use crate::verify::report::{CheckId, Finding, Report, TraceStep};
use crate::verify::trust::Trust;
use crate::verify::{PACK_START, heads, state};

/// Verifies a proof file or a state proof that comes in chunks, and no pack. It gives the reports of
/// [`Verifier`](crate::verify::Verifier), and is built without the rules: that is half of the code.
#[derive(Debug)]
pub struct ProofVerifier {
    trust: Trust,
    held: ProofBytes,
}

impl ProofVerifier {
    /// Starts to verify.
    pub const fn new(trust: Trust) -> Self {
        Self {
            trust,
            held: ProofBytes::new(),
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.push(bytes);
    }

    /// Whether the evidence begins as a pack does, or is gzipped: this cannot verify it.
    pub fn needs_more(&self) -> bool {
        let held = self.held.as_bytes();
        [PACK_START, GZIP_START]
            .iter()
            .any(|start| held.starts_with(start))
    }

    /// Whether the report is the same whatever bytes follow.
    pub const fn is_settled(&self) -> bool {
        self.held.is_settled()
    }

    /// Ends the evidence.
    pub fn finish(&self) -> Report {
        self.held.verify(&self.trust)
    }
}

/// The bytes of a proof file or a state proof, or too few to tell: both are short, so they are held.
#[derive(Debug)]
pub(super) struct ProofBytes(Vec<u8>);

impl ProofBytes {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // One byte more than a proof file may have is enough to see that it is none.
        let room = (MAX_PROOF_FILE_BYTES + 1).saturating_sub(self.0.len());
        self.0.extend(bytes.iter().take(room));
    }

    /// Whether these bytes are the first that tell that it is a pack.
    pub(super) fn make_a_pack_with(&self, bytes: &[u8]) -> bool {
        let start = self.0.iter().chain(bytes).take(PACK_START.len());
        self.0.len() < PACK_START.len() && start.eq(PACK_START)
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.0.len() > MAX_PROOF_FILE_BYTES
    }

    pub(super) fn verify(&self, trust: &Trust) -> Report {
        if self.0.starts_with(state_proof::START) {
            return state::verify(&self.0, trust);
        }
        match !self.0.starts_with(PROOF_START.as_bytes()) && heads::holds_heads(&self.0) {
            true => heads::verify(&self.0, trust),
            false => verify(&self.0, trust),
        }
    }
}

fn verify(evidence: &[u8], trust: &Trust) -> Report {
    let file = read(evidence);
    let reading = match file {
        Ok(_) => Reading::Evidence,
        Err(_) => Reading::of(evidence),
    };
    report(file, reading, trust)
}

/// What comes out where whoever reads the evidence cannot go on.
pub(super) fn refused(refusal: Refusal, trust: &Trust) -> Report {
    report(Err(refusal), Reading::Evidence, trust)
}

fn report(evidence: Result<ProofFile, Refusal>, reading: Reading, trust: &Trust) -> Report {
    let mut draft = Draft::default();
    draft.aside.reading = reading;
    match evidence {
        Ok(file) => check_file(&mut draft, &file, trust),
        Err(refusal) => give_up(&mut draft, reading.told(refusal)),
    }
    draft.finish(|check| match check {
        CheckId::Form | CheckId::Checkpoint | CheckId::Inclusion | CheckId::Leaves => true,
        CheckId::Witnesses => trust.policy.needs_witnesses(),
        _ => false,
    })
}

fn read(evidence: &[u8]) -> Result<ProofFile, Refusal> {
    let text = std::str::from_utf8(evidence).map_err(|error| Code::PackMalformed.because(error))?;
    if !text.starts_with(PROOF_START) {
        let why = format!("it begins neither with {PROOF_START} nor as a pack");
        return Err(Code::PackMalformed.because(why));
    }
    ProofFile::parse(text).map_err(|error| {
        let code = match error {
            ParseProofFileError::TooLong { .. } | ParseProofFileError::Header => {
                Code::PackMalformed
            }
            ParseProofFileError::Checkpoint(_) => Code::CheckpointMalformed,
            _ => Code::ProofMalformed,
        };
        code.because(with_causes(&error))
    })
}

/// What cannot be read is checked no further.
pub(super) fn give_up(draft: &mut Draft, refusal: Refusal) {
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
    let none = LogKeys::default();
    let checkpoint = check_checkpoint(draft, &file.checkpoint, Signers::of(trust, &none));
    check_inclusion(draft, file, checkpoint.as_ref());
    draft.skip(
        CheckId::Consistency,
        "there is one checkpoint, and none to compare it with",
    );
    let record = check_leaf(draft, file, trust);
    check_signatures(draft, file.index, record, trust);
    draft.skip(CheckId::Chains, "one record is not a chain");
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
    let (received_ms, record) = match read_leaf(bytes) {
        Ok(leaf) => leaf,
        Err(refusal) => {
            fail_leaf(draft, refusal, file.index, None);
            return None;
        }
    };
    draft.count(&record);
    let sound = check_log(&record, trust).and_then(|()| check_first(file.index, &record, trust));
    if let Err(refusal) = sound {
        fail_leaf(draft, refusal, file.index, record.record().agent());
        return None;
    }
    if draft.trace.is_some() {
        draft.as_of.received_ms = Some(received_ms);
    }
    draft.pass(
        CheckId::Leaves,
        format!("{} {} of this log", record.kind(), record.hash()),
    );
    Some(record)
}

/// What is wrong with the leaf is somebody's whom it names only if it is in the tree.
fn fail_leaf(draft: &mut Draft, refusal: Refusal, index: LeafIndex, agent: Option<&Name>) {
    draft.fail_for(CheckId::Leaves, refusal.to_string());
    let by = match draft.trace {
        Some(_) => fault::of_leaf(refusal.code, Shown::Leaf),
        None => Party::Unknown,
    };
    draft.push_finding(Finding {
        class: refusal.code.class(),
        refusal,
        by,
        index: Some(index),
        agent: agent.cloned(),
    });
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
            match check_roots(&record.check(&|_| None), &charter) {
                Ok(count) => draft.pass(
                    CheckId::Signatures,
                    format!("signed by {count} of its roots"),
                ),
                Err(refusal) => fail_signatures(draft, refusal, index),
            }
        }
        _ => draft.skip(
            CheckId::Signatures,
            "the keys that count for it stand in other records",
        ),
    }
}

fn fail_signatures(draft: &mut Draft, refusal: Refusal, index: LeafIndex) {
    let by = match draft.trace {
        Some(_) => fault::of_leaf(refusal.code, Shown::Log),
        None => Party::Unknown,
    };
    draft.fail_by(CheckId::Signatures, refusal, by, Some(index));
}

#[cfg(test)]
mod tests;
