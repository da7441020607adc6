//! The first leaf of a log: its charter.

use std::sync::Arc;

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::govern::State;
use ledger::key::PrivateKey;
use ledger::record::{Kind, SignedRecord};
use tlog::checkpoint::{self, Checkpoint, Origin};
use tlog::note::SigningKey;
use tlog::tile::Edge;

use super::plan::Plan;
use crate::store::{Group, Store, StoreError};

/// Founds a log: commits charter 1 at index 0, with the first signed checkpoint. Its name, the trust fingerprint of
/// the log, comes back.
///
/// # Errors
/// [`GenesisError`] if the store is not empty, the charter does not stand by itself, or the commit failed.
pub fn found(
    store: &dyn Store,
    log: &SigningKey,
    charter: SignedRecord,
    now_ms: u64,
) -> Result<RecordHash, GenesisError> {
    if store.head()?.is_some() {
        return Err(GenesisError::NotEmpty);
    }
    let hash = charter.hash();
    let group = plan(log, charter, now_ms)?;
    store.commit(&group)?;
    Ok(hash)
}

/// Judges a charter as the first leaf of a log, and plans the group that has it alone.
///
/// # Errors
/// The rule that it breaks.
fn plan(log: &SigningKey, charter: SignedRecord, now_ms: u64) -> Result<Group, Refusal> {
    if charter.kind() != Kind::Charter {
        return Err(Code::CharterMissing.because("a log begins with its charter"));
    }
    // No key signs for the control plane here: a charter causes no transition.
    let nobody = Arc::new(PrivateKey::from_seed(&[0; 32]));
    let mut plan = Plan::new(Edge::new(), State::new(), now_ms, nobody);
    plan.admit(&charter.check(|_| None))?;
    let sign = |size, root| {
        let origin = Origin::from(log.verifier_key().name().clone());
        checkpoint::sign(log, &Checkpoint::new(origin, size, root))
    };
    let group = plan.group(None, sign);
    group.ok_or_else(|| Code::Internal.because("a plan with a charter is not empty"))
}

/// Why a log was not founded.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// There is a log in the store.
    #[error("the store holds a log already")]
    NotEmpty,
    /// The rules do not take the charter.
    #[error("the charter does not stand")]
    Charter(#[from] Refusal),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}
