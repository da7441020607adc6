//! Where the log is kept: a [`Journal`] makes groups durable, a [`Store`] is what readers use.
//!
//! A store has leaves, full tiles, the index of each record, and signed checkpoints. It grows by whole
//! [`Group`]s and forgets nothing but superseded checkpoints, so a reader needs no lock: whatever lies under a
//! published checkpoint stays as it is. What it gives back is not trusted: whoever reads compares it with a
//! signed root.
//!
//! On one machine both are one database, opened by one door, its [`Engine`]. Where several machines share a log, the
//! journal is theirs together and each has a store of its own.
//!
//! [`memory`] is for tests and is the shortest statement of what a store does, [`faulty`] fails when a test says so, and
//! [`conformance`] is what each implementation has to pass. They stand behind no feature: they need nothing but this
//! crate, and a feature that tests alone switch on would have the service compiled twice, with it and without.
//!
//! In scope: durability and atomicity. Out of scope: what leaves mean, what hashes must be.

pub mod conformance;
mod engine;
pub mod faulty;
mod journal;
pub mod memory;
mod mention;

use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ledger::digest::RecordHash;
use ledger::record::Kind;
use tlog::{Hash, LeafIndex, TreeSize};

pub use engine::{Copied, Copies, CopyError, Engine, OpenStoreError};
pub use journal::{AppendError, Appended, Journal, Journaled, Term, stretches};
pub use mention::{Mention, Order, Topic};

/// Where a log is kept.
#[derive(Clone)]
pub struct Storage {
    /// Makes groups durable.
    pub journal: Arc<dyn Journal>,
    /// What readers use.
    pub store: Arc<dyn Store>,
}

impl<T: Journal + Store> From<Arc<T>> for Storage {
    /// One database that is both.
    fn from(both: Arc<T>) -> Self {
        Self {
            journal: Arc::clone(&both) as Arc<dyn Journal>,
            store: both,
        }
    }
}

/// What readers use. Calls may come from any thread; only one thread ever applies.
pub trait Store: Send + Sync + 'static {
    /// Adds a group that the journal has made durable, all of it or nothing. A group that is there already is compared
    /// and left as it is. This need not be durable: what is lost is applied again from the journal.
    ///
    /// # Errors
    /// [`StoreError::NotNext`] if there is a hole before it, [`StoreError::Contradicted`] if other leaves stand in its
    /// place; any other means that nobody knows whether it is there.
    fn apply(&self, group: &Group) -> Result<(), StoreError>;

    /// The newest checkpoint; `None` in a store without leaves.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError>;

    /// The leaves of these indices.
    ///
    /// # Errors
    /// [`StoreError::LeafMissing`] for the first that is not there.
    fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError>;

    /// The hashes of full tiles, in the order asked for.
    ///
    /// # Errors
    /// [`StoreError::TileMissing`] for the first that is not there.
    fn tiles(&self, tiles: &[TileKey]) -> Result<Vec<Vec<Hash>>, StoreError>;

    /// The index of each record, in the order asked for; `None` where the log has no such record.
    ///
    /// # Errors
    /// [`StoreError`] if the index cannot be read.
    fn find(&self, records: &[RecordHash]) -> Result<Vec<Option<LeafIndex>>, StoreError>;

    /// Up to `limit` of the leaves of a range that are about a topic, with the kinds of their records.
    ///
    /// # Errors
    /// [`StoreError`] if the rows cannot be read.
    fn mentions(
        &self,
        topic: &Topic,
        range: Range<u64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(LeafIndex, Kind)>, StoreError>;

    /// Up to `limit` kept checkpoints of sizes above `after`, ascending.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn checkpoints(
        &self,
        after: TreeSize,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError>;

    /// How many rows of each sort there are, counted one by one: for a check of everything.
    ///
    /// # Errors
    /// [`StoreError`] if a row cannot be read.
    fn counts(&self) -> Result<Counts, StoreError>;

    /// Copies the store as it is now to a path where nothing is yet, on the same file system. What is copied can be opened
    /// by itself; writers and readers go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] if the copy was not made, or the store is none that has files.
    fn snapshot(&self, to: &Path) -> Result<(), StoreError>;

    /// Bytes that may still be written where the store lives; `None` where nothing bounds it.
    ///
    /// # Errors
    /// [`StoreError`] if the file system does not say.
    fn free_bytes(&self) -> Result<Option<u64>, StoreError>;
}

/// What is made durable at once: leaves, what follows from them, and the checkpoint that covers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The index of the first leaf, which is the size of the log before.
    pub first: LeafIndex,
    /// The leaves, each with the name of the record in it.
    pub leaves: Vec<(RecordHash, Vec<u8>)>,
    /// What the leaves are about.
    pub mentions: Vec<Mention>,
    /// The tiles that became full with them.
    pub tiles: Vec<(TileKey, Vec<Hash>)>,
    /// The signed head of the log with these leaves.
    pub checkpoint: StoredCheckpoint,
    /// A kept checkpoint that this one takes the place of: the history holds the newest of each second.
    pub supersedes: Option<TreeSize>,
}

impl Group {
    /// The size of the log with this group.
    #[must_use]
    pub const fn end(&self) -> TreeSize {
        self.checkpoint.size
    }

    /// Whether a store has this group already. Of an equal signed head no leaf is read: it vouches for all of them.
    ///
    /// # Errors
    /// [`StoreError::Contradicted`] if other leaves stand in its place; any other if the store cannot be read.
    pub fn is_in(&self, store: &dyn Store) -> Result<bool, StoreError> {
        let size = store.head()?.map_or(0, |head| head.size.get());
        let end = self.end().get();
        if end > size {
            return Ok(false);
        }
        let before = TreeSize::new(end.saturating_sub(1));
        let kept = store.checkpoints(before, 1)?;
        if kept.first() == Some(&self.checkpoint) {
            return Ok(true);
        }
        let stored = store.leaves(self.first.get()..end)?;
        match stored.iter().eq(self.leaves.iter().map(|(_, leaf)| leaf)) {
            true => Ok(true),
            false => Err(StoreError::Contradicted { size: end }),
        }
    }
}

/// The place of a full tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileKey {
    /// The tile level.
    pub level: u8,
    /// The position among the tiles of its level.
    pub index: u64,
}

/// A signed checkpoint of this log and when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The size that it is of.
    pub size: TreeSize,
    /// When the last leaf under it was received: milliseconds since the epoch.
    pub time_ms: u64,
    /// The signed note.
    pub checkpoint: String,
}

impl StoredCheckpoint {
    /// The size of the head before this one, if this one takes its place in the history: both are of one second.
    #[must_use]
    pub fn superseded<'a>(&self, before: impl Into<Option<&'a Self>>) -> Option<TreeSize> {
        let second = |time_ms: u64| time_ms / 1_000;
        let before = before.into();
        let same = before.filter(|before| second(before.time_ms) == second(self.time_ms));
        same.map(|before| before.size)
    }
}

/// How many rows of each sort a store has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Leaves.
    pub leaves: u64,
    /// Full tiles.
    pub tiles: u64,
    /// Records by name.
    pub records: u64,
    /// What leaves are about.
    pub mentions: u64,
    /// Kept checkpoints.
    pub checkpoints: u64,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A leaf is not there.
    #[error("leaf {index} is not in the store")]
    LeafMissing {
        /// Its index.
        index: u64,
    },
    /// A tile is not there.
    #[error("tile {index} of level {level} is not in the store")]
    TileMissing {
        /// The tile level.
        level: u8,
        /// Its position on the level.
        index: u64,
    },
    /// A table is not there.
    #[error("the database has no table {table}")]
    TableMissing {
        /// Its name.
        table: &'static str,
    },
    /// A row is not of the form that this program writes.
    #[error("a row of {table} has {got} bytes, which no such row has")]
    RowMalformed {
        /// The table.
        table: &'static str,
        /// The length of what was found.
        got: usize,
    },
    /// A group does not begin where the log ends.
    #[error("a group begins at {got} in a log of {want} leaves")]
    NotNext {
        /// Where the group begins.
        got: u64,
        /// Where the log ends.
        want: u64,
    },
    /// Other leaves stand where a group belongs.
    #[error("the store has other leaves before {size} than the group that ends there")]
    Contradicted {
        /// Where the group ends.
        size: u64,
    },
    /// The store has no files that could be copied.
    #[error("this store is kept in memory alone")]
    InMemory,
    /// The engine beneath failed.
    #[error("the database failed")]
    Engine(#[source] Box<dyn Error + Send + Sync>),
    /// The file system failed.
    #[error("the file system did not say how much room is left")]
    FileSystem(#[source] std::io::Error),
}
