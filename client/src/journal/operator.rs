//! What operators have signed on this machine, before anybody else sees it.
//!
//! It is beside the journals of agents, in a folder whose name no agent can have, and has the same kinds of line:
//!
//! ```text
//! <state>/dragons/<fingerprint of the log>/_operator/journal.jsonl
//! ```
//!
//! An operator who does not know what became of a grant is tempted to grant again. With what was signed at hand, the same
//! bytes are sent again, and what was never answered can be listed.
//!
//! Several commands may run at once, so the file is locked for as long as a line is added or the file read, and no longer.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use host::private::Folder;
use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::record::SignedRecord;

use super::{JOURNAL, JournalError, Line, at, cut_torn_line, each_line, folder_of};

const OPERATOR: &str = "_operator";

/// The journal of the operators of one log.
#[derive(Debug)]
pub struct OperatorJournal {
    folder: Folder,
}

/// What is known of a record that an operator signed and that is not shown to be in the log.
#[derive(Clone, Debug)]
pub struct Unsettled {
    /// The record.
    pub record: SignedRecord,
    /// Why it was refused, by the word of whoever answered; `None` if nobody has.
    pub refused: Option<Refusal>,
}

impl OperatorJournal {
    /// Opens the journal below a state directory, such as `$XDG_STATE_HOME`, and makes it if need be.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn open(state: &Path, log: RecordHash) -> Result<Self, JournalError> {
        let folder = Folder::make(state, &["dragons", &folder_of(log), OPERATOR])?;
        let journal = Self { folder };
        journal.locked()?;
        // New names are durable once their directory is synced.
        journal.folder.sync()?;
        Ok(journal)
    }

    /// What is unsettled in a journal, if there is one. Nothing is made.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn look(state: &Path, log: RecordHash) -> Result<Vec<Unsettled>, JournalError> {
        match Folder::open(state, &["dragons", &folder_of(log), OPERATOR]) {
            Err(error) if error.is_absent() => Ok(Vec::new()),
            folder => Self { folder: folder? }.unsettled(),
        }
    }

    /// Adds a line, and returns once it is on the disk.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn append(&self, line: &Line) -> Result<(), JournalError> {
        let (mut file, path) = (self.locked()?, self.path());
        // Behind a line that a crash tore nothing could be read.
        cut_torn_line(&file, &path)?;
        file.write_all(format!("{}\n", line.to_json()).as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|source| at(&path, source))
    }

    /// What was signed and is not shown to be in the log, oldest first.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn unsettled(&self) -> Result<Vec<Unsettled>, JournalError> {
        let mut unsettled = Vec::new();
        each_line(&self.locked()?, &self.path(), |bytes| {
            apply(&mut unsettled, Line::parse(bytes)?);
            Ok(())
        })?;
        Ok(unsettled)
    }

    /// The lock is given back with the file.
    fn locked(&self) -> Result<File, JournalError> {
        let file = self.folder.append(JOURNAL)?;
        file.lock().map_err(|source| at(&self.path(), source))?;
        Ok(file)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(JOURNAL)
    }
}

fn apply(unsettled: &mut Vec<Unsettled>, line: Line) {
    match line {
        Line::Signed(record) => unsettled.push(Unsettled {
            record: *record,
            refused: None,
        }),
        Line::Logged { record, .. } => unsettled.retain(|one| one.record.hash() != record),
        Line::Refused { record, refusal } => {
            let is_it = |one: &&mut Unsettled| one.record.hash() == record;
            if let Some(one) = unsettled.iter_mut().find(is_it) {
                one.refused = Some(refusal);
            }
        }
        Line::Seen(_) | Line::Charter { .. } => {}
    }
}
