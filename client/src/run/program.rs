//! The program: found, digested, and put on a command line.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ledger::digest::Digest;

/// A program that is there, with its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    called: OsString,
    arguments: Vec<OsString>,
    digest: Digest,
}

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is none of the name.
    #[error("there is no program {called:?}")]
    NotFound {
        /// What it was called.
        called: OsString,
    },
    /// It cannot be read, so nobody could say later what ran.
    #[error("the program {path:?} could not be read")]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Program {
    /// Finds a program as a shell does: a name with a slash is a path, any other is looked for in the directories.
    ///
    /// # Errors
    ///
    /// [`ProgramError`].
    pub fn find(
        called: &OsStr,
        arguments: Vec<OsString>,
        directories: impl Iterator<Item = PathBuf>,
    ) -> Result<Self, ProgramError> {
        let is_path = called.as_bytes().contains(&b'/');
        let found = match is_path {
            true => Some(PathBuf::from(called)).filter(|path| is_executable(path)),
            false => directories
                .map(|directory| directory.join(called))
                .find(|path| is_executable(path)),
        };
        let path = found.ok_or_else(|| ProgramError::NotFound {
            called: called.to_owned(),
        })?;
        Ok(Self {
            called: called.to_owned(),
            digest: digest(&path)?,
            path,
            arguments,
        })
    }

    /// The program as it is now: its file may be another than it was.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Unreadable`].
    pub(super) fn read_again(&self) -> Result<Self, ProgramError> {
        Ok(Self {
            digest: digest(&self.path)?,
            ..self.clone()
        })
    }

    /// Its name without directories: the resource of the scope that it runs under.
    pub fn name(&self) -> &[u8] {
        let name = Path::new(&self.called).file_name();
        name.unwrap_or(&self.called).as_bytes()
    }

    /// The digest of its file.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The command line, each word ended by a NUL as the system has it.
    pub fn argv(&self) -> Vec<u8> {
        let words = std::iter::once(&self.called).chain(&self.arguments);
        words
            .flat_map(|word| word.as_bytes().iter().copied().chain([0]))
            .collect()
    }

    /// The file that is executed. It names a directory, so that it is looked for nowhere else.
    pub(super) fn path(&self) -> PathBuf {
        match self.path.as_os_str().as_bytes().contains(&b'/') {
            true => self.path.clone(),
            false => Path::new(".").join(&self.path),
        }
    }

    /// What it is called: its first word.
    pub(super) fn called(&self) -> &OsStr {
        &self.called
    }

    /// Its further words.
    pub(super) fn arguments(&self) -> &[OsString] {
        &self.arguments
    }
}

fn digest(path: &Path) -> Result<Digest, ProgramError> {
    let digest = crate::manifest::content::digest(path);
    digest.map_err(|source| ProgramError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn is_executable(path: &Path) -> bool {
    let metadata = path.metadata();
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
