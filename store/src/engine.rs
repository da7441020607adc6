//! The door to storage in folders: an [`Engine`] makes, opens and copies it. Whoever assembles a program names the
//! engine; all else has this trait.

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::{Storage, StoreError, StoredCheckpoint};

/// What keeps logs in folders.
pub trait Engine: Send + Sync {
    /// Makes empty storage at a path where there is nothing yet, or an empty directory.
    ///
    /// # Errors
    /// [`OpenStoreError`] if something is there already, or the database cannot be made.
    fn create(&self, path: &Path) -> Result<Storage, OpenStoreError>;

    /// Opens the storage at a path.
    ///
    /// # Errors
    /// [`OpenStoreError`] if another process has it open, a newer program made it, or it is not a store.
    fn open(&self, path: &Path) -> Result<Storage, OpenStoreError>;

    /// Opens the storage at a path, which then has at most so many files open at once.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn open_within(&self, path: &Path, most_files: u64) -> Result<Storage, OpenStoreError>;

    /// Opens the backups in a folder, which is there.
    ///
    /// # Errors
    /// [`CopyError::Store`].
    fn copies(&self, folder: &Path) -> Result<Box<dyn Copies>, CopyError>;

    /// Opens the backups in a folder to add one, and removes those of which `is_left_over` says so, and what was begun and
    /// never finished.
    ///
    /// # Errors
    /// [`CopyError::Store`]; [`CopyError::Remove`].
    fn copies_without(
        &self,
        folder: &Path,
        is_left_over: &dyn Fn(u32) -> bool,
    ) -> Result<Box<dyn Copies>, CopyError>;
}

/// Backups of stores in one folder. What several have in common is there once.
pub trait Copies {
    /// Adds the store at a path, which nobody else has open. Gives its number and its head.
    ///
    /// # Errors
    /// [`CopyError`]; what was added before is there as it was.
    fn add(&mut self, store: &Path) -> Result<(u32, StoredCheckpoint), CopyError>;

    /// All that are whole, the oldest first.
    fn all(&self) -> Vec<Copied>;

    /// Writes one as a store at a path where nothing is yet. Each file is compared with its checksum.
    ///
    /// # Errors
    /// [`CopyError`].
    fn restore(&mut self, id: u32, to: &Path) -> Result<(), CopyError>;

    /// Forgets those with a smaller number, and removes what was begun and never finished.
    ///
    /// # Errors
    /// [`CopyError::Store`].
    fn keep_from(&mut self, oldest: u32) -> Result<(), CopyError>;
}

/// A backup as the engine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its number; they only grow.
    pub id: u32,
    /// The bytes of its files, those that it shares with others counted again.
    pub bytes: u64,
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
    #[error("the store at {} has format {got}, this program reads up to {newest}", path.display())]
    Newer {
        /// Where it is.
        path: PathBuf,
        /// Its format version.
        got: u64,
        /// The newest version that this program reads.
        newest: u64,
    },
    /// It does not say its format.
    #[error("the database at {} is not a store of this program: it has no format version", path.display())]
    NotAStore {
        /// Where it is.
        path: PathBuf,
    },
    /// It is of an older format, and could not be brought up.
    #[error("the store at {} could not be brought to format {to}", path.display())]
    Upgrade {
        /// Where it is.
        path: PathBuf,
        /// The version that it should have now.
        to: u64,
        /// Why.
        #[source]
        error: Box<dyn Error + Send + Sync>,
    },
    /// The database failed.
    #[error("the database at {} could not be opened", path.display())]
    Database {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        error: Box<dyn Error + Send + Sync>,
    },
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
