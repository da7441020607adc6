//! The first leaf of a log: its charter.

use std::sync::Arc;

use ledger::codes::{Code, Refusal};
use ledger::govern::State;
use ledger::record::{Kind, SignedRecord};
use store::{Storage, StoreError};
use tlog::tile::Edge;

use super::committer::{CommitError, Committer};
use super::plan::{Growth, Plan};
use crate::log::LogKeys;
use crate::log::signer::Signer;

/// Founds a log: commits charter 1 at index 0, with the first signed checkpoint.
///
/// # Errors
/// [`GenesisError`] if the store is not empty, the charter does not stand by itself, or the commit failed.
pub fn found(
    storage: impl Into<Storage>,
    keys: &LogKeys,
    charter: SignedRecord,
    now_ms: u64,
) -> Result<(), GenesisError> {
    let storage = storage.into();
    if storage.journal.head()?.is_some() {
        return Err(GenesisError::NotEmpty);
    }
    let growth = plan(keys, charter, now_ms)?;
    let mut committer = Committer::lead(storage, Signer::new(keys.log.clone()), None)?;
    committer.commit(growth)?;
    Ok(())
}

/// Judges a charter as the first leaf of a log, and touches no store.
///
/// # Errors
/// The rule that it breaks.
pub fn judge_charter(keys: &LogKeys, charter: SignedRecord, now_ms: u64) -> Result<(), Refusal> {
    plan(keys, charter, now_ms).map(drop)
}

fn plan(keys: &LogKeys, charter: SignedRecord, now_ms: u64) -> Result<Growth, Refusal> {
    if charter.kind() != Kind::Charter {
        return Err(Code::CharterMissing.because("a log begins with its charter"));
    }
    let control = Arc::new(keys.control.clone());
    let log_key = keys.log.verifier_key();
    let mut plan = Plan::new(Edge::new(), State::new(), now_ms, control, log_key);
    plan.admit(&charter.check(&|_| None))?;
    let growth = plan.finish();
    growth.ok_or_else(|| Code::Internal.because("a plan with a charter is not empty"))
}

/// Why a log was not founded.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// There is a log in the store.
    #[error("the store already holds a log")]
    NotEmpty,
    /// The rules do not take the charter.
    #[error("the charter is not valid")]
    Charter(#[from] Refusal),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The charter was not committed, or nobody knows whether it was.
    #[error("the charter was not committed")]
    Commit(#[from] CommitError),
}
