//! The head of a piece of evidence: its checkpoint, who signed that, and what the errors below it are called here.

use tlog::ProofError;
use tlog::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};

use crate::codes::{Code, Refusal};
use crate::verify::causes::with_causes;
use crate::verify::draft::Draft;
use crate::verify::report::CheckId;
use crate::verify::trust::Trust;

/// Milliseconds in a second: witnesses count seconds, records milliseconds.
const SECOND_MS: u64 = 1000;

/// The checkpoint as far as the log's own signature goes. Witnesses that are missing fail their own check; whether
/// the leaf is in the tree can be said all the same.
pub(super) fn check_checkpoint(
    draft: &mut Draft,
    signed: &SignedCheckpoint,
    trust: &Trust,
) -> Option<VerifiedCheckpoint> {
    let (verified, witnesses) = match trust.policy.verify(signed) {
        Ok(verified) => (verified, Ok(())),
        Err(error) => {
            let Ok(verified) = signed_by_log(signed, trust) else {
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

/// The checkpoint if a log of the policy has signed it. Where a log has several keys, none of their lines may be wrong
/// (signed-note, "Verifying"): one good line does not make up for a forged one.
pub(super) fn signed_by_log(
    signed: &SignedCheckpoint,
    trust: &Trust,
) -> Result<VerifiedCheckpoint, CheckpointError> {
    let origin = signed.unverified().origin.clone();
    let logs = trust.policy.logs().iter();
    let own = logs.filter(|log| log.key.name().as_str() == origin.as_str());
    let mut found = Err(CheckpointError::UnknownOrigin {
        origin: origin.clone(),
    });
    for log in own {
        found = match (signed.verify(&log.key), found) {
            (Err(CheckpointError::NotSignedByLog { .. }), Ok(verified)) => Ok(verified),
            (Err(error @ CheckpointError::NotSignedByLog { .. }), Err(_)) => Err(error),
            (verified, _) => Ok(verified?),
        };
    }
    found
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
