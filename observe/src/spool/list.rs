//! A list for people: lines of JSON that are added to, within a limit. When it is reached the list becomes `….1`, in place of
//! the one before.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{SpoolError, append, at};

/// How long a list gets: what a person may want to read.
const MAX_LIST_BYTES: u64 = 8 << 20;

/// A list.
#[derive(Clone, Debug)]
pub(crate) struct List(PathBuf);

impl List {
    /// The list of a name in the spool.
    pub(crate) fn of(folder: &Path, name: &str) -> Self {
        Self(folder.join(format!("{name}.jsonl")))
    }

    /// Adds to it.
    pub(crate) fn add<T: Serialize>(
        &self,
        rows: impl Iterator<Item = T>,
    ) -> Result<(), SpoolError> {
        let mut bytes = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut bytes, &row).map_err(|error| at(&self.0, error.into()))?;
            bytes.push(b'\n');
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let mut file = append(&self.0)?;
        let length = file.metadata().map_err(|source| at(&self.0, source))?.len();
        if length > MAX_LIST_BYTES {
            let old = self.0.with_extension("jsonl.1");
            fs::rename(&self.0, &old).map_err(|source| at(&old, source))?;
            file = append(&self.0)?;
        }
        file.write_all(&bytes).map_err(|source| at(&self.0, source))
    }
}
