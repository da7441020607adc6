//! A store whose commits fail when a test says so, with either outcome that a real failure can have.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ledger::digest::RecordHash;
use ledger::record::Kind;
use tlog::{Hash, LeafIndex, TreeSize};

use super::{Counts, Group, Order, Store, StoreError, StoredCheckpoint, TileKey, Topic};

/// What became of the group whose commit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing of it is stored.
    Failed,
    /// All of it is stored; only the word of it was lost.
    FailedButPersisted,
}

/// Fails one commit: the one with this number, counted from 0. Its disk can be made full.
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    fault: Fault,
    commits_until: AtomicU64,
    free_bytes: AtomicU64,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn Store>, fault: Fault, commit: u64) -> Self {
        Self {
            inner,
            fault,
            commits_until: commit.into(),
            free_bytes: u64::MAX.into(),
        }
    }

    /// A store that never fails, on a disk with so much room.
    pub(crate) fn with_room(inner: Arc<dyn Store>, free_bytes: u64) -> Self {
        let store = Self::new(inner, Fault::Failed, u64::MAX);
        store.set_free_bytes(free_bytes);
        store
    }

    pub(crate) fn set_free_bytes(&self, free_bytes: u64) {
        self.free_bytes.store(free_bytes, Ordering::SeqCst);
    }
}

impl Store for FaultyStore {
    fn commit(&self, group: &Group) -> Result<(), StoreError> {
        if self.commits_until.fetch_sub(1, Ordering::SeqCst) > 0 {
            return self.inner.commit(group);
        }
        if self.fault == Fault::FailedButPersisted {
            self.inner.commit(group)?;
        }
        Err(StoreError::Injected)
    }

    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.inner.head()
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        self.inner.leaves(range)
    }

    fn tiles(&self, tiles: &[TileKey]) -> Result<Vec<Vec<Hash>>, StoreError> {
        self.inner.tiles(tiles)
    }

    fn find(&self, records: &[RecordHash]) -> Result<Vec<Option<LeafIndex>>, StoreError> {
        self.inner.find(records)
    }

    fn mentions(
        &self,
        topic: &Topic,
        range: Range<u64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(LeafIndex, Kind)>, StoreError> {
        self.inner.mentions(topic, range, order, limit)
    }

    fn checkpoints(
        &self,
        after: TreeSize,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        self.inner.checkpoints(after, limit)
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        self.inner.counts()
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        Ok(Some(self.free_bytes.load(Ordering::SeqCst)))
    }
}
