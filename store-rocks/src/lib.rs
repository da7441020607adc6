//! The journal and store of one machine in RocksDB, embedded in the process.
//!
//! | column family | key | value |
//! | --- | --- | --- |
//! | `default` | `format` | the format version, in decimal |
//! | `leaves` | index | the leaf |
//! | `tiles` | level (1 byte), index | 256 hashes |
//! | `records` | record hash (32 bytes) | index |
//! | `mentions` | `a` or `s`, an agent's name, a zero byte; or `k`, a kind, a zero byte; or `r`, a record hash; then the index | kind of record |
//! | `checkpoints` | size | time in ms, then the signed note |
//!
//! Numbers are eight bytes, the highest first, so that the order of keys is that of numbers. The head is the last
//! checkpoint: there is no second place that could disagree.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, Options, WriteOptions,
};
use store::{
    Copies, CopyError, Engine, OpenStoreError, Storage, StoreError, StoredCheckpoint, Term,
};

mod copies;
mod reading;
mod rows;
mod upgrade;
mod writing;

use copies::RocksCopies;

/// The version of the layout above. A program reads its own and refuses a newer one.
///
/// | version | what is new |
/// | --- | --- |
/// | 1 | leaves, tiles, records, checkpoints |
/// | 2 | mentions; they follow from the leaves, so an older store is brought up when it is opened |
/// | 3 | mentions of what says who an agent is and what it may (`s`) |
/// | 4 | mentions of each kind (`k`) |
pub const FORMAT_VERSION: u64 = 4;

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

/// The share of a table's memory that its filter takes before it is written to a file.
const MEMORY_BLOOM_SHARE: f64 = 0.02;

/// Bytes of write-ahead log after which memory is flushed to files: a restart has no more to read again, and no more is held
/// in memory until then. By itself RocksDB holds 64 MiB for each table, twice while one is written.
const MAX_WAL_BYTES: u64 = 64 << 20;

/// Bytes of memory that keep blocks of files, over all tables. By itself RocksDB takes 32 MiB for each table.
const CACHE_BYTES: usize = 64 << 20;

/// The engine: each log in a RocksDB database of its own.
#[derive(Clone, Copy, Debug)]
pub struct Rocks;

impl Engine for Rocks {
    fn create(&self, path: &Path) -> Result<Storage, OpenStoreError> {
        RocksStore::create(path).map(|both| Arc::new(both).into())
    }

    fn open(&self, path: &Path) -> Result<Storage, OpenStoreError> {
        RocksStore::open(path).map(|both| Arc::new(both).into())
    }

    fn open_within(&self, path: &Path, most_files: u64) -> Result<Storage, OpenStoreError> {
        RocksStore::open_within(path, Some(most_files)).map(|both| Arc::new(both).into())
    }

    fn copies(&self, folder: &Path) -> Result<Box<dyn Copies>, CopyError> {
        Ok(Box::new(RocksCopies::open(folder)?))
    }

    fn copies_without(
        &self,
        folder: &Path,
        is_left_over: &dyn Fn(u32) -> bool,
    ) -> Result<Box<dyn Copies>, CopyError> {
        Ok(Box::new(RocksCopies::open_without(folder, is_left_over)?))
    }
}

/// A log in a RocksDB database. Only one process at a time can have it open.
struct RocksStore {
    db: DB,
    path: PathBuf,
    term: Mutex<Term>,
    /// The head, from when this process has written it until it writes again.
    written: Mutex<Option<StoredCheckpoint>>,
}

impl RocksStore {
    fn create(path: &Path) -> Result<Self, OpenStoreError> {
        let mut options = database_options(None);
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_error_if_exists(true);
        let db = DB::open_cf_descriptors(&options, path, families())
            .map_err(|error| unopened(path, error))?;
        db.put_opt(FORMAT_KEY, FORMAT_VERSION.to_string(), &synced())
            .map_err(|error| unopened(path, error))?;
        Ok(Self {
            db,
            path: path.to_owned(),
            term: Mutex::default(),
            written: Mutex::default(),
        })
    }

    /// Opens the store at a path, with as many files open at once as it has tables.
    fn open(path: &Path) -> Result<Self, OpenStoreError> {
        Self::open_within(path, None)
    }

    fn open_within(path: &Path, most_files: Option<u64>) -> Result<Self, OpenStoreError> {
        let wrong = |error| unopened(path, error);
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
        let mut options = database_options(most_files);
        // Nothing is made in a database that is not a store; one of version 1 gets the table that it lacks.
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
            term: Mutex::default(),
            written: Mutex::default(),
        };
        if format < FORMAT_VERSION {
            upgrade::add_mentions(&store).map_err(|error| OpenStoreError::Upgrade {
                path: path.to_owned(),
                to: FORMAT_VERSION,
                error: Box::new(error),
            })?;
        }
        Ok(store)
    }

    fn family(&self, name: &'static str) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(name)
            .ok_or(StoreError::TableMissing { table: name })
    }
}

fn unopened(path: &Path, error: rocksdb::Error) -> OpenStoreError {
    let path = path.to_owned();
    // RocksDB has no code of its own for a lock that is held; its message names the file.
    let locked = error.kind() == rocksdb::ErrorKind::IOError
        && error.as_ref().contains("lock ")
        && error.as_ref().contains("LOCK");
    match locked {
        true => OpenStoreError::InUse { path },
        false => OpenStoreError::Database {
            path,
            error: Box::new(error),
        },
    }
}

fn check_format(path: &Path, format: Option<&[u8]>) -> Result<u64, OpenStoreError> {
    let text = format.and_then(|format| std::str::from_utf8(format).ok());
    match text.and_then(|text| text.parse().ok()) {
        Some(got) if got > FORMAT_VERSION => Err(OpenStoreError::Newer {
            path: path.to_owned(),
            got,
            newest: FORMAT_VERSION,
        }),
        Some(got @ 1..=FORMAT_VERSION) => Ok(got),
        Some(_) | None => Err(OpenStoreError::NotAStore {
            path: path.to_owned(),
        }),
    }
}

fn database_options(most_files: Option<u64>) -> Options {
    let mut options = Options::default();
    if let Some(most) = most_files {
        options.set_max_open_files(i32::try_from(most).unwrap_or(i32::MAX));
    }
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
    let cache = Cache::new_lru_cache(CACHE_BYTES);
    let family = |compression, bloom: bool| {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&cache);
        let mut options = Options::default();
        if bloom {
            blocks.set_bloom_filter(BLOOM_BITS, false);
            options.set_memtable_whole_key_filtering(true);
            options.set_memtable_prefix_bloom_ratio(MEMORY_BLOOM_SHARE);
        }
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(compression);
        options
    };
    // Hashes do not compress; leaves are text and do.
    let hashes = || family(DBCompressionType::None, false);
    let text = || family(DBCompressionType::Lz4, false);
    vec![
        ColumnFamilyDescriptor::new(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, text()),
        ColumnFamilyDescriptor::new(LEAVES, text()),
        ColumnFamilyDescriptor::new(TILES, hashes()),
        ColumnFamilyDescriptor::new(RECORDS, family(DBCompressionType::None, true)),
        ColumnFamilyDescriptor::new(MENTIONS, text()),
        ColumnFamilyDescriptor::new(CHECKPOINTS, text()),
    ]
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn engine(error: rocksdb::Error) -> StoreError {
    StoreError::Engine(Box::new(error))
}

#[cfg(test)]
mod tests;
