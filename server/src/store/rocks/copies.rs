//! Copies of a database: a snapshot beside it while it is in use, and backups in a folder of their own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rocksdb::Env;
use rocksdb::backup::{BackupEngine, BackupEngineOptions, RestoreOptions};
use rocksdb::checkpoint::Checkpoint;

use super::{OpenStoreError, RocksStore, StoreError, engine};
use crate::store::{Store as _, StoredCheckpoint};

impl RocksStore {
    /// Files that do not change any more are linked, so that this takes moments and hardly any room.
    pub(super) fn take_snapshot(&self, to: &Path) -> Result<(), StoreError> {
        let checkpoint = Checkpoint::new(&self.db).map_err(engine)?;
        checkpoint.create_checkpoint(to).map_err(engine)
    }
}

/// The engine's folder with a file for each backup.
const META: &str = "meta";

/// Backups of stores in one folder, by RocksDB's backup engine. What several have in common is there once.
pub struct Copies {
    engine: BackupEngine,
}

/// A backup as the engine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its number; they only grow.
    pub id: u32,
    /// The bytes of its files, those that it shares with others counted again.
    pub bytes: u64,
}

/// Why a backup was not made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The store to be copied cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    /// The store or a backup cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no log in the store.
    #[error("there is no log in the store")]
    Empty,
    /// What was left over could not be removed.
    #[error("what was left over in {} could not be removed", path.display())]
    Remove {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The restored files could not be synced.
    #[error("{} could not be synced", path.display())]
    Sync {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
}

impl Copies {
    /// Opens the backups in a folder, which is there.
    ///
    /// # Errors
    /// [`CopyError::Store`].
    pub fn open(folder: &Path) -> Result<Self, CopyError> {
        let options = BackupEngineOptions::new(folder).map_err(engine)?;
        let environment = Env::new().map_err(engine)?;
        let engine = BackupEngine::open(&options, &environment).map_err(engine)?;
        Ok(Self { engine })
    }

    /// Opens the backups in a folder to add one, and removes those of which `is_left_over` says so, and what was begun and
    /// never finished.
    ///
    /// # Errors
    /// [`CopyError::Store`]; [`CopyError::Remove`].
    pub fn open_without(
        folder: &Path,
        is_left_over: impl Fn(u32) -> bool,
    ) -> Result<Self, CopyError> {
        // A backup is what has a file here; the engine removes what no backup names.
        let removed = remove_where(&folder.join(META), is_left_over);
        removed.map_err(|error| CopyError::Remove {
            path: folder.join(META),
            error,
        })?;
        let mut copies = Self::open(folder)?;
        copies.keep_from(0)?;
        Ok(copies)
    }

    /// Adds the store at a path, which nobody else has open. Gives its number and its head.
    ///
    /// # Errors
    /// [`CopyError`]; what was added before is there as it was.
    pub fn add(&mut self, store: &Path) -> Result<(u32, StoredCheckpoint), CopyError> {
        let store = RocksStore::open(store)?;
        let head = store.head()?.ok_or(CopyError::Empty)?;
        let made = self.engine.create_new_backup_flush(&store.db, true);
        made.map_err(engine)?;
        let newest = self.all().last().map(|copy| copy.id);
        newest.map(|id| (id, head)).ok_or(CopyError::Empty)
    }

    /// All that are whole, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Copied> {
        let copies = self.engine.get_backup_info().into_iter();
        let mut copies: Vec<Copied> = copies
            .map(|info| Copied {
                id: info.backup_id,
                bytes: info.size,
            })
            .collect();
        copies.sort_unstable_by_key(|copy| copy.id);
        copies
    }

    /// Writes one as a store at a path where nothing is yet. Each file is compared with its checksum.
    ///
    /// # Errors
    /// [`CopyError`].
    pub fn restore(&mut self, id: u32, to: &Path) -> Result<(), CopyError> {
        let options = RestoreOptions::default();
        let restored = self.engine.restore_from_backup(to, to, &options, id);
        restored.map_err(engine)?;
        sync_all(to)
    }

    /// Forgets those with a smaller number, and removes what was begun and never finished.
    ///
    /// # Errors
    /// [`CopyError::Store`].
    pub fn keep_from(&mut self, oldest: u32) -> Result<(), CopyError> {
        let kept = self.all().iter().filter(|copy| copy.id >= oldest).count();
        Ok(self.engine.purge_old_backups(kept).map_err(engine)?)
    }
}

/// Removes files that are called by a number, if it is one of those. A folder that is not there has none.
fn remove_where(folder: &Path, is_meant: impl Fn(u32) -> bool) -> std::io::Result<()> {
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let file = file?;
        let number: Option<u32> = file.file_name().to_str().and_then(|name| name.parse().ok());
        if number.is_some_and(&is_meant) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

/// The engine says nothing about whether what it restored is on the disk.
fn sync_all(folder: &Path) -> Result<(), CopyError> {
    let failed = |path: &Path, error| CopyError::Sync {
        path: path.to_owned(),
        error,
    };
    for file in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = file.map_err(|error| failed(folder, error))?.path();
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|error| failed(&path, error))?;
    }
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| failed(folder, error))
}
