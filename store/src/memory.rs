//! A store in memory, and an engine of such stores: for tests, and as the shortest statement of what a store does.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ledger::digest::RecordHash;
use ledger::record::Kind;
use tlog::{Hash, LeafIndex, TreeSize};

use crate::{
    AppendError, Appended, Copies, CopyError, Counts, Engine, Group, Journal, Journaled,
    OpenStoreError, Order, Storage, Store, StoreError, StoredCheckpoint, Term, TileKey, Topic,
    stretches,
};

/// A log that is gone when the process is.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: RwLock<Rows>,
    term: Mutex<Term>,
}

/// The rows, open to tests that tamper with them.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Leaves by index.
    pub leaves: Vec<Vec<u8>>,
    /// Full tiles by place.
    pub tiles: BTreeMap<TileKey, Vec<Hash>>,
    /// Indices by record.
    pub records: BTreeMap<RecordHash, LeafIndex>,
    /// Kinds of records by what they are about and where they are.
    pub mentions: BTreeMap<(Topic, LeafIndex), Kind>,
    /// Kept checkpoints by size.
    pub checkpoints: BTreeMap<TreeSize, StoredCheckpoint>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store with these rows.
    #[must_use]
    pub fn from_rows(rows: Rows) -> Self {
        Self {
            rows: RwLock::new(rows),
            term: Mutex::default(),
        }
    }

    /// A copy of all rows.
    #[must_use]
    pub fn rows(&self) -> Rows {
        self.read().clone()
    }

    // A thread that panicked while it held a lock left whole rows behind: whoever adds checks first, then inserts.
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn term(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn add(&mut self, group: &Group) -> Result<(), StoreError> {
        let (got, want) = (group.first.get(), self.leaves.len() as u64);
        if got != want {
            return Err(StoreError::NotNext { got, want });
        }
        for (index, (record, leaf)) in (got..).zip(&group.leaves) {
            self.leaves.push(leaf.clone());
            self.records.insert(*record, LeafIndex::new(index));
        }
        for mention in group.mentions.iter().cloned() {
            self.mentions
                .insert((mention.topic, mention.index), mention.kind);
        }
        self.tiles.extend(group.tiles.iter().cloned());
        if let Some(size) = group.supersedes {
            self.checkpoints.remove(&size);
        }
        let checkpoint = group.checkpoint.clone();
        self.checkpoints.insert(checkpoint.size, checkpoint);
        Ok(())
    }
}

impl Journal for MemoryStore {
    fn lead(&self) -> Result<Term, StoreError> {
        let mut term = self.term();
        *term = term.next();
        Ok(*term)
    }

    fn append(&self, group: &Group, term: Term) -> Result<Appended, AppendError> {
        let newest = self.term();
        if *newest != term {
            return Ok(Appended::Fenced);
        }
        self.write().add(group).map_err(AppendError::NotDone)?;
        Ok(Appended::Durable)
    }

    fn after(&self, size: TreeSize, limit: usize) -> Result<Vec<Journaled>, StoreError> {
        stretches(self, size, limit)
    }

    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        Store::head(self)
    }
}

impl Store for MemoryStore {
    fn apply(&self, group: &Group) -> Result<(), StoreError> {
        if group.is_in(self)? {
            return Ok(());
        }
        self.write().add(group)
    }

    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        let rows = self.read();
        let newest = rows.checkpoints.last_key_value();
        Ok(newest.map(|(_, checkpoint)| checkpoint.clone()))
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = self.read();
        let leaf = |index: u64| {
            let place = usize::try_from(index).ok();
            let leaf = place.and_then(|place| rows.leaves.get(place));
            leaf.cloned().ok_or(StoreError::LeafMissing { index })
        };
        range.map(leaf).collect()
    }

    fn tiles(&self, tiles: &[TileKey]) -> Result<Vec<Vec<Hash>>, StoreError> {
        let rows = self.read();
        let tile = |key: &TileKey| {
            let TileKey { level, index } = *key;
            let tile = rows.tiles.get(key).cloned();
            tile.ok_or(StoreError::TileMissing { level, index })
        };
        tiles.iter().map(tile).collect()
    }

    fn find(&self, records: &[RecordHash]) -> Result<Vec<Option<LeafIndex>>, StoreError> {
        let rows = self.read();
        let index = |record| rows.records.get(record).copied();
        Ok(records.iter().map(index).collect())
    }

    fn mentions(
        &self,
        topic: &Topic,
        range: Range<u64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(LeafIndex, Kind)>, StoreError> {
        let rows = self.read();
        let key = |index| (topic.clone(), LeafIndex::new(index));
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let found = rows.mentions.range(key(range.start)..key(range.end));
        let found = found.map(|((_, index), kind)| (*index, *kind));
        Ok(match order {
            Order::OldestFirst => found.take(limit).collect(),
            Order::NewestFirst => found.rev().take(limit).collect(),
        })
    }

    fn checkpoints(
        &self,
        after: TreeSize,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let rows = self.read();
        let from = TreeSize::new(after.get().saturating_add(1));
        let newer = rows.checkpoints.range(from..);
        Ok(newer
            .take(limit)
            .map(|(_, checkpoint)| checkpoint.clone())
            .collect())
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        let rows = self.read();
        Ok(Counts {
            leaves: rows.leaves.len() as u64,
            tiles: rows.tiles.len() as u64,
            records: rows.records.len() as u64,
            mentions: rows.mentions.len() as u64,
            checkpoints: rows.checkpoints.len() as u64,
        })
    }

    fn snapshot(&self, _: &Path) -> Result<(), StoreError> {
        Err(StoreError::InMemory)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }
}

/// An engine whose stores have paths and no files, so that what makes and opens logs can be tested without a database.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    stores: Mutex<BTreeMap<PathBuf, Arc<MemoryStore>>>,
}

impl MemoryEngine {
    /// An engine without a store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn stores(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<MemoryStore>>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for MemoryEngine {
    fn create(&self, path: &Path) -> Result<Storage, OpenStoreError> {
        let mut stores = self.stores();
        if stores.contains_key(path) {
            return Err(OpenStoreError::Database {
                path: path.to_owned(),
                error: "there is a store already".into(),
            });
        }
        let store = Arc::new(MemoryStore::new());
        stores.insert(path.to_owned(), Arc::clone(&store));
        Ok(store.into())
    }

    fn open(&self, path: &Path) -> Result<Storage, OpenStoreError> {
        let store = self.stores().get(path).cloned();
        let absent = || OpenStoreError::NotAStore {
            path: path.to_owned(),
        };
        store.map(Storage::from).ok_or_else(absent)
    }

    fn open_within(&self, path: &Path, _: u64) -> Result<Storage, OpenStoreError> {
        self.open(path)
    }

    fn copies(&self, _: &Path) -> Result<Box<dyn Copies>, CopyError> {
        Err(StoreError::InMemory.into())
    }

    fn copies_without(
        &self,
        _: &Path,
        _: &dyn Fn(u32) -> bool,
    ) -> Result<Box<dyn Copies>, CopyError> {
        Err(StoreError::InMemory.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[test]
    fn it_conforms() {
        conformance::store(&|| Arc::new(MemoryStore::new()));
        conformance::journal(&|| Arc::new(MemoryStore::new()));
    }

    #[test]
    fn an_engine_opens_what_it_made_and_nothing_else() {
        let engine = MemoryEngine::new();
        let (one, other) = (Path::new("one"), Path::new("other"));
        let made = engine.create(one).unwrap();
        let group = conformance::group(0, 2);
        made.store.apply(&group).unwrap();
        let opened = engine.open(one).unwrap();
        assert_eq!(opened.store.head().unwrap(), Some(group.checkpoint));
        assert!(engine.create(one).is_err());
        assert!(engine.open(other).is_err());
    }
}
