//! Copies of a database: a snapshot beside it while it is in use, and backups in a folder of their own.

use std::fs::{self, File};
use std::path::Path;

use rocksdb::Env;
use rocksdb::backup::{BackupEngine, BackupEngineOptions, RestoreOptions};
use rocksdb::checkpoint::Checkpoint;
use store::{Copied, Copies, CopyError, Store, StoreError, StoredCheckpoint};

use super::{RocksStore, engine};

impl RocksStore {
    /// Files that do not change any more are linked, so that this takes moments and hardly any room.
    pub(super) fn take_snapshot(&self, to: &Path) -> Result<(), StoreError> {
        let checkpoint = Checkpoint::new(&self.db).map_err(engine)?;
        checkpoint.create_checkpoint(to).map_err(engine)
    }
}

/// The engine's folder with a file for each backup.
const META: &str = "meta";

/// Backups of stores in one folder, by RocksDB's backup engine.
pub(super) struct RocksCopies {
    engine: BackupEngine,
}

impl RocksCopies {
    pub(super) fn open(folder: &Path) -> Result<Self, CopyError> {
        let options = BackupEngineOptions::new(folder).map_err(engine)?;
        let environment = Env::new().map_err(engine)?;
        let engine = BackupEngine::open(&options, &environment).map_err(engine)?;
        Ok(Self { engine })
    }

    pub(super) fn open_without(
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
}

impl Copies for RocksCopies {
    fn add(&mut self, store: &Path) -> Result<(u32, StoredCheckpoint), CopyError> {
        let store = RocksStore::open(store)?;
        let head = Store::head(&store)?.ok_or(CopyError::Empty)?;
        let made = self.engine.create_new_backup_flush(&store.db, true);
        made.map_err(engine)?;
        let newest = self.all().last().map(|copy| copy.id);
        newest.map(|id| (id, head)).ok_or(CopyError::Empty)
    }

    fn all(&self) -> Vec<Copied> {
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

    fn restore(&mut self, id: u32, to: &Path) -> Result<(), CopyError> {
        let options = RestoreOptions::default();
        let restored = self.engine.restore_from_backup(to, to, &options, id);
        restored.map_err(engine)?;
        sync_all(to)
    }

    fn keep_from(&mut self, oldest: u32) -> Result<(), CopyError> {
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

impl std::fmt::Debug for RocksCopies {
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
