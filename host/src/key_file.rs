//! Key files: an Ed25519 private key in PKCS#8 PEM, one a file, readable by its owner alone, never overwritten.

mod mistake;

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ledger::key::PrivateKey;

use crate::bounded;
use crate::durable::{self, Readers};

pub use mistake::Mistake;

/// The longest key file: a PKCS#8 PEM of an Ed25519 key has less than 200 bytes, and room for comments around it
/// is no reason to read whatever a path may lead to.
const MAX_KEY_FILE_BYTES: usize = 16 * 1024;

/// Why a key file could not be made or read. None of it quotes the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is something at the path already.
    #[error("{path:?} already exists, and a key is never overwritten")]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("{path:?} could not be written")]
    Unwritable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("{path:?} could not be read")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not hold a key that can be used here.
    #[error("{path:?} {}", mistake.sentence(path))]
    NotAKey {
        /// The path.
        path: PathBuf,
        /// What it holds instead.
        mistake: Mistake,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// A key as it was read from a file.
#[derive(Debug)]
pub struct KeyFile {
    /// The key.
    pub key: PrivateKey,
    /// Whether others than the owner may read the file, and so sign as its owner.
    pub readable_by_others: bool,
}

/// Draws a key from the system's random bytes.
///
/// # Errors
///
/// [`KeyFileError::Random`].
pub fn draw() -> Result<PrivateKey, KeyFileError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeyFileError::Random)?;
    Ok(PrivateKey::from_seed(&seed))
}

/// Writes a key to a file that was not there, as PKCS#8 version 1 PEM with the mode 0600.
///
/// # Errors
///
/// [`KeyFileError::Exists`], [`KeyFileError::Unwritable`].
pub fn create(path: &Path, key: &PrivateKey) -> Result<(), KeyFileError> {
    let pem = key.to_pem().map_err(io::Error::other);
    let written = pem.and_then(|pem| durable::create(path, pem.as_bytes(), Readers::Owner));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists {
            path: path.to_owned(),
        },
        _ => KeyFileError::Unwritable {
            path: path.to_owned(),
            source,
        },
    })
}

/// Reads a key.
///
/// # Errors
///
/// [`KeyFileError::Unreadable`], [`KeyFileError::NotAKey`].
pub fn read(path: &Path) -> Result<KeyFile, KeyFileError> {
    let unreadable = |source| KeyFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    let bytes = bounded::at_most(file, MAX_KEY_FILE_BYTES).map_err(unreadable)?;
    let key = bytes.ok_or(Mistake::TooLong).and_then(|it| parse(&it));
    Ok(KeyFile {
        key: key.map_err(|mistake| KeyFileError::NotAKey {
            path: path.to_owned(),
            mistake,
        })?,
        readable_by_others: mode & 0o077 != 0,
    })
}

/// Reads a key from what a file holds.
///
/// # Errors
///
/// The [`Mistake`] that was made.
pub fn parse(bytes: &[u8]) -> Result<PrivateKey, Mistake> {
    // RFC 7468 lets text stand before a key. A file that has some is seldom what its owner takes it for.
    let text = std::str::from_utf8(bytes).ok();
    let alone = text.filter(|text| text.starts_with(mistake::BEGIN));
    let key = alone.and_then(|text| PrivateKey::from_pem(&format!("{}\n", text.trim_end())).ok());
    key.ok_or_else(|| Mistake::of(bytes))
}

#[cfg(test)]
mod tests;
