//! Why a backup was not made, checked or restored.

use std::io;
use std::path::{Path, PathBuf};

use store::{CopyError, OpenStoreError, StoreError};

use super::manifest::ManifestError;
use super::restored::{MarkerError, ResumeError};
use super::snapshot::SnapshotError;
use crate::anchor::PlaceError;
use crate::init::InitError;
use crate::trust::TrustError;

/// Why a backup was not made, checked or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The data folder is no finished log.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The folder of backups would go with the data folder.
    #[error("{} is in the data folder and would be lost with it: name a place on another disk", to.display())]
    Inside {
        /// The folder of backups.
        to: PathBuf,
    },
    /// Another process adds a backup there.
    #[error("another backup is being made in {}", folder.display())]
    Locked {
        /// The folder of backups.
        folder: PathBuf,
    },
    /// The folder has the backups of another log.
    #[error("{} has the backups of another log: name another folder", folder.display())]
    OtherLog {
        /// The folder of backups.
        folder: PathBuf,
    },
    /// There is no backup in the folder.
    #[error("there is no backup in {}", folder.display())]
    Empty {
        /// The folder of backups.
        folder: PathBuf,
    },
    /// There is no backup of that number.
    #[error("backup {id} does not exist or is not complete")]
    Absent {
        /// Its number.
        id: u32,
    },
    /// The backup is damaged.
    #[error("backup {id} is damaged: {finding}")]
    Damaged {
        /// Its number.
        id: u32,
        /// The first thing that does not fit.
        finding: String,
    },
    /// A file of the backup is not the one that its manifest names.
    #[error("{} is not the file that the manifest names", path.display())]
    FileChanged {
        /// The file.
        path: PathBuf,
    },
    /// The manifest is not of the form that `create` writes.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The folder to restore into has something in it.
    #[error("{} is not empty: name a folder that is absent or empty", data.display())]
    NotEmpty {
        /// The folder.
        data: PathBuf,
    },
    /// The folder was not restored.
    #[error("{} was not restored from a backup, so nothing keeps it from going on", data.display())]
    NotRestored {
        /// The folder.
        data: PathBuf,
    },
    /// The mark of a restored folder cannot be read or written.
    #[error(transparent)]
    Marker(#[from] MarkerError),
    /// The shown checkpoint does not let the log go on.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// What is shown is no path or address.
    #[error("--resume-after {0}")]
    Place(String),
    /// What is shown cannot be read.
    #[error("the checkpoint cannot be read")]
    Unread(#[from] PlaceError),
    /// There is nothing where the checkpoint should be.
    #[error("there is no checkpoint at {place}")]
    NothingShown {
        /// The path or address.
        place: String,
    },
    /// The running service did not give its store.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The store was not copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A restored store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenStoreError),
    /// A restored store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file is too long or cannot be read.
    #[error(transparent)]
    Read(#[from] host::bounded::ReadError),
    /// A folder could not be made.
    #[error(transparent)]
    Folder(#[from] InitError),
    /// A file or folder could not be read or written.
    #[error("{} could not be read or written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

impl BackupError {
    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// Whether the backup is to blame, and not the way to it.
    pub(super) const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Absent { .. }
                | Self::FileChanged { .. }
                | Self::Manifest(_)
                | Self::Trust(_)
                | Self::Copy(CopyError::Store(_))
                | Self::Open(_)
                | Self::Store(_)
                | Self::Read(_)
        )
    }
}
