//! Who else can get at files and folders.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The bits for anybody but the owner.
const OTHERS: u32 = 0o077;

/// The bits by which anybody but the owner may write.
const OTHERS_WRITE: u32 = 0o022;

/// The bit by which a folder that all may write to still keeps each one's files for their owner.
const STICKY: u32 = 0o1000;

/// What is known of a file. What is not a file (a pipe, a folder) is not read: it may have no end, or no beginning.
pub(super) fn regular(path: &Path) -> io::Result<Metadata> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{path:?}: {error}"));
    let metadata = std::fs::metadata(path).map_err(named)?;
    match metadata.is_file() {
        true => Ok(metadata),
        false => Err(io::Error::other(format!("{path:?} is not a regular file"))),
    }
}

/// The permissions, as `chmod` takes them.
pub(super) fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

/// Whether others than the owner can do anything with it.
pub(super) const fn is_open(mode: u32) -> bool {
    mode & OTHERS != 0
}

/// Whether others than the owner can replace what is in the folder.
pub(super) const fn is_writable_by_others(mode: u32) -> bool {
    mode & OTHERS_WRITE != 0 && mode & STICKY == 0
}

/// Whether somebody else than this process's user owns it. Root may own anything.
pub(super) fn is_anothers(metadata: &Metadata) -> bool {
    let owner = metadata.uid();
    owner != 0 && owner != rustix::process::geteuid().as_raw()
}

/// The folder of a file, as far as its path says.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_say_who_gets_in() {
        for (mode, open, writable) in [
            (0o600, false, false),
            (0o700, false, false),
            (0o640, true, false),
            (0o604, true, false),
            (0o755, true, false),
            (0o775, true, true),
            (0o757, true, true),
            (0o1777, true, false),
        ] {
            let got = (is_open(mode), is_writable_by_others(mode));
            assert_eq!(got, (open, writable), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let said = regular(folder.path()).unwrap_err().to_string();
        assert!(said.contains("not a regular file"), "{said}");
        assert!(regular(&folder.path().join("absent")).is_err());
        assert_eq!(folder_of(Path::new("key.pem")), Path::new("."));
    }
}
