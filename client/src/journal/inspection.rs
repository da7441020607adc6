//! A look into a journal from outside, which changes nothing in it: nothing is made, cut off or kept locked.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ledger::digest::RecordHash;
use ledger::text::Name;

use super::{Book, DISCLOSURES, JOURNAL, Journal, JournalError, Line, directory, each_line};
use crate::disclosure;
use crate::manifest::content::open_regular;

/// What is in a journal's directory.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The directory.
    pub directory: PathBuf,
    /// What the journal comes to.
    pub book: Book,
    /// Whether a process has it open, so that it may grow while it is looked at.
    pub is_in_use: bool,
    /// How long its last line is, if that has no end: a crash tore it, or it is being written.
    pub torn_bytes: u64,
    /// How many values are kept beside it.
    pub disclosures: u64,
}

impl Journal {
    /// Where the journal of an agent is below a state directory, whether there is one or not.
    pub fn place(state: &Path, log: RecordHash, agent: &Name) -> PathBuf {
        directory(state, log, agent)
    }

    /// Reads the journal of an agent, if there is one.
    ///
    /// # Errors
    ///
    /// [`JournalError::File`], [`JournalError::Damaged`].
    pub fn inspect(
        state: &Path,
        log: RecordHash,
        agent: &Name,
    ) -> Result<Option<Inspection>, JournalError> {
        let directory = directory(state, log, agent);
        let path = directory.join(JOURNAL);
        let Some(file) = open_if_there(&path)? else {
            return Ok(None);
        };
        let is_in_use = is_locked(&file).map_err(|source| JournalError::File {
            path: path.clone(),
            source,
        })?;
        let mut book = Book::default();
        let torn_bytes = torn(&file, &path, |bytes| {
            book.apply(&Line::parse(bytes)?);
            Ok(())
        })?;
        Ok(Some(Inspection {
            disclosures: count_disclosures(&directory.join(DISCLOSURES))?,
            directory,
            book,
            is_in_use,
            torn_bytes,
        }))
    }
}

/// Reads the whole lines, and returns the bytes after them.
fn torn(
    file: &File,
    path: &Path,
    take: impl FnMut(&[u8]) -> Result<(), ledger::codes::Refusal>,
) -> Result<u64, JournalError> {
    let whole = each_line(file, path, take)?;
    let length = file.metadata().map_err(|source| JournalError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(length.len().saturating_sub(whole))
}

fn count_disclosures(path: &Path) -> Result<u64, JournalError> {
    let mut count = 0;
    if let Some(file) = open_if_there(path)? {
        torn(&file, path, |bytes| {
            count += 1;
            disclosure::parse(bytes).map(drop)
        })?;
    }
    Ok(count)
}

fn open_if_there(path: &Path) -> Result<Option<File>, JournalError> {
    match open_regular(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JournalError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Whoever writes holds the lock alone. It is asked for beside other readers, and given back at once.
fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
