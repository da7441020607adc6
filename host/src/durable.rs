//! Durable writes: a file is written beside its place, synced, given its name, and the name is synced with the folder.
//!
//! After a crash there is the old file or the new one, never half of either. Other programs see no moment between
//! them.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone, whatever the umask.
    Owner,
    /// Whoever the umask lets.
    Anybody,
}

/// Writes a file in place of what has its name, if anything has.
///
/// # Errors
///
/// Those of the file system; what was there before is there still, unless only the sync of the folder failed.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut draft = Draft::of(path, readers)?;
    draft.write_all(bytes)?;
    draft.place()
}

/// Writes a file under a name that nothing has, not even a link that leads nowhere.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`], and those of the file system.
pub fn create(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut draft = Draft::of(path, readers)?;
    draft.write_all(bytes)?;
    draft.place_new()
}

/// Syncs a folder: the names in it are durable once this returns.
///
/// # Errors
///
/// Those of the file system.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path).and_then(|folder| folder.sync_all()) {
        // Some file systems keep nothing of a folder that could be synced (fsync(2)).
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// A file that is being written. It takes its name when it is placed, or goes away.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// Begins a file that will be called `path`.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn of(path: &Path, readers: Readers) -> io::Result<Self> {
        let mode = match readers {
            Readers::Owner => 0o600,
            Readers::Anybody => 0o666,
        };
        let mut builder = tempfile::Builder::new();
        builder
            .prefix(".new-")
            .permissions(Permissions::from_mode(mode));
        let file = builder.tempfile_in(folder_of(path))?;
        if readers == Readers::Owner {
            // The umask may have taken bits from the owner too.
            file.as_file()
                .set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Gives it the permissions of the file that it is to replace, and its owner where that can be done.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn as_was(self, there: &Metadata) -> io::Result<Self> {
        let file = self.file.as_file();
        // Root alone may give files away; who else writes here has said that the file is to be replaced.
        let _ = std::os::unix::fs::fchown(file, Some(there.uid()), Some(there.gid()));
        file.set_permissions(Permissions::from_mode(there.mode() & 0o777))?;
        Ok(self)
    }

    /// Gives it its name, in place of what has it.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn place(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path)?;
        sync_folder(folder_of(&self.path))
    }

    /// Gives it its name if nothing has it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`], and those of the file system.
    pub fn place_new(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist_noclobber(&self.path)?;
        sync_folder(folder_of(&self.path))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Gives a folder that was written beside its place its name, once what it holds is on the disk.
///
/// # Errors
///
/// Those of the file system.
pub fn place_folder(from: &Path, to: &Path) -> io::Result<()> {
    sync_folder(from)?;
    std::fs::rename(from, to)?;
    sync_folder(folder_of(to))
}

/// The folder that a path is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for content in ["one", "two, longer", ""] {
            replace(&path, content.as_bytes(), Readers::Owner).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(mode(&path), 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_that_is_dropped_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        replace(&path, b"one", Readers::Anybody).unwrap();
        let mut draft = Draft::of(&path, Readers::Anybody).unwrap();
        draft.write_all(b"two").unwrap();
        drop(draft);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_takes_no_name_that_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("x"), folder.path().join("link"));
        create(&path, b"one", Readers::Owner).unwrap();
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
        for taken in [&path, &link] {
            let error = create(taken, b"two", Readers::Owner).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_bare_name_is_in_the_folder_here() {
        for (path, folder) in [("x", "."), ("a/x", "a"), ("/x", "/"), ("./x", ".")] {
            assert_eq!(folder_of(Path::new(path)), Path::new(folder));
        }
    }
}
