//! Bounded reads: a path may lead to anything, and no more of it is read than a caller can use.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be opened or read.
    #[error("{path:?} could not be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is longer than anything that belongs there.
    #[error("{path:?} is longer than {most} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit.
        most: usize,
    },
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
///
/// [`ReadError`].
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, ReadError> {
    let bytes = File::open(path).and_then(|file| at_most(file, most));
    let bytes = bytes.map_err(|source| ReadError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    bytes.ok_or_else(|| ReadError::TooLong {
        path: path.to_owned(),
        most,
    })
}

/// Reads to the end if that comes within `most` bytes, else gives `None`.
///
/// # Errors
///
/// Those of the reader.
pub fn at_most(reader: impl Read, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    // One byte more tells what is too long from what just fits.
    reader.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_read_and_what_is_longer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for (length, fits) in [
            (0, true),
            (7, true),
            (8, true),
            (9, false),
            (1 << 20, false),
        ] {
            std::fs::write(&path, vec![b'x'; length]).unwrap();
            match read(&path, 8) {
                Ok(bytes) => assert!(fits && bytes.len() == length, "{length}"),
                Err(error) => assert!(!fits && matches!(error, ReadError::TooLong { .. })),
            }
        }
        let absent = read(&folder.path().join("absent"), 8);
        assert!(matches!(absent, Err(ReadError::Unreadable { .. })));
    }

    #[test]
    fn what_has_no_end_is_not_read_to_it() {
        assert!(at_most(io::repeat(0), 1_000).unwrap().is_none());
    }
}
