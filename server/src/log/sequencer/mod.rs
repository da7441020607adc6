//! The sequencer: the one thread that owns the tree and the governance state.
//!
//! Each turn of it is a group: what was due, then whatever has queued up while the last group was being synced.
//! There is no timer to wait for; a lone record is a group of one.
//!
//! ```text
//! planner     pure: admit, give index and time, extend the edge, what the control plane adds by itself
//! committer   sign the head; one batch, one sync: leaves, tiles, lookup rows, signed checkpoint
//! publisher   swap the head that readers see, answer those who wait
//! ```
//!
//! What one of them is done with it hands to the next as a value. The planner is ahead of what is committed, so the
//! next group may be planned while one is being synced: nothing but [`writer`] says that it is not.
//!
//! An error whose outcome is unknown is [`Fatal`]: nothing is signed or answered after it, and the next start
//! recovers from what is stored. A group that was certainly not written is put off, and its records may come again.

mod committer;
mod disk_space;
mod duties;
mod genesis;
mod plan;
mod planner;
mod publisher;
mod refusals;
mod writer;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;

use ledger::codes::Refusal;
use ledger::key::KeyId;
use ledger::record::{CheckedRecord, Kind};
use store::StoreError;
use tlog::LeafIndex;
use tokio::sync::oneshot;

use super::health::Status;
use super::{OpenError, Submitted};

pub use committer::CommitError;
pub(crate) use duties::Duty;
pub use genesis::{GenesisError, found, judge_charter};
pub(super) use writer::Writer;

/// The most submitted records in one group. It bounds how much a failed sync leaves unknown and how long the first of
/// a group waits for the last; beyond it larger groups hardly raise the throughput.
const MAX_GROUP: usize = 1_024;

/// A record whose signatures were checked, and who waits for what becomes of it.
pub(super) struct Submission {
    pub(super) record: CheckedRecord,
    pub(super) answer: oneshot::Sender<Result<Submitted, Refusal>>,
}

/// Why the sequencer stopped by itself. What is in the log is known only after a restart.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// A group was not committed, or nobody knows whether it was.
    #[error(transparent)]
    Commit(CommitError),
    /// The store could not be read.
    #[error("the store could not be read")]
    Read(#[from] StoreError),
    /// A leaf that was to be answered with cannot be read.
    #[error("leaf {index} is damaged")]
    LeafDamaged {
        /// Its index.
        index: LeafIndex,
    },
    /// The rules refuse a record of the control plane's own, so going on would break them.
    #[error("the rules refuse the control plane's own {kind}")]
    OwnRecordRefused {
        /// What it was.
        kind: Kind,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// An amendment of the charter took the control role from the key that this process signs with. It is logged, and
    /// nothing was signed with that key since.
    #[error(
        "the charter no longer gives key {keyid} the control role: put the key that it names in its place and start again"
    )]
    OutOfOffice {
        /// The key's name.
        keyid: KeyId,
    },
    /// An amendment of the charter took the log key away that this process signs with. It is logged as the last leaf of
    /// its group, and nothing was signed with that key since.
    #[error(
        "the charter no longer names the log key {vkey}: put the key that it names in its place and start again"
    )]
    LogKeyReplaced {
        /// The key, as the charter spelled it.
        vkey: String,
    },
    /// A fault of this program.
    #[error("the sequencer panicked")]
    Panicked,
}

/// The running sequencer, to be waited for.
#[derive(Debug)]
pub struct Sequencer {
    thread: JoinHandle<Result<(), Fatal>>,
    ended: Option<oneshot::Receiver<()>>,
}

impl Sequencer {
    pub(super) fn spawn(
        mut writer: Writer,
        queue: Receiver<Submission>,
        status: Arc<Status>,
    ) -> Result<Self, OpenError> {
        let (signal, ended) = oneshot::channel();
        let work = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut writer, &queue)));
            let outcome = outcome.unwrap_or(Err(Fatal::Panicked));
            status.ended(outcome.as_ref().err().map(ToString::to_string));
            // Those that still wait in the queue learn that there is no answer.
            drop(queue);
            // Nobody listens if the handle was dropped, which is the owner's right.
            let _ = signal.send(());
            outcome
        };
        let thread = std::thread::Builder::new().name("sequencer".to_owned());
        let thread = thread.spawn(work).map_err(OpenError::Thread)?;
        Ok(Self {
            thread,
            ended: Some(ended),
        })
    }

    /// Waits until the sequencer has ended: after [`Log::stop`](super::Log::stop), or by a fatal error.
    pub async fn ended(&mut self) {
        if let Some(ended) = self.ended.take() {
            // A signal and a dropped sender mean the same: the thread is at its end.
            let _ = ended.await;
        }
    }

    /// Waits for the thread.
    ///
    /// # Errors
    /// [`Fatal`], if it did not end because it was told to.
    pub fn join(self) -> Result<(), Fatal> {
        self.thread.join().unwrap_or(Err(Fatal::Panicked))
    }
}

fn run(writer: &mut Writer, queue: &Receiver<Submission>) -> Result<(), Fatal> {
    loop {
        match queue.recv_timeout(writer.idle_time()) {
            Ok(first) => writer.turn(gather(first, queue))?,
            Err(RecvTimeoutError::Timeout) => writer.turn(Vec::new())?,
            Err(RecvTimeoutError::Disconnected) => return writer.finish(),
        }
    }
}

fn gather(first: Submission, queue: &Receiver<Submission>) -> Vec<Submission> {
    std::iter::once(first)
        .chain(queue.try_iter())
        .take(MAX_GROUP)
        .collect()
}
