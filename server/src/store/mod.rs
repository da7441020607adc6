//! Where the log is kept.
//!
//! A [`Store`] keeps leaves, full tiles, the index of each record, and signed checkpoints. It grows by whole
//! [`Group`]s and forgets nothing but superseded checkpoints, so a reader needs no lock: whatever lies under a
//! published checkpoint stays as it is. What it gives back is not trusted: whoever reads compares it with a
//! signed root.
//!
//! In scope: durability and atomicity. Out of scope: what leaves mean, what hashes must be.

#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod faulty;
pub mod memory;
mod mention;
pub mod rocks;

use std::ops::Range;

use ledger::digest::RecordHash;
use ledger::record::Kind;
pub use mention::{Mention, Order, Topic};
use tlog::{Hash, LeafIndex, TreeSize};

/// Keeps a log. Calls may come from any thread; only one thread ever commits.
pub trait Store: Send + Sync + 'static {
    /// Adds a group, all of it or nothing, and returns when it is durable.
    ///
    /// # Errors
    /// Any error means that the outcome is *unknown*: the group may be there after a restart. Whoever
    /// gets one must stop writing and recover from what is stored.
    fn commit(&self, group: &Group) -> Result<(), StoreError>;

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

    /// Bytes that may still be written where the store lives; `None` where nothing bounds it.
    ///
    /// # Errors
    /// [`StoreError`] if the file system does not say.
    fn free_bytes(&self) -> Result<Option<u64>, StoreError>;
}

/// What is committed at once: leaves, what follows from them, and the checkpoint that covers them.
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
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] rocksdb::Error),
    /// The file system failed.
    #[error("the file system did not say how much room is left")]
    FileSystem(#[source] std::io::Error),
    /// A fault that a test injected.
    #[cfg(test)]
    #[error("injected fault")]
    Injected,
}
