//! The one door to the storage in a folder: nothing else names the engine that is behind it.

use std::path::Path;
use std::sync::Arc;

use super::Storage;
use super::rocks::RocksStore;
pub use super::rocks::{Copied, Copies, CopyError, OpenStoreError};

/// Makes empty storage at a path where there is nothing yet, or an empty directory.
///
/// # Errors
/// [`OpenStoreError`] if something is there already, or the database cannot be made.
pub fn create(path: &Path) -> Result<Storage, OpenStoreError> {
    RocksStore::create(path).map(|both| Arc::new(both).into())
}

/// Opens the storage at a path.
///
/// # Errors
/// [`OpenStoreError`] if another process has it open, a newer program made it, or it is not a store.
pub fn open(path: &Path) -> Result<Storage, OpenStoreError> {
    RocksStore::open(path).map(|both| Arc::new(both).into())
}

/// Opens the storage at a path, which then has at most so many files open at once.
///
/// # Errors
/// As [`open`].
pub fn open_within(path: &Path, most_files: u64) -> Result<Storage, OpenStoreError> {
    RocksStore::open_within(path, Some(most_files)).map(|both| Arc::new(both).into())
}
