//! What a backup is of.
//!
//! ```text
//! {"backup":"dragons.backup/v1","id":7,"made_ms":1767225600000,"charter":"sha256:…","checkpoint":"example.com/workledger\n812\n…",
//!  "files":[{"path":"trust.json","bytes":264,"sha256":"sha256:…"}]}
//! ```
//!
//! It comes from a disk that anybody may have written to: a path leads nowhere but into the folder that is restored.

use ledger::codes::Refusal;
use ledger::digest::{Digest, RecordHash};
use ledger::json::{Members, Value, integer, object, parsed, string};
use tlog::TreeSize;
use tlog::checkpoint::{ParseCheckpointError, SignedCheckpoint};

/// What the first member says.
const FORMAT: &str = "dragons.backup/v1";

/// The most files beside the store.
const MAX_FILES: usize = 1_024;

/// The longest file beside the store, in bytes: a webhook's dead letters, and what is added to them before they are put
/// away.
pub(super) const MAX_FILE_BYTES: u64 = 32 << 20;

/// How many names a path has at most.
const MAX_NAMES: usize = 4;

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its number in its folder.
    pub id: u32,
    /// When it was made: milliseconds since the epoch.
    pub made_ms: u64,
    /// The record hash of charter 1: which log.
    pub charter: RecordHash,
    /// The head of the log in it. Nobody has checked who signed it.
    pub checkpoint: SignedCheckpoint,
    /// The files beside the store.
    pub files: Vec<Copied>,
}

/// A file beside the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its place in a data folder.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// The digest of its content.
    pub sha256: Digest,
}

impl Manifest {
    /// Of a backup that was just made.
    ///
    /// # Errors
    /// [`ManifestError::Checkpoint`].
    pub(super) fn of(
        id: u32,
        made_ms: u64,
        charter: RecordHash,
        checkpoint: &str,
        files: Vec<Copied>,
    ) -> Result<Self, ManifestError> {
        let checkpoint = SignedCheckpoint::parse(checkpoint)?;
        Ok(Self {
            id,
            made_ms,
            charter,
            checkpoint,
            files,
        })
    }

    /// How many entries the log in it has.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.checkpoint.unverified().size
    }

    /// Whether keys came along.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.files.iter().any(|file| file.path.starts_with("keys/"))
    }

    /// As it is in its file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let files = self.files.iter().map(|file| {
            object([
                ("path", file.path.as_str().into()),
                ("bytes", file.bytes.into()),
                ("sha256", file.sha256.into()),
            ])
        });
        let manifest = object([
            ("backup", FORMAT.into()),
            ("id", u64::from(self.id).into()),
            ("made_ms", self.made_ms.into()),
            ("charter", self.charter.into()),
            ("checkpoint", self.checkpoint.to_string().into()),
            ("files", files.collect()),
        ]);
        format!("{}\n", manifest.to_json())
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let line = bytes.strip_suffix(b"\n").ok_or(ManifestError::Unfinished)?;
        let mut members = Members::open("", Value::parse(line)?)?;
        let format = members.required("backup", string)?;
        if format != FORMAT {
            return Err(ManifestError::Format { format });
        }
        let id = members.required("id", integer)?;
        let made_ms = members.required("made_ms", integer)?;
        let charter = members.required("charter", parsed)?;
        let checkpoint = members.required("checkpoint", string)?;
        let files = members.list("files", file)?;
        members.finish()?;
        if files.len() > MAX_FILES {
            return Err(ManifestError::Files { got: files.len() });
        }
        if let Some(wrong) = files.iter().find(|file| !file.is_plain()) {
            let path = wrong.path.clone();
            return Err(ManifestError::Path { path });
        }
        let id = u32::try_from(id).map_err(|_| ManifestError::Id { id })?;
        Self::of(id, made_ms, charter, &checkpoint, files)
    }
}

impl Copied {
    /// Whether it leads into the folder that is restored, to a file that a backup can have.
    fn is_plain(&self) -> bool {
        let is_name = |name: &str| {
            let is_plain =
                |byte: u8| byte.is_ascii_alphanumeric() || [b'-', b'_', b'.'].contains(&byte);
            !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain)
        };
        let mut names = self.path.split('/');
        let count = names.clone().count();
        let first = names.clone().next();
        let is_known = match count {
            1 => first == Some("trust.json"),
            2..=MAX_NAMES => matches!(first, Some("keys" | "webhooks")),
            _ => false,
        };
        is_known && names.all(is_name) && self.bytes <= MAX_FILE_BYTES
    }
}

fn file(path: &str, value: Value) -> Result<Copied, Refusal> {
    let mut members = Members::open(path, value)?;
    let file = Copied {
        path: members.required("path", string)?,
        bytes: members.required("bytes", integer)?,
        sha256: members.required("sha256", parsed)?,
    };
    members.finish().map(|()| file)
}

/// Why bytes are no manifest of a backup.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Its line is not finished.
    #[error("the manifest ends too early")]
    Unfinished,
    /// It is not of the form.
    #[error("the manifest is not of the form that this program writes")]
    Form(#[from] Refusal),
    /// It is of another format.
    #[error("the manifest has the format {format:?}, this program reads {FORMAT}")]
    Format {
        /// Its format.
        format: String,
    },
    /// Its number is too large.
    #[error("the manifest has the number {id}, which no backup has")]
    Id {
        /// The number.
        id: u64,
    },
    /// It names too many files.
    #[error("the manifest names {got} files, at most {MAX_FILES} belong to a backup")]
    Files {
        /// How many.
        got: usize,
    },
    /// It names a file that no backup has.
    #[error("the manifest names {path:?}, which is no file of a backup")]
    Path {
        /// The path.
        path: String,
    },
    /// The head in it is not a checkpoint.
    #[error("the manifest has no checkpoint")]
    Checkpoint(#[from] ParseCheckpointError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "example.com/log\n1\niipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc=\n\n\
        — example.com/log AQaCugK2AY0jAQaCugK2AY0jAQaCugK2AY0jAQaCugK2AY0jAQaCugK2AY0jAQaCugK2AY0jAQaCugK2AY0jAQaCugK2AY0jAQaCug==\n";

    fn manifest(path: &str, bytes: u64) -> Manifest {
        let sha256 = Digest::of(&[b"x"]);
        let files = vec![Copied {
            path: path.to_owned(),
            bytes,
            sha256,
        }];
        let charter = RecordHash::new(sha256);
        Manifest::of(7, 1_767_225_600_000, charter, NOTE, files).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        for path in [
            "trust.json",
            "keys/log.pem",
            "webhooks/ops/position",
            "webhooks/ops/dead.old.jsonl",
        ] {
            let manifest = manifest(path, 9);
            assert_eq!(
                Manifest::parse(manifest.to_json().as_bytes()).unwrap(),
                manifest
            );
        }
    }

    #[test]
    fn a_path_leads_nowhere_else() {
        for path in [
            "",
            "/etc/passwd",
            "../trust.json",
            "keys/../../x",
            "keys//x",
            "keys/",
            "keys",
            "store/CURRENT",
            "restored.json",
            "keys/.hidden",
            "keys/a\\b",
            "keys/a/b/c/d",
            "webhooks/a\0b",
        ] {
            let refused = Manifest::parse(manifest(path, 9).to_json().as_bytes());
            assert!(
                matches!(refused, Err(ManifestError::Path { .. })),
                "{path:?}"
            );
        }
        let too_long = manifest("trust.json", MAX_FILE_BYTES + 1);
        assert!(Manifest::parse(too_long.to_json().as_bytes()).is_err());
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let good = manifest("trust.json", 9).to_json();
        for bad in [
            good.trim_end().to_owned(),
            format!("{good}\n"),
            good.replace("/v1", "/v2"),
            good.replace("\"id\":7", "\"id\":4294967296"),
            good.replace("\"made_ms\"", "\"made\""),
            good.replace("example.com/log\\n1\\n", "example.com/log\\n01\\n"),
            good.replace("\"bytes\":9", "\"bytes\":9,\"more\":1"),
        ] {
            assert_ne!(bad, good);
            assert!(Manifest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
