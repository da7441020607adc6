//! The head of a piece of evidence: its checkpoint, who signed that, and what the errors below it are called here.
//!
//! A checkpoint counts by a key of the trust's policy, or by one that the log's charters brought, each signed by the roots
//! before it. Where the charters are there, the key must be one that they had in force at that size: what an amendment took
//! away signs nothing any more, whoever holds it.

use tlog::ProofError;
use tlog::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};
use tlog::note::VerifierKey;

use crate::codes::{Code, Party, Refusal};
use crate::verify::causes::with_causes;
use crate::verify::draft::Draft;
use crate::verify::fault;
use crate::verify::log_keys::LogKeys;
use crate::verify::report::CheckId;
use crate::verify::trust::Trust;

/// Milliseconds in a second: witnesses count seconds, records milliseconds.
const SECOND_MS: u64 = 1000;

/// Whose signatures on checkpoints count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signers<'a> {
    pub(super) trust: &'a Trust,
    /// The keys that the charters brought, as far as they are there.
    pub(super) charters: &'a LogKeys,
    /// At whose fault it is if a checkpoint is signed by a key that the charters did not have in force. `None` where more
    /// charters may follow, which nobody here has seen.
    pub(super) strays: Option<Party>,
}

/// A checkpoint that does not count, and whose fault that is.
type Refused = (Refusal, Party);

impl<'a> Signers<'a> {
    /// The keys of the policy alone.
    pub(super) const fn of(trust: &'a Trust, none: &'a LogKeys) -> Self {
        Self {
            trust,
            charters: none,
            strays: None,
        }
    }

    /// The checkpoint, if a key that counts signed it.
    pub(super) fn verify(&self, signed: &SignedCheckpoint) -> Result<VerifiedCheckpoint, Refused> {
        let charters = self.charters.of_head(signed.unverified().size);
        let by_policy = signed.verify_any(&policy_keys(self.trust));
        match (by_policy, self.strays) {
            (verified, _) if charters.is_empty() => verified.map_err(|error| refused(&error)),
            (Ok(verified), None) => Ok(verified),
            (Ok(_), Some(by)) => signed
                .verify_any(&charters)
                .map_err(|error| stray(&error, by)),
            (Err(CheckpointError::NotSignedByLog { .. }), _) => signed
                .verify_any(&charters)
                .map_err(|error| refused(&error)),
            (Err(error), _) => Err(refused(&error)),
        }
    }

    /// Whether enough witnesses have cosigned what [`Signers::verify`] found to be signed.
    fn check_witnesses(
        &self,
        signed: &SignedCheckpoint,
    ) -> Result<VerifiedCheckpoint, CheckpointError> {
        let mut keys = policy_keys(self.trust);
        keys.extend(self.charters.of_head(signed.unverified().size));
        self.trust.policy.verify_by(signed, &keys)
    }
}

/// Whether a checkpoint is of a log of the policy, and by none of the keys that the policy knows: charters may know it.
pub(super) fn is_by_a_key_unknown(signed: &SignedCheckpoint, trust: &Trust) -> bool {
    let verified = signed.verify_any(&policy_keys(trust));
    matches!(verified, Err(CheckpointError::NotSignedByLog { .. }))
}

/// The checkpoint as far as the log's own signature goes. Witnesses that are missing fail their own check; whether
/// the leaf is in the tree can be said all the same.
pub(super) fn check_checkpoint(
    draft: &mut Draft,
    signed: &SignedCheckpoint,
    signers: Signers<'_>,
) -> Option<VerifiedCheckpoint> {
    let verified = match signers.verify(signed) {
        Ok(verified) => verified,
        Err((refusal, by)) => {
            draft.fail_by(CheckId::Checkpoint, refusal, by, None);
            draft.skip(CheckId::Witnesses, "the log did not sign the checkpoint");
            return None;
        }
    };
    let (origin, size) = (verified.origin(), verified.size());
    draft.pass(
        CheckId::Checkpoint,
        format!("signed by {origin}, {size} entries"),
    );
    draft.as_of.size = Some(size);
    match signers.check_witnesses(signed) {
        Ok(cosigned) => {
            count_witnesses(draft, &cosigned, signers.trust);
            Some(cosigned)
        }
        Err(error) => {
            draft.fail(CheckId::Witnesses, checkpoint_refusal(&error), None, None);
            Some(verified)
        }
    }
}

fn policy_keys(trust: &Trust) -> Vec<&VerifierKey> {
    trust.policy.logs().iter().map(|log| &log.key).collect()
}

fn refused(error: &CheckpointError) -> Refused {
    let refusal = checkpoint_refusal(error);
    let by = fault::of_evidence(refusal.code);
    (refusal, by)
}

/// A key that the policy knows has signed, and none that the charters had in force.
fn stray(error: &CheckpointError, by: Party) -> Refused {
    match error {
        CheckpointError::NotSignedByLog { .. } | CheckpointError::UnknownOrigin { .. } => {
            (Code::CheckpointNotInCharter.because(with_causes(error)), by)
        }
        _ => refused(error),
    }
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

pub(super) fn checkpoint_refusal(error: &CheckpointError) -> Refusal {
    let code = match error {
        CheckpointError::UnknownOrigin { .. } => Code::OriginUnknown,
        CheckpointError::QuorumNotMet { .. } => Code::QuorumNotMet,
        _ => Code::CheckpointSignatureInvalid,
    };
    code.because(with_causes(error))
}

pub(super) fn inclusion_refusal(error: &ProofError) -> Refusal {
    let code = match error {
        ProofError::IndexOutOfRange { .. } => Code::IndexOutOfRange,
        ProofError::SurplusHashes { .. } => Code::ProofSurplus,
        ProofError::RootMismatch { .. } => Code::RootMismatch,
        _ => Code::ProofMalformed,
    };
    code.because(with_causes(error))
}
