//! Storage that fails when a test says so, with every outcome that a real failure can have.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ledger::digest::RecordHash;
use ledger::record::Kind;
use tlog::{Hash, LeafIndex, TreeSize};

use crate::{
    AppendError, Appended, Counts, Group, Journal, Journaled, Order, Storage, Store, StoreError,
    StoredCheckpoint, Term, TileKey, Topic,
};

/// What of a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The journal is to make the group durable.
    Append,
    /// The store is to show it to readers.
    Apply,
}

/// What became of the group whose commit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of it is stored, and the journal says so. A store says no more than that it failed.
    NotDone,
    /// Nothing of it is stored, and nobody says so.
    Failed,
    /// All of it is stored; only the word of it was lost.
    FailedButPersisted,
}

/// Fails one step of one commit: the one with this number, counted from 0. Its disk can be made full, and one of its
/// reads can be made to fail.
pub struct FaultyStore {
    inner: Storage,
    step: Step,
    fault: Fault,
    commits_until: AtomicU64,
    reads_until: AtomicU64,
    free_bytes: AtomicU64,
}

/// A fault that a test injected.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("injected fault")]
pub struct Injected;

impl FaultyStore {
    /// Storage whose journal fails at this commit.
    #[must_use]
    pub fn new(inner: impl Into<Storage>, fault: Fault, commit: u64) -> Self {
        Self::at(inner, Step::Append, fault, commit)
    }

    /// Storage that fails at this step of this commit.
    #[must_use]
    pub fn at(inner: impl Into<Storage>, step: Step, fault: Fault, commit: u64) -> Self {
        Self {
            inner: inner.into(),
            step,
            fault,
            commits_until: commit.into(),
            reads_until: u64::MAX.into(),
            free_bytes: u64::MAX.into(),
        }
    }

    /// Storage that never fails, on a disk with so much room.
    #[must_use]
    pub fn with_room(inner: impl Into<Storage>, free_bytes: u64) -> Self {
        let store = Self::new(inner, Fault::Failed, u64::MAX);
        store.set_free_bytes(free_bytes);
        store
    }

    /// Storage of which one read fails: the one with this number, counted from 0.
    #[must_use]
    pub fn with_failing_read(inner: impl Into<Storage>, read: u64) -> Self {
        let mut store = Self::new(inner, Fault::Failed, u64::MAX);
        store.reads_until = read.into();
        store
    }

    /// Sets how much room the disk has.
    pub fn set_free_bytes(&self, free_bytes: u64) {
        self.free_bytes.store(free_bytes, Ordering::SeqCst);
    }

    fn is_due(&self, step: Step) -> bool {
        step == self.step && self.commits_until.fetch_sub(1, Ordering::SeqCst) == 0
    }

    /// The store beneath, unless this read is the one that fails.
    fn reading(&self) -> Result<&dyn Store, StoreError> {
        match self.reads_until.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(injected()),
            _ => Ok(self.inner.store.as_ref()),
        }
    }
}

fn injected() -> StoreError {
    StoreError::Engine(Box::new(Injected))
}

impl Journal for FaultyStore {
    fn lead(&self) -> Result<Term, StoreError> {
        self.inner.journal.lead()
    }

    fn append(&self, group: &Group, term: Term) -> Result<Appended, AppendError> {
        if !self.is_due(Step::Append) {
            return self.inner.journal.append(group, term);
        }
        match self.fault {
            Fault::NotDone => return Err(AppendError::NotDone(injected())),
            Fault::Failed => {}
            Fault::FailedButPersisted => {
                self.inner.journal.append(group, term)?;
            }
        }
        Err(AppendError::Unknown(injected()))
    }

    fn after(&self, size: TreeSize, limit: usize) -> Result<Vec<Journaled>, StoreError> {
        self.inner.journal.after(size, limit)
    }

    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.inner.journal.head()
    }
}

impl Store for FaultyStore {
    fn apply(&self, group: &Group) -> Result<(), StoreError> {
        if !self.is_due(Step::Apply) {
            return self.inner.store.apply(group);
        }
        if self.fault == Fault::FailedButPersisted {
            self.inner.store.apply(group)?;
        }
        Err(injected())
    }

    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.reading()?.head()
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        self.reading()?.leaves(range)
    }

    fn tiles(&self, tiles: &[TileKey]) -> Result<Vec<Vec<Hash>>, StoreError> {
        self.reading()?.tiles(tiles)
    }

    fn find(&self, records: &[RecordHash]) -> Result<Vec<Option<LeafIndex>>, StoreError> {
        self.reading()?.find(records)
    }

    fn mentions(
        &self,
        topic: &Topic,
        range: Range<u64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(LeafIndex, Kind)>, StoreError> {
        self.reading()?.mentions(topic, range, order, limit)
    }

    fn checkpoints(
        &self,
        after: TreeSize,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        self.reading()?.checkpoints(after, limit)
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        self.reading()?.counts()
    }

    fn snapshot(&self, to: &Path) -> Result<(), StoreError> {
        self.inner.store.snapshot(to)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        Ok(Some(self.free_bytes.load(Ordering::SeqCst)))
    }
}
