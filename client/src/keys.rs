//! Key files: made with a fresh random seed, readable by their owner alone, never overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ledger::key::{NotAKey, PrivateKey};

/// The longest key file: a PKCS#8 PEM of an Ed25519 key has less than 200 bytes, and room for comments around it
/// is no reason to read whatever a path may lead to.
const MAX_KEY_FILE_BYTES: u64 = 16 * 1024;

/// Why a key file could not be made or read. None of it quotes the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is something at the path already; a key is never overwritten.
    #[error("{path:?} is there already, and a key is never overwritten")]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("{path:?} could not be written")]
    Write {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("{path:?} could not be read")]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no key that is of use here.
    #[error("{path:?} holds no key")]
    NotAKey {
        /// The path.
        path: PathBuf,
        /// What it should be.
        source: NotAKey,
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

/// Makes a key and writes it to a file that was not there, as PKCS#8 version 1 PEM with the mode 0600.
///
/// # Errors
///
/// [`KeyError::Exists`], [`KeyError::Write`], [`KeyError::Random`].
pub fn generate(path: &Path) -> Result<PrivateKey, KeyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeyError::Random)?;
    let key = PrivateKey::from_seed(&seed);
    write_new(path, &key)?;
    Ok(key)
}

/// Reads a key.
///
/// # Errors
///
/// [`KeyError::Read`], [`KeyError::NotAKey`].
pub fn read(path: &Path) -> Result<KeyFile, KeyError> {
    let unreadable = |source| KeyError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let readable_by_others = is_readable_by_others(&file).map_err(unreadable)?;
    let mut pem = String::new();
    file.take(MAX_KEY_FILE_BYTES)
        .read_to_string(&mut pem)
        .map_err(unreadable)?;
    let key = PrivateKey::from_pem(&pem).map_err(|source| KeyError::NotAKey {
        path: path.to_owned(),
        source,
    })?;
    Ok(KeyFile {
        key,
        readable_by_others,
    })
}

fn write_new(path: &Path, key: &PrivateKey) -> Result<(), KeyError> {
    let pem = key.to_pem().map_err(|source| KeyError::NotAKey {
        path: path.to_owned(),
        source,
    })?;
    let written = create_new(path).and_then(|mut file| {
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists {
            path: path.to_owned(),
        },
        _ => KeyError::Write {
            path: path.to_owned(),
            source,
        },
    })
}

/// The mode belongs to the creation: a file that is narrowed afterwards was open for a moment.
fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn is_readable_by_others(file: &File) -> io::Result<bool> {
    const GROUP_OR_OTHERS: u32 = 0o077;
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions());
    Ok(mode & GROUP_OR_OTHERS != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_the_owners_alone_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("operator.pem");
        let key = generate(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let file = read(&path).unwrap();
        assert_eq!(
            (file.key.seed(), file.readable_by_others),
            (key.seed(), false)
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap().readable_by_others);
    }

    #[test]
    fn nothing_is_ever_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let first = generate(&path).unwrap();
        assert!(matches!(generate(&path), Err(KeyError::Exists { .. })));
        assert_eq!(read(&path).unwrap().key.seed(), first.seed());
        let link = directory.path().join("link.pem");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &link).unwrap();
        assert!(
            matches!(generate(&link), Err(KeyError::Exists { .. })),
            "not through a dangling link either"
        );
    }

    #[test]
    fn what_is_no_key_is_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        fs::write(&path, "secret words").unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, KeyError::NotAKey { .. }));
        assert!(!format!("{error:?} {error}").contains("secret words"));
        assert!(matches!(
            read(&directory.path().join("absent")),
            Err(KeyError::Read { .. })
        ));
    }
}
