//! The mark of a restored folder, and how it comes to sign again.
//!
//! A backup ends where the log ended when it was made. If the log went on, its next entries are signed and published,
//! and whoever signs others in their place forks it. Nothing in the folder tells whether it went on. So it bears a mark,
//! and is served without signing anything until somebody shows the newest checkpoint that was published, and that is the
//! head of the restored log.
//!
//! ```text
//! DATA/restored.json   {"restored":"dragons.restored/v1","backup":7,"size":812,"resumed":null}
//!                      … "resumed":{"at_ms":1767225600000,"checkpoint":"example.com/workledger\n812\n…"}
//! ```

use std::io;
use std::path::{Path, PathBuf};

use host::bounded;
use host::durable::{self, Readers};
use ledger::codes::Refusal;
use ledger::json::{Members, Value, integer, object, string};
use store::{Store, StoreError};
use tlog::checkpoint::{ParseCheckpointError, SignedCheckpoint};
use tlog::{Hash, TreeSize};

use super::Manifest;
use crate::log::{LeafError, Replay};
use crate::trust::Trust;

/// The file with the mark, in a data folder.
const FILE: &str = "restored.json";

/// What the first member says.
const FORMAT: &str = "dragons.restored/v1";

/// The longest mark: a checkpoint with all its cosignatures, and a few numbers.
const MAX_BYTES: usize = 2 * tlog::note::MAX_NOTE_BYTES + 4_096;

/// Leaves that are read at once: some megabytes.
const CHUNK: usize = 1_024;

/// That a folder was restored, and whether its log may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The number of the backup.
    pub backup: u64,
    /// How many entries were restored.
    pub size: u64,
    /// The checkpoint that was shown, and when: milliseconds since the epoch.
    pub resumed: Option<(u64, String)>,
}

impl Marker {
    /// Of what was just restored.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            backup: manifest.id.into(),
            size: manifest.size().get(),
            resumed: None,
        }
    }

    /// The same, now that a checkpoint was shown.
    #[must_use]
    pub fn resumed(self, checkpoint: &str, at_ms: u64) -> Self {
        let resumed = Some((at_ms, checkpoint.to_owned()));
        Self { resumed, ..self }
    }

    /// Reads the mark of a data folder; `None` if it was not restored.
    ///
    /// # Errors
    /// [`MarkerError`].
    pub fn read(data: &Path) -> Result<Option<Self>, MarkerError> {
        let path = data.join(FILE);
        let bytes = match bounded::read(&path, MAX_BYTES) {
            Err(bounded::ReadError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            bytes => bytes?,
        };
        let wrong = |refusal| MarkerError::Malformed { path, refusal };
        Self::parse(bytes.trim_ascii_end()).map(Some).map_err(wrong)
    }

    /// Writes the mark of a data folder, durably.
    ///
    /// # Errors
    /// [`MarkerError::Unwritten`].
    pub fn write(&self, data: &Path) -> Result<(), MarkerError> {
        let path = data.join(FILE);
        let text = format!("{}\n", self.to_json());
        let written = durable::replace(&path, text.as_bytes(), Readers::Owner);
        written.map_err(|error| MarkerError::Unwritten { path, error })
    }

    /// As it is in its file, without the line break.
    #[must_use]
    pub fn to_json(&self) -> String {
        let resumed = self.resumed.as_ref().map(|(at_ms, checkpoint)| {
            object([
                ("at_ms", (*at_ms).into()),
                ("checkpoint", checkpoint.as_str().into()),
            ])
        });
        object([
            ("restored", FORMAT.into()),
            ("backup", self.backup.into()),
            ("size", self.size.into()),
            ("resumed", resumed.unwrap_or(Value::Null)),
        ])
        .to_json()
    }

    /// Reads a mark.
    ///
    /// # Errors
    /// `malformed` and the like: it is not of the form that this program writes.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::open("", Value::parse(json)?)?;
        let format = members.required("restored", string)?;
        let marker = Self {
            backup: members.required("backup", integer)?,
            size: members.required("size", integer)?,
            resumed: members.nullable("resumed", resumed)?,
        };
        members.finish()?;
        match format == FORMAT {
            true => Ok(marker),
            false => Err(ledger::codes::Code::Malformed.because(format)),
        }
    }
}

fn resumed(path: &str, value: Value) -> Result<(u64, String), Refusal> {
    let mut members = Members::open(path, value)?;
    let at_ms = members.required("at_ms", integer)?;
    let checkpoint = members.required("checkpoint", string)?;
    members.finish().map(|()| (at_ms, checkpoint))
}

/// Judges whether a restored log may go on behind the newest checkpoint that was published.
///
/// # Errors
/// [`ResumeError`].
pub fn judge(store: &dyn Store, trust: &Trust, shown: &str) -> Result<(), ResumeError> {
    let shown = SignedCheckpoint::parse(shown)?;
    let head = shown.unverified();
    let size = store.head()?.map_or(TreeSize::new(0), |head| head.size);
    let mut replay = Replay::new();
    let mut root = None;
    for from in (0..size.get()).step_by(CHUNK) {
        let to = size.get().min(from + CHUNK as u64);
        for (index, leaf) in (from..).zip(store.leaves(from..to)?) {
            let wrong = |error| ResumeError::Leaf { index, error };
            replay.push(&leaf).map_err(wrong)?;
            if index + 1 == head.size.get() {
                root = Some(replay.edge().root());
            }
        }
    }
    let state = replay.state();
    let origin = state.charter().map(|charter| charter.origin.as_str());
    if state.log() != Some(trust.charter) || origin != Some(head.origin.as_str()) {
        let origin = head.origin.to_string();
        return Err(ResumeError::OtherLog { origin });
    }
    state
        .signed_in_force(&shown)
        .map_err(ResumeError::Unsigned)?;
    compare(head.size, head.root, size, root)
}

/// What of the log was shown, beside what of it was restored and the root that it has at the shown size.
fn compare(
    shown: TreeSize,
    shown_root: Hash,
    restored: TreeSize,
    root: Option<Hash>,
) -> Result<(), ResumeError> {
    match root {
        None => Err(ResumeError::Missing {
            first: restored.get(),
            last: shown.get().saturating_sub(1),
        }),
        Some(root) if root != shown_root => Err(ResumeError::Contradicted { size: shown }),
        Some(_) if shown < restored => Err(ResumeError::Older { shown, restored }),
        Some(_) => Ok(()),
    }
}

/// Why the mark of a folder was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum MarkerError {
    /// It cannot be read.
    #[error(transparent)]
    Unread(#[from] bounded::ReadError),
    /// It is not of the form that this program writes.
    #[error("{} is not the mark of a restored folder", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        refusal: Refusal,
    },
    /// It cannot be written.
    #[error("{} could not be written", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// Why a restored log does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// What is shown is not a checkpoint.
    #[error("what is shown is not a signed checkpoint")]
    Malformed(#[from] ParseCheckpointError),
    /// It is of another log.
    #[error("the shown checkpoint is of the log {origin}, and another log was restored")]
    OtherLog {
        /// The name of that log.
        origin: String,
    },
    /// No key of the log signed it.
    #[error("no key that the restored log names signed the shown checkpoint")]
    Unsigned(#[source] Refusal),
    /// The log went on behind the backup.
    #[error(
        "entries {first} to {last} are missing: they were published, and the backup ends before them. \
         Restore a newer backup, or put back the data folder itself if its disk can still be read. \
         If neither reaches entry {last}, this log cannot go on: what was restored can be served and read, \
         and a new log, under another name, takes its place"
    )]
    Missing {
        /// The index of the first.
        first: u64,
        /// The index of the last.
        last: u64,
    },
    /// It has another history.
    #[error(
        "the restored log has another history than the one with the shown checkpoint of size {size}: one of the two is a fork. Keep both, and compare them with what mirrors, monitors and clients have"
    )]
    Contradicted {
        /// The size of the shown checkpoint.
        size: TreeSize,
    },
    /// The restored log itself shows that something newer was published.
    #[error(
        "the shown checkpoint is of size {shown}, and what was restored ends at {restored}: something newer was published. Show the newest checkpoint that anybody has"
    )]
    Older {
        /// The size of the shown checkpoint.
        shown: TreeSize,
        /// The size of the restored log.
        restored: TreeSize,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A leaf is damaged.
    #[error("leaf {index} is damaged")]
    Leaf {
        /// Its index.
        index: u64,
        /// Why.
        #[source]
        error: LeafError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Marker::read(folder.path()).unwrap(), None);
        let marker = Marker {
            backup: 7,
            size: 812,
            resumed: None,
        };
        for marker in [marker.clone(), marker.resumed("a note\n", 9)] {
            marker.write(folder.path()).unwrap();
            assert_eq!(Marker::read(folder.path()).unwrap(), Some(marker));
        }
        for broken in ["", "{}", "{\"restored\":\"x\"}"] {
            std::fs::write(folder.path().join(FILE), broken).unwrap();
            assert!(Marker::read(folder.path()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_log_goes_on_behind_its_own_head_alone() {
        let [one, other] = [b"one", b"two"].map(|leaf| tlog::leaf_hash(leaf));
        let judged = |shown: u64, root: Option<Hash>| {
            compare(TreeSize::new(shown), one, TreeSize::new(8), root)
        };
        judged(8, Some(one)).unwrap();
        assert!(matches!(
            judged(8, Some(other)),
            Err(ResumeError::Contradicted { .. })
        ));
        assert!(matches!(
            judged(7, Some(one)),
            Err(ResumeError::Older { .. })
        ));
        assert!(matches!(
            judged(7, Some(other)),
            Err(ResumeError::Contradicted { .. })
        ));
        assert!(matches!(
            judged(11, None),
            Err(ResumeError::Missing { first: 8, last: 10 })
        ));
    }
}
