//! Signature checks, away from the threads that answer and the one that sequences.
//!
//! The pool says *which* keys signed; what they may do is decided in the sequencer. A key that the published state
//! does not know yet is left open, for the sequencer to look up.

use std::sync::Arc;

use ledger::codes::{Code, Refusal};
use ledger::govern::State;
use ledger::key::KeyId;
use ledger::record::{CheckedRecord, SignedRecord};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::Published;

/// How many records one task checks: a millisecond or two of work, far above the cost of handing it over.
const BATCH: usize = 64;

/// Bounds how many signature checks run at once, to the number of processors.
pub(crate) struct SignaturePool {
    permits: Arc<Semaphore>,
}

impl SignaturePool {
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            permits: Arc::new(Semaphore::new(processors)),
        }
    }

    /// Checks records side by side and gives them back in their order.
    pub(crate) async fn check(
        &self,
        records: Vec<SignedRecord>,
        published: Arc<Published>,
    ) -> Result<Vec<CheckedRecord>, Refusal> {
        if records.len() == 1 {
            // Another thread would take as long to begin as this takes to do.
            return Ok(check_all(records, &published.state));
        }
        let lost = |_| Code::Internal.because("a signature check did not end");
        let mut checked = Vec::with_capacity(records.len());
        let mut batches = Vec::new();
        let mut records = records.into_iter();
        loop {
            let batch: Vec<SignedRecord> = records.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let permit = permit.map_err(|_| Code::Stopping.because("the service is stopping"))?;
            let published = Arc::clone(&published);
            batches.push(spawn_blocking(move || {
                let _permit = permit;
                check_all(batch, &published.state)
            }));
        }
        for batch in batches {
            checked.extend(batch.await.map_err(lost)?);
        }
        Ok(checked)
    }
}

/// What an agent has seen of the log is signed too, and the sequencer would have to check it.
fn check_all(batch: Vec<SignedRecord>, state: &State) -> Vec<CheckedRecord> {
    let (key, logs) = (|id: &KeyId| state.key(id), state.logs());
    let check = |mut record: SignedRecord| {
        record.check_ahead(&key, &logs);
        record.check(&key)
    };
    batch.into_iter().map(check).collect()
}
