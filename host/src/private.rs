//! Private folders: what is in them is their owner's alone, whatever the umask, and nothing that others put there
//! first is followed or written into.
//!
//! A caller names a base, which may be anything that the user chose, a link to another disk too. Below it no link is
//! followed, and every folder is made with the mode 0700.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::durable;

/// A private folder, open: its path may be changed meanwhile, what is opened in it is in the folder that it was.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    file: File,
}

/// Why something in a private folder is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// It could not be made, read or written.
    #[error("{path:?} could not be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link was there first: what is kept there would be kept somewhere else.
    #[error("{path:?} is a link, and is not followed: put a folder or a file of its own there")]
    Link {
        /// Which.
        path: PathBuf,
    },
    /// The file has another name elsewhere: whoever made that reads, and perhaps writes, what is kept here.
    #[error("{path:?} is a hard link: copy it, and put the copy in its place")]
    SharedFile {
        /// Which.
        path: PathBuf,
    },
    /// Others may put files there, or change them.
    #[error("others than its owner may write to {path:?}: chmod go-w {path:?}")]
    WritableByOthers {
        /// Which.
        path: PathBuf,
    },
    /// It is something else than a folder or a regular file.
    #[error("{path:?} is not a {wanted}")]
    OtherKind {
        /// Which.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
}

impl PrivateError {
    /// Whether there is nothing of this name.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl Folder {
    /// Opens the folder `below` a base, and makes what is missing of both.
    ///
    /// # Errors
    ///
    /// [`PrivateError`].
    pub fn make(base: &Path, below: &[&str]) -> Result<Self, PrivateError> {
        make_base(base)?;
        let mut folder = Self::base(base)?;
        for name in below {
            folder = folder.make_child(name)?;
        }
        Ok(folder)
    }

    /// Opens the folder `below` a base, which has to be there.
    ///
    /// # Errors
    ///
    /// [`PrivateError`].
    pub fn open(base: &Path, below: &[&str]) -> Result<Self, PrivateError> {
        let mut folder = Self::base(base)?;
        for name in below {
            folder = folder.child(name)?;
        }
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file to be read and added to, and makes it if need be.
    ///
    /// # Errors
    ///
    /// [`PrivateError`].
    pub fn append(&self, name: &str) -> Result<File, PrivateError> {
        let flags = OFlags::RDWR | OFlags::APPEND;
        match self.open_file(name, flags) {
            Err(error) if error.is_absent() => self.create(name, flags),
            opened => opened,
        }
    }

    /// Opens a file to be read.
    ///
    /// # Errors
    ///
    /// [`PrivateError`].
    pub fn read(&self, name: &str) -> Result<File, PrivateError> {
        self.open_file(name, OFlags::RDONLY)
    }

    /// Syncs the names in it.
    ///
    /// # Errors
    ///
    /// [`PrivateError::File`].
    pub fn sync(&self) -> Result<(), PrivateError> {
        durable::sync_folder(&self.path).map_err(|source| at(&self.path, source))
    }

    fn base(path: &Path) -> Result<Self, PrivateError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
        Ok(Self {
            file: File::from(opened.map_err(|error| at(path, error.into()))?),
            path: path.to_owned(),
        })
    }

    fn make_child(&self, name: &str) -> Result<Self, PrivateError> {
        let path = self.path.join(name);
        match rustix::fs::mkdirat(&self.file, name, Mode::RWXU) {
            Ok(()) => {
                let child = self.child(name)?;
                let mode = child.file.set_permissions(Permissions::from_mode(0o700));
                mode.map_err(|source| at(&path, source))?;
                self.sync()?;
                Ok(child)
            }
            Err(rustix::io::Errno::EXIST) => self.child(name),
            Err(error) => Err(at(&path, error.into())),
        }
    }

    fn child(&self, name: &str) -> Result<Self, PrivateError> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let file = File::from(self.open_here(name, flags, "folder")?);
        let metadata = file.metadata().map_err(|source| at(&path, source))?;
        if metadata.mode() & 0o022 != 0 {
            return Err(PrivateError::WritableByOthers { path });
        }
        Ok(Self { path, file })
    }

    fn create(&self, name: &str, flags: OFlags) -> Result<File, PrivateError> {
        let path = self.path.join(name);
        let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.file, name, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(made.map_err(|error| at(&path, error.into()))?);
        // The umask may have taken bits from the owner too.
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(|source| at(&path, source))?;
        Ok(file)
    }

    fn open_file(&self, name: &str, flags: OFlags) -> Result<File, PrivateError> {
        let path = self.path.join(name);
        let file = File::from(self.open_here(name, flags, "regular file")?);
        let metadata = file.metadata().map_err(|source| at(&path, source))?;
        if !metadata.is_file() {
            let wanted = "regular file";
            return Err(PrivateError::OtherKind { path, wanted });
        }
        if metadata.nlink() > 1 {
            return Err(PrivateError::SharedFile { path });
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(PrivateError::WritableByOthers { path });
        }
        Ok(file)
    }

    fn open_here(
        &self,
        name: &str,
        flags: OFlags,
        wanted: &'static str,
    ) -> Result<OwnedFd, PrivateError> {
        use rustix::io::Errno;
        let path = self.path.join(name);
        // A pipe that nobody writes to must not keep anybody waiting.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(self.file.as_fd(), name, flags, Mode::empty()).map_err(|error| {
            let is_link = || path.symlink_metadata().is_ok_and(|it| it.is_symlink());
            match error {
                Errno::LOOP | Errno::NOTDIR if is_link() => PrivateError::Link { path },
                Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => {
                    PrivateError::OtherKind { path, wanted }
                }
                error => at(&path, error.into()),
            }
        })
    }
}

/// What a user's own folders lack is made, each for its owner alone.
fn make_base(path: &Path) -> Result<(), PrivateError> {
    if path.is_dir() || path == Path::new("") {
        return Ok(());
    }
    let (parent, Some(name)) = (durable::folder_of(path), path.file_name()) else {
        return Ok(());
    };
    make_base(parent)?;
    match rustix::fs::mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Ok(()),
        Err(error) => return Err(at(&parent.join(name), error.into())),
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
        .and_then(|()| durable::sync_folder(parent))
        .map_err(|source| at(path, source))
}

fn at(path: &Path, source: io::Error) -> PrivateError {
    PrivateError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_the_owners_alone() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().join("home/.local/state");
        let folder = Folder::make(&base, &["dragons", "log"]).unwrap();
        folder.append("journal").unwrap();
        for place in ["home", "home/.local/state", "home/.local/state/dragons"] {
            assert_eq!(mode(&root.path().join(place)), 0o700, "{place}");
        }
        assert_eq!(mode(&folder.path().join("journal")), 0o600);
        let again = Folder::open(&base, &["dragons", "log"]).unwrap();
        again.append("journal").unwrap();
        again.read("journal").unwrap();
        assert!(again.read("absent").unwrap_err().is_absent());
    }

    #[test]
    fn a_base_may_be_a_link_and_what_is_below_may_not() {
        let root = tempfile::tempdir().unwrap();
        let (disk, base) = (root.path().join("disk"), root.path().join("state"));
        fs::create_dir(&disk).unwrap();
        symlink(&disk, &base).unwrap();
        let folder = Folder::make(&base, &["dragons"]).unwrap();
        assert!(disk.join("dragons").is_dir());
        symlink(root.path(), folder.path().join("log")).unwrap();
        let linked = Folder::make(&base, &["dragons", "log"]);
        assert!(matches!(linked, Err(PrivateError::Link { .. })));
        for target in ["nowhere", "disk"] {
            symlink(root.path().join(target), folder.path().join(target)).unwrap();
            let linked = folder.append(target);
            assert!(matches!(linked, Err(PrivateError::Link { .. })), "{target}");
        }
        assert!(!root.path().join("nowhere").exists());
    }

    #[test]
    fn nothing_is_written_into_what_others_share() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::make(root.path(), &["dragons"]).unwrap();
        let path = folder.path().join("journal");
        folder.append("journal").unwrap();
        fs::hard_link(&path, root.path().join("other")).unwrap();
        let shared = folder.append("journal");
        assert!(matches!(shared, Err(PrivateError::SharedFile { .. })));
        fs::remove_file(root.path().join("other")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
        let open = folder.append("journal");
        assert!(matches!(open, Err(PrivateError::WritableByOthers { .. })));
        fs::set_permissions(folder.path(), Permissions::from_mode(0o770)).unwrap();
        let open = Folder::make(root.path(), &["dragons"]);
        assert!(matches!(open, Err(PrivateError::WritableByOthers { .. })));
    }

    #[test]
    fn what_is_something_else_is_said_at_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::make(root.path(), &["dragons"]).unwrap();
        fs::create_dir(folder.path().join("journal")).unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &path, Mode::RWXU).unwrap();
        for name in ["journal", "pipe"] {
            let error = folder.append(name).unwrap_err();
            assert!(matches!(error, PrivateError::OtherKind { .. }), "{error}");
        }
        fs::write(folder.path().join("file"), "").unwrap();
        let error = Folder::make(root.path(), &["dragons", "file"]).unwrap_err();
        assert!(matches!(error, PrivateError::OtherKind { .. }), "{error}");
    }
}
