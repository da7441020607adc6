//! Key files: Ed25519 in PKCS#8 PEM, one a file, for nobody but their owner to read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ledger::key::{NotAKey, PrivateKey};

/// The largest key file that is read; a PKCS#8 Ed25519 key in PEM has some 120 bytes.
const MAX_KEY_FILE_BYTES: u64 = 4_096;

/// The keys of a deployment, by what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// Signs charters.
    Root,
    /// Signs manifests, leases and orders.
    Operator,
    /// Signs what the service itself says.
    Control,
    /// Signs observations.
    Observer,
    /// Signs checkpoints.
    Log,
}

impl KeyFile {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Root,
        Self::Operator,
        Self::Control,
        Self::Observer,
        Self::Log,
    ];

    /// What it is called, in the charter too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Operator => "operator",
            Self::Control => "control",
            Self::Observer => "observer",
            Self::Log => "log",
        }
    }

    /// Its place in a folder of keys.
    #[must_use]
    pub fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.pem", self.name()))
    }
}

/// Reads a key file.
///
/// # Errors
/// [`KeyError`], which quotes nothing of the file.
pub fn read(path: &Path) -> Result<PrivateKey, KeyError> {
    let wrong = |error| KeyError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(wrong)?;
    let mode = file.metadata().map_err(wrong)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = %format!("{:o}", mode & 0o777), "others than its owner can read this key file");
    }
    let mut pem = String::new();
    file.take(MAX_KEY_FILE_BYTES)
        .read_to_string(&mut pem)
        .map_err(wrong)?;
    PrivateKey::from_pem(&pem).map_err(|error| KeyError::NotAKey {
        path: path.to_owned(),
        error,
    })
}

/// Draws a key from the system's random numbers.
///
/// # Errors
/// [`KeyError::Random`] if the system gives none.
pub fn draw() -> Result<PrivateKey, KeyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeyError::Random)?;
    Ok(PrivateKey::from_seed(&seed))
}

/// Writes a new key file, mode 0600, and syncs it. A file that is there is never overwritten.
///
/// # Errors
/// [`KeyError`].
pub fn create(path: &Path, key: &PrivateKey) -> Result<(), KeyError> {
    let wrong = |error| KeyError::Unwritable {
        path: path.to_owned(),
        error,
    };
    let pem = key.to_pem().map_err(|error| KeyError::NotAKey {
        path: path.to_owned(),
        error,
    })?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(wrong)?;
    file.write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(wrong)
}

/// Which of the keys that the service must not have it could read all the same.
#[must_use]
pub fn exposed(folder: &Path) -> Vec<PathBuf> {
    let paths = [KeyFile::Root, KeyFile::Operator].map(|key| key.path(folder));
    paths
        .into_iter()
        .filter(|path| File::open(path).is_ok())
        .collect()
}

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("the key file {} cannot be read", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It cannot be written.
    #[error("the key file {} cannot be written", path.display())]
    Unwritable {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It holds no key.
    #[error("the file {} holds no key", path.display())]
    NotAKey {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        error: NotAKey,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[source] getrandom::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = KeyFile::Log.path(folder.path());
        let key = draw().unwrap();
        create(&path, &key).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(read(&path).unwrap().seed(), key.seed());
        let again = create(&path, &draw().unwrap());
        assert!(
            matches!(again, Err(KeyError::Unwritable { .. })),
            "{again:?}"
        );
        assert_eq!(read(&path).unwrap().seed(), key.seed());
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(draw().unwrap().seed(), draw().unwrap().seed());
    }

    #[test]
    fn what_is_no_key_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pem");
        std::fs::write(&path, "a secret of another sort").unwrap();
        let refused = read(&path).unwrap_err();
        assert!(matches!(refused, KeyError::NotAKey { .. }));
        assert!(!format!("{refused:?} {refused}").contains("secret"));
        std::fs::write(&path, "x".repeat(1 << 20)).unwrap();
        assert!(matches!(read(&path), Err(KeyError::NotAKey { .. })));
    }

    #[test]
    fn keys_that_should_lie_elsewhere_are_found() {
        let folder = tempfile::tempdir().unwrap();
        for key in [KeyFile::Log, KeyFile::Control, KeyFile::Operator] {
            create(&key.path(folder.path()), &draw().unwrap()).unwrap();
        }
        assert_eq!(
            exposed(folder.path()),
            [KeyFile::Operator.path(folder.path())]
        );
    }
}
