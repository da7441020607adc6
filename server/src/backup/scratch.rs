//! Folders for the time in which a backup is made, verified or removed. Their owner holds a lock on them: whoever is killed
//! leaves one behind that nobody holds, and whoever makes the next backup removes it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::BackupError;

/// What a folder is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// A backup is being made.
    Making,
    /// A backup is restored to be looked at.
    Verifying,
    /// A backup is no longer a backup.
    Removing,
}

/// A folder that goes when this does.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: TempDir,
    _held: File,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Making, Self::Verifying, Self::Removing];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Making => ".unfinished-",
            Self::Verifying => ".verifying-",
            Self::Removing => ".removing-",
        }
    }
}

impl Scratch {
    /// Makes a folder in a folder of backups.
    ///
    /// # Errors
    /// [`BackupError`].
    pub(super) fn make(backups: &Path, purpose: Purpose) -> Result<Self, BackupError> {
        let wrong = |error| BackupError::file(backups, error);
        loop {
            let mut builder = tempfile::Builder::new();
            let folder = builder.prefix(purpose.prefix()).tempdir_in(backups);
            let folder = folder.map_err(wrong)?;
            match hold(folder.path()) {
                Ok(Some(held)) if folder.path().exists() => {
                    return Ok(Self {
                        folder,
                        _held: held,
                    });
                }
                // Somebody who sweeps was here first.
                Ok(_) => {}
                Err(_) if !folder.path().exists() => {}
                Err(error) => return Err(wrong(error)),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// It stays, for it is going to have a name.
    pub(super) fn into_path(self) -> PathBuf {
        self.folder.keep()
    }
}

/// Removes the folder of a backup, which is gone as a whole before a file of it is.
///
/// # Errors
/// [`BackupError`].
pub(super) fn remove(backups: &Path, id: u32) -> Result<(), BackupError> {
    let place = backups.join(id.to_string());
    let aside = backups.join(format!("{}{id}", Purpose::Removing.prefix()));
    let removed = fs::rename(&place, &aside).and_then(|()| fs::remove_dir_all(&aside));
    removed.map_err(|error| BackupError::file(&place, error))
}

/// Removes folders that nobody holds.
///
/// # Errors
/// [`BackupError`].
pub(super) fn sweep(backups: &Path) -> Result<(), BackupError> {
    let wrong = |error| BackupError::file(backups, error);
    for entry in fs::read_dir(backups).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_scratch = |purpose: Purpose| name.starts_with(purpose.prefix());
        if !Purpose::ALL.into_iter().any(is_scratch) {
            continue;
        }
        let path = entry.path();
        let Ok(Some(_held)) = hold(&path) else {
            continue;
        };
        fs::remove_dir_all(&path).map_err(|error| BackupError::file(&path, error))?;
    }
    Ok(())
}

/// Takes the lock of a folder; `None` if somebody has it.
fn hold(folder: &Path) -> std::io::Result<Option<File>> {
    let file = File::open(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
