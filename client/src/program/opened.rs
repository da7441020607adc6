//! A file that was opened once: what was hashed is what its descriptor names.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::digest::Digest;

use crate::manifest::content;

/// An open file and its digest.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    path: PathBuf,
    file: Arc<File>,
    stamp: [i128; 8],
    digest: Digest,
    is_binary: bool,
}

impl Opened {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let file = content::open_regular(path)?;
        // A stamp from before the hashing: whoever writes meanwhile changes it.
        let stamp = content::stamp(&file.metadata()?);
        let digest = content::hash(&file, &mut |_| {})?;
        let mut first = [0; 4];
        let is_binary = file.read_at(&mut first, 0).is_ok() && first == *b"\x7fELF";
        (&file).rewind()?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            stamp,
            digest,
            is_binary,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the file itself, where the path is a link.
    pub(super) fn file_name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// What leads to the open file, for this process and a child of it that has not become another program yet.
    pub(super) fn descriptor(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    pub(super) const fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the kernel executes it by itself. Whatever else interprets it opens it by its path.
    pub(super) const fn is_binary(&self) -> bool {
        self.is_binary
    }

    /// Whether its path still leads to this very file, and nobody has written to it.
    pub(super) fn is_still_there(&self) -> bool {
        let is_same = |path: &Path| {
            let now = Self::at(path).ok()?;
            let own = content::stamp(&self.file.metadata().ok()?);
            Some(now.stamp == self.stamp && own == self.stamp && now.digest == self.digest)
        };
        is_same(&self.path) == Some(true)
    }
}

pub(super) fn is_executable(path: &Path) -> bool {
    let metadata = path.metadata();
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
