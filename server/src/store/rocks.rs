//! The store in RocksDB, embedded in the process.
//!
//! | column family | key | value |
//! | --- | --- | --- |
//! | `default` | `format` | the format version, in decimal |
//! | `leaves` | index | the leaf |
//! | `tiles` | level (1 byte), index | 256 hashes |
//! | `records` | record hash (32 bytes) | index |
//! | `mentions` | `a` or `s`, an agent's name, a zero byte; or `r`, a record hash; index | kind of record |
//! | `checkpoints` | size | time in ms, then the signed note |
//!
//! Numbers are eight bytes, the highest first, so that the order of keys is that of numbers. The head is the last
//! checkpoint: there is no second place that could disagree.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ledger::digest::RecordHash;
use ledger::record::Kind;
use rocksdb::{
    BlockBasedOptions, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    Direction, IteratorMode, Options, WriteBatch, WriteOptions,
};
use tlog::tile::{Width, decode_hashes, encode_hashes};
use tlog::{Hash, LeafIndex, TreeSize};

use super::{Counts, Group, Mention, Order, Store, StoreError, StoredCheckpoint, TileKey, Topic};

mod upgrade;

pub use upgrade::UpgradeError;

/// The version of the layout above. A program reads its own and refuses a newer one.
///
/// | version | what is new |
/// | --- | --- |
/// | 1 | leaves, tiles, records, checkpoints |
/// | 2 | mentions; they follow from the leaves, so an older store is brought up when it is opened |
/// | 3 | mentions of what says who an agent is and what it may (`s`) |
pub const FORMAT_VERSION: u64 = 3;

const FORMAT_KEY: &[u8] = b"format";
const LEAVES: &str = "leaves";
const TILES: &str = "tiles";
const RECORDS: &str = "records";
const MENTIONS: &str = "mentions";
const CHECKPOINTS: &str = "checkpoints";

/// The tables of version 1: what has all of them is a store.
const FIRST_TABLES: [&str; 4] = [LEAVES, TILES, RECORDS, CHECKPOINTS];

/// Bits of filter for each record name: one look-up in a hundred of a new record reads a block in vain.
const BLOOM_BITS: f64 = 10.0;

/// Bytes of write-ahead log after which memory is flushed to files, so that a restart has little to read again.
const MAX_WAL_BYTES: u64 = 256 << 20;

/// A number in a key or a value: eight bytes, the highest first.
const NUMBER_BYTES: usize = size_of::<u64>();

/// A log in a RocksDB database. Only one process at a time can have it open.
pub struct RocksStore {
    db: DB,
    path: PathBuf,
}

impl RocksStore {
    /// Makes an empty store at a path where there is nothing yet, or an empty directory.
    ///
    /// # Errors
    /// [`OpenStoreError`] if something is there already, or the database cannot be made.
    pub fn create(path: &Path) -> Result<Self, OpenStoreError> {
        let mut options = database_options();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_error_if_exists(true);
        let db = DB::open_cf_descriptors(&options, path, families())
            .map_err(|error| OpenStoreError::of(path, error))?;
        db.put_opt(FORMAT_KEY, FORMAT_VERSION.to_string(), &synced())
            .map_err(|error| OpenStoreError::of(path, error))?;
        Ok(Self {
            db,
            path: path.to_owned(),
        })
    }

    /// Opens the store at a path.
    ///
    /// # Errors
    /// [`OpenStoreError`] if another process has it, a newer program made it, or it is none.
    pub fn open(path: &Path) -> Result<Self, OpenStoreError> {
        let wrong = |error| OpenStoreError::of(path, error);
        // A newer format may have families that this program does not know; they must be opened to read its version.
        let present = DB::list_cf(&Options::default(), path).map_err(wrong)?;
        let known = [
            rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
            LEAVES,
            TILES,
            RECORDS,
            MENTIONS,
            CHECKPOINTS,
        ];
        let unknown = present
            .iter()
            .filter(|name| !known.contains(&name.as_str()));
        let unknown = unknown.map(|name| ColumnFamilyDescriptor::new(name, Options::default()));
        let families = families().into_iter().chain(unknown);
        let mut options = database_options();
        // Nothing is made in a database that is no store; one of version 1 gets the table that it lacks.
        let is_store = FIRST_TABLES
            .iter()
            .all(|table| present.iter().any(|name| name == table));
        options.create_missing_column_families(is_store);
        let db = DB::open_cf_descriptors(&options, path, families).map_err(wrong)?;
        let format = db.get(FORMAT_KEY).map_err(wrong)?;
        let format = check_format(path, format.as_deref())?;
        let store = Self {
            db,
            path: path.to_owned(),
        };
        if format < FORMAT_VERSION {
            upgrade::add_mentions(&store).map_err(|error| OpenStoreError::Upgrade {
                path: path.to_owned(),
                error,
            })?;
        }
        Ok(store)
    }

    fn family(&self, name: &'static str) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(name)
            .ok_or(StoreError::TableMissing { table: name })
    }

    fn put(
        &self,
        batch: &mut WriteBatch,
        table: &'static str,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), StoreError> {
        batch.put_cf(self.family(table)?, key, value);
        Ok(())
    }

    fn batch(&self, group: &Group) -> Result<WriteBatch, StoreError> {
        let mut batch = WriteBatch::default();
        for (index, (record, leaf)) in (group.first.get()..).zip(&group.leaves) {
            let index = index.to_be_bytes();
            self.put(&mut batch, LEAVES, index, leaf)?;
            self.put(&mut batch, RECORDS, record.digest().as_bytes(), index)?;
        }
        for (key, hashes) in &group.tiles {
            self.put(&mut batch, TILES, tile_row(*key), encode_hashes(hashes))?;
        }
        for Mention { topic, index, kind } in &group.mentions {
            let row = mention_row(topic, index.get());
            self.put(&mut batch, MENTIONS, row, kind.as_str())?;
        }
        if let Some(size) = group.supersedes {
            batch.delete_cf(self.family(CHECKPOINTS)?, size.get().to_be_bytes());
        }
        let StoredCheckpoint {
            size,
            time_ms,
            checkpoint,
        } = &group.checkpoint;
        let value = [&time_ms.to_be_bytes(), checkpoint.as_bytes()].concat();
        self.put(&mut batch, CHECKPOINTS, size.get().to_be_bytes(), value)?;
        Ok(batch)
    }

    fn count(&self, table: &'static str) -> Result<u64, StoreError> {
        let rows = self
            .db
            .iterator_cf(self.family(table)?, IteratorMode::Start);
        rows.into_iter()
            .try_fold(0, |count, row| row.map(|_| count + 1).map_err(database))
    }
}

impl Store for RocksStore {
    fn commit(&self, group: &Group) -> Result<(), StoreError> {
        let want = self.head()?.map_or(0, |head| head.size.get());
        let got = group.first.get();
        if got != want {
            return Err(StoreError::NotNext { got, want });
        }
        // One batch and one sync: all of the group or none of it, and on the disk when this returns.
        self.db
            .write_opt(self.batch(group)?, &synced())
            .map_err(database)
    }

    fn head(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        let mut rows = self
            .db
            .iterator_cf(self.family(CHECKPOINTS)?, IteratorMode::End);
        let last = rows.next().transpose().map_err(database)?;
        last.map(|(key, value)| read_checkpoint(&key, &value))
            .transpose()
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, StoreError> {
        let start = range.start.to_be_bytes();
        let from = IteratorMode::From(&start, Direction::Forward);
        let mut rows = self.db.iterator_cf(self.family(LEAVES)?, from);
        let mut next = |index: u64| {
            let row = rows.next().transpose().map_err(database)?;
            let row = row.filter(|(key, _)| **key == index.to_be_bytes());
            row.map(|(_, leaf)| leaf.into_vec())
                .ok_or(StoreError::LeafMissing { index })
        };
        range.map(&mut next).collect()
    }

    fn tiles(&self, tiles: &[TileKey]) -> Result<Vec<Vec<Hash>>, StoreError> {
        let keys: Vec<_> = tiles.iter().map(|key| tile_row(*key)).collect();
        let rows = self
            .db
            .batched_multi_get_cf(self.family(TILES)?, &keys, false);
        let read = |(key, row): (&TileKey, Result<Option<rocksdb::DBPinnableSlice<'_>>, _>)| {
            let TileKey { level, index } = *key;
            let row = row
                .map_err(database)?
                .ok_or(StoreError::TileMissing { level, index })?;
            let malformed = |_| StoreError::RowMalformed {
                table: TILES,
                got: row.len(),
            };
            decode_hashes(&row, Width::Full).map_err(malformed)
        };
        tiles.iter().zip(rows).map(read).collect()
    }

    fn find(&self, records: &[RecordHash]) -> Result<Vec<Option<LeafIndex>>, StoreError> {
        let keys = records
            .iter()
            .map(|record| record.digest().as_bytes().as_slice());
        let rows = self
            .db
            .batched_multi_get_cf(self.family(RECORDS)?, keys, false);
        let read = |row: Result<Option<rocksdb::DBPinnableSlice<'_>>, _>| {
            let row = row.map_err(database)?;
            let index = row.map(|row| number(RECORDS, &row)).transpose()?;
            Ok(index.map(LeafIndex::new))
        };
        rows.into_iter().map(read).collect()
    }

    fn mentions(
        &self,
        topic: &Topic,
        range: Range<u64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(LeafIndex, Kind)>, StoreError> {
        let Some(last) = range.end.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let (start, direction) = match order {
            Order::OldestFirst => (range.start, Direction::Forward),
            Order::NewestFirst => (last, Direction::Reverse),
        };
        let start = mention_row(topic, start);
        let from = IteratorMode::From(&start, direction);
        let rows = self.db.iterator_cf(self.family(MENTIONS)?, from);
        let prefix = mention_prefix(topic);
        let read = rows.map(|row| {
            let (key, kind) = row.map_err(database)?;
            let index = key.strip_prefix(prefix.as_slice());
            let index = index.map(|index| number(MENTIONS, index)).transpose()?;
            let Some(index) = index.filter(|index| range.contains(index)) else {
                return Ok(None);
            };
            Ok(Some((LeafIndex::new(index), read_kind(&kind)?)))
        });
        let read = read.map(Result::transpose);
        read.take_while(Option::is_some)
            .flatten()
            .take(limit)
            .collect()
    }

    fn checkpoints(
        &self,
        after: TreeSize,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let Some(from) = after.get().checked_add(1) else {
            return Ok(Vec::new());
        };
        let start = from.to_be_bytes();
        let from = IteratorMode::From(&start, Direction::Forward);
        let rows = self.db.iterator_cf(self.family(CHECKPOINTS)?, from);
        rows.take(limit)
            .map(|row| {
                let (key, value) = row.map_err(database)?;
                read_checkpoint(&key, &value)
            })
            .collect()
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        Ok(Counts {
            leaves: self.count(LEAVES)?,
            tiles: self.count(TILES)?,
            records: self.count(RECORDS)?,
            mentions: self.count(MENTIONS)?,
            checkpoints: self.count(CHECKPOINTS)?,
        })
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        let disk = rustix::fs::statvfs(&self.path);
        let disk = disk.map_err(|error| StoreError::FileSystem(error.into()))?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
}

/// Why a store could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// Another process has it.
    #[error("another process has the store at {} open", path.display())]
    InUse {
        /// Where it is.
        path: PathBuf,
    },
    /// A newer program made it.
    #[error("the store at {} has format {got}, this program reads up to {FORMAT_VERSION}", path.display())]
    Newer {
        /// Where it is.
        path: PathBuf,
        /// Its format version.
        got: u64,
    },
    /// It does not say its format.
    #[error("the database at {} is no store of this program: it has no format version", path.display())]
    NotAStore {
        /// Where it is.
        path: PathBuf,
    },
    /// It is of an older format, and could not be brought up.
    #[error("the store at {} could not be brought to format {FORMAT_VERSION}", path.display())]
    Upgrade {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        error: UpgradeError,
    },
    /// The database failed.
    #[error("the database at {} could not be opened", path.display())]
    Database {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        error: rocksdb::Error,
    },
}

impl OpenStoreError {
    fn of(path: &Path, error: rocksdb::Error) -> Self {
        let path = path.to_owned();
        // RocksDB has no code of its own for a lock that is held; its message names the file.
        let locked = error.kind() == rocksdb::ErrorKind::IOError
            && error.as_ref().contains("lock ")
            && error.as_ref().contains("LOCK");
        if locked {
            Self::InUse { path }
        } else {
            Self::Database { path, error }
        }
    }
}

fn check_format(path: &Path, format: Option<&[u8]>) -> Result<u64, OpenStoreError> {
    let text = format.and_then(|format| std::str::from_utf8(format).ok());
    match text.and_then(|text| text.parse().ok()) {
        Some(got) if got > FORMAT_VERSION => Err(OpenStoreError::Newer {
            path: path.to_owned(),
            got,
        }),
        Some(got @ 1..=FORMAT_VERSION) => Ok(got),
        Some(_) | None => Err(OpenStoreError::NotAStore {
            path: path.to_owned(),
        }),
    }
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    options.set_max_total_wal_size(MAX_WAL_BYTES);
    // The last write may be torn when the power fails, and was never answered then. Damage further up is refused:
    // skipping it would take back what was signed.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    // RocksDB's own diary beside the data, bounded.
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(4 << 20);
    options
}

fn families() -> Vec<ColumnFamilyDescriptor> {
    let mut records = BlockBasedOptions::default();
    records.set_bloom_filter(BLOOM_BITS, false);
    let mut by_hash = Options::default();
    by_hash.set_block_based_table_factory(&records);
    // Hashes do not compress; leaves are text and do.
    by_hash.set_compression_type(DBCompressionType::None);
    let mut hashes = Options::default();
    hashes.set_compression_type(DBCompressionType::None);
    let mut text = Options::default();
    text.set_compression_type(DBCompressionType::Lz4);
    vec![
        ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, Options::default()),
        ColumnFamilyDescriptor::new(LEAVES, text.clone()),
        ColumnFamilyDescriptor::new(TILES, hashes),
        ColumnFamilyDescriptor::new(RECORDS, by_hash),
        ColumnFamilyDescriptor::new(MENTIONS, text.clone()),
        ColumnFamilyDescriptor::new(CHECKPOINTS, text),
    ]
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn database(error: rocksdb::Error) -> StoreError {
    StoreError::Database(error)
}

fn tile_row(key: TileKey) -> [u8; 1 + NUMBER_BYTES] {
    let mut row = [key.level; 1 + NUMBER_BYTES];
    row[1..].copy_from_slice(&key.index.to_be_bytes());
    row
}

/// No name has a zero byte, so none is the beginning of another with it.
fn mention_prefix(topic: &Topic) -> Vec<u8> {
    match topic {
        Topic::Agent(name) => [b"a", name.as_str().as_bytes(), b"\0"].concat(),
        Topic::Authority(name) => [b"s", name.as_str().as_bytes(), b"\0"].concat(),
        Topic::Record(record) => [b"r".as_slice(), record.digest().as_bytes()].concat(),
    }
}

fn mention_row(topic: &Topic, index: u64) -> Vec<u8> {
    [mention_prefix(topic).as_slice(), &index.to_be_bytes()].concat()
}

fn read_kind(value: &[u8]) -> Result<Kind, StoreError> {
    let kind = std::str::from_utf8(value).ok();
    let kind = kind.and_then(|kind| kind.parse().ok());
    kind.ok_or(StoreError::RowMalformed {
        table: MENTIONS,
        got: value.len(),
    })
}

fn number(table: &'static str, bytes: &[u8]) -> Result<u64, StoreError> {
    let exact = bytes.try_into().map(u64::from_be_bytes);
    exact.map_err(|_| StoreError::RowMalformed {
        table,
        got: bytes.len(),
    })
}

fn read_checkpoint(key: &[u8], value: &[u8]) -> Result<StoredCheckpoint, StoreError> {
    let malformed = || StoreError::RowMalformed {
        table: CHECKPOINTS,
        got: value.len(),
    };
    let (time_ms, note) = value.split_at_checked(NUMBER_BYTES).ok_or_else(malformed)?;
    Ok(StoredCheckpoint {
        size: TreeSize::new(number(CHECKPOINTS, key)?),
        time_ms: number(CHECKPOINTS, time_ms)?,
        checkpoint: String::from_utf8(note.to_vec()).map_err(|_| malformed())?,
    })
}

#[cfg(test)]
mod tests;
