//! Commits groups: what was planned in, a signed head that is durable out.

use std::sync::Arc;
use std::time::Instant;

use ledger::digest::RecordHash;
use ledger::govern::State;
use store::{
    AppendError, Appended, Group, Journal, Storage, Store, StoreError, StoredCheckpoint, Term,
};
use tlog::Hash;
use tlog::tile::Edge;

use super::duties::Duty;
use super::plan::Growth;
use crate::log::signer::Signer;
use crate::metrics;

/// Owns the journal, the newest head and the signer of the next.
pub(super) struct Committer {
    journal: Arc<dyn Journal>,
    store: Arc<dyn Store>,
    term: Term,
    signer: Signer,
    head: Option<StoredCheckpoint>,
}

/// A group that is durable, and what the log is with it.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) head: StoredCheckpoint,
    pub(super) edge: Edge,
    pub(super) state: State,
    /// What the log grew by.
    pub(super) leaves: Vec<(RecordHash, Vec<u8>)>,
    /// Of each leaf its hash in the tree.
    pub(super) hashes: Vec<Hash>,
    /// What of it the service added by itself.
    pub(super) duties: Vec<Duty>,
    /// The log in front of its newest pulse.
    pub(super) pulsed: Option<(Edge, State)>,
}

impl Committer {
    /// Takes the lead of a log that ends at `head`: nobody who led before can commit from here on.
    pub(super) fn lead(
        storage: Storage,
        signer: Signer,
        head: Option<StoredCheckpoint>,
    ) -> Result<Self, StoreError> {
        let Storage { journal, store } = storage;
        Ok(Self {
            term: journal.lead()?,
            journal,
            store,
            signer,
            head,
        })
    }

    /// Makes a group durable, and readable. Its head has not left this function before it is.
    ///
    /// # Errors
    /// [`CommitError`]. Only after [`CommitError::NotDone`] may anything be committed again.
    pub(super) fn commit(&mut self, growth: Growth) -> Result<Committed, CommitError> {
        let (group, mut committed) = self.seal(growth);
        let started = Instant::now();
        match self.journal.append(&group, self.term) {
            Ok(Appended::Durable) => {}
            Ok(Appended::Fenced) => return Err(CommitError::Fenced),
            Err(AppendError::NotDone(error)) => return Err(CommitError::NotDone(error)),
            Err(AppendError::Unknown(error)) => return Err(CommitError::Unknown(error)),
        }
        self.store.apply(&group).map_err(CommitError::NotApplied)?;
        metrics::committed(&group, started.elapsed());
        self.head = Some(group.checkpoint);
        committed.leaves = group.leaves;
        Ok(committed)
    }

    /// Signs the head of a group.
    fn seal(&self, growth: Growth) -> (Group, Committed) {
        let size = growth.edge.size();
        let checkpoint = StoredCheckpoint {
            size,
            time_ms: growth.time_ms,
            checkpoint: self.signer.sign(size, growth.edge.root()),
        };
        let older = self.head.as_ref().filter(|_| !ends_a_pack(&growth));
        let group = Group {
            first: growth.first,
            leaves: growth.leaves,
            mentions: growth.mentions,
            tiles: growth.tiles,
            supersedes: checkpoint.superseded(older),
            checkpoint,
        };
        let committed = Committed {
            head: group.checkpoint.clone(),
            edge: growth.edge,
            state: growth.state,
            // They are the group's until it is durable.
            leaves: Vec::new(),
            hashes: growth.hashes,
            duties: growth.duties,
            pulsed: growth.pulsed,
        };
        (group, committed)
    }
}

/// Whether the head in front of a group stays, however young it is: the group begins with a pulse. A pack may end there, and
/// the next begin with the state that the pulse names. In front of the first pulse there is nothing but the charter.
fn ends_a_pack(growth: &Growth) -> bool {
    let pulse = growth.pulsed.as_ref().map(|(edge, _)| edge.size().get());
    growth.first.get() > 1 && pulse == Some(growth.first.get())
}

/// Why a group was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// It was not written, and everything is as it was before.
    #[error("a group was not written")]
    NotDone(#[source] StoreError),
    /// It may have been written.
    #[error("a commit failed, and its outcome is unknown")]
    Unknown(#[source] StoreError),
    /// It was not written, because another process leads the log.
    #[error("another process leads the log")]
    Fenced,
    /// It is durable, and readers do not have it.
    #[error("a group is durable, but the store that readers use did not take it")]
    NotApplied(#[source] StoreError),
}
