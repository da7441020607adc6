//! The journal: what an agent has signed, on its own disk, before anybody else sees it.
//!
//! A log can be asked what it holds; only the journal knows what it *should* hold. So an agent follows its journal
//! and never what a service says of its chain. One directory for each agent of each log,
//! `<state>/dragons/<fingerprint of the log>/<agent>/`, for its owner alone:
//!
//! ```text
//! journal.jsonl       {"signed":{…envelope…}}                              synced before it is sent
//!                     {"logged":{"record":…,"index":…,"received_ms":…}}    shown by its proof
//!                     {"refused":{"record":…,"code":…,"detail":…}}         judged, and never to be in the log
//!                     {"seen":"<checkpoint>"}                              verified, and consistent with the one before
//! disclosures.jsonl   the values behind the commitments, see [`disclosure`](crate::disclosure)
//! ```
//!
//! Lines are only ever added. A last line without its end is one that a crash tore: it was not synced, so nothing was
//! sent that rests on it, and it is cut off. The file is locked while it is open, so that two processes never continue
//! one chain.

mod book;
mod inspection;
mod line;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::text::Name;

use crate::disclosure::{self, Disclosure, Place};

pub(crate) use book::chain;
pub use book::{Book, OpenIntent, Tip, Unsaid};
pub use inspection::Inspection;
pub use line::Line;

/// The longest line: a checkpoint of the longest note, whose line breaks are escaped, has less.
const MAX_LINE_BYTES: u64 = 2 * tlog::note::MAX_NOTE_BYTES as u64;

const JOURNAL: &str = "journal.jsonl";
const DISCLOSURES: &str = "disclosures.jsonl";

/// The journal of one agent of one log, open and locked.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: File,
    disclosures: File,
    book: Book,
    /// Set when a write failed: what is on the disk is known again once the journal is opened anew.
    broken: bool,
}

/// Why the journal is of no use. All of it is this machine's.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file or directory could not be read or written.
    #[error("{path:?} could not be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{path:?} is in use by another process of this agent")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// A line is none.
    #[error("line {line} of {path:?} is damaged: {refusal}")]
    Damaged {
        /// Where.
        path: PathBuf,
        /// Which, counted from 1.
        line: usize,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// A write failed before.
    #[error("{path:?} could not be written before, and has to be opened anew")]
    Broken {
        /// Which.
        path: PathBuf,
    },
}

impl Drop for Journal {
    /// Gives the lock back by itself. Closing the file is not enough: a child that another thread of this process is
    /// starting holds a copy of it until it becomes its program, and the lock would live as long as that copy.
    fn drop(&mut self) {
        // Nobody is left to be told, and a lock that stays is found by whoever wants it.
        let _ = self.file.unlock();
    }
}

impl Journal {
    /// Opens the journal of an agent below a state directory, such as `$XDG_STATE_HOME`, and makes it if need be.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn open(state: &Path, log: RecordHash, agent: &Name) -> Result<Self, JournalError> {
        let directory = directory(state, log, agent);
        let at = |source| JournalError::File {
            path: directory.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(at)?;
        let file = open_private(&directory.join(JOURNAL))?;
        lock(&file, &directory)?;
        let disclosures = open_private(&directory.join(DISCLOSURES))?;
        // New names are durable once their directory is synced.
        File::open(&directory)
            .and_then(|directory| directory.sync_all())
            .map_err(at)?;
        cut_torn_line(&disclosures, &directory.join(DISCLOSURES))?;
        let book = read_book(&file, &directory.join(JOURNAL))?;
        Ok(Self {
            directory,
            file,
            disclosures,
            book,
            broken: false,
        })
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it comes to.
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Adds a line, and returns once it is on the disk.
    ///
    /// # Errors
    ///
    /// [`JournalError`]. After a failed write every further one fails.
    pub fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        self.write(|journal| &mut journal.file, JOURNAL, line.to_json())?;
        self.book.apply(line);
        Ok(())
    }

    /// Keeps the values behind commitments, and returns once they are on the disk.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn keep(&mut self, disclosures: &[Disclosure]) -> Result<(), JournalError> {
        if disclosures.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = disclosures
            .iter()
            .map(|one| one.to_value().to_json())
            .collect();
        self.write(
            |journal| &mut journal.disclosures,
            DISCLOSURES,
            lines.join("\n"),
        )
    }

    /// The value behind a commitment, if this journal has it.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn disclosure(&self, place: &Place) -> Result<Option<Disclosure>, JournalError> {
        let path = self.directory.join(DISCLOSURES);
        let file = File::open(&path).map_err(|source| JournalError::File {
            path: path.clone(),
            source,
        })?;
        let mut found = None;
        each_line(&file, &path, |bytes| {
            let disclosure = disclosure::parse(bytes)?;
            if place.is_of(&disclosure) {
                found = Some(disclosure);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn write(
        &mut self,
        file: impl Fn(&mut Self) -> &mut File,
        name: &str,
        text: String,
    ) -> Result<(), JournalError> {
        let path = self.directory.join(name);
        if self.broken {
            return Err(JournalError::Broken { path });
        }
        let file = file(self);
        let written = file
            .write_all(format!("{text}\n").as_bytes())
            .and_then(|()| file.sync_data());
        self.broken = written.is_err();
        written.map_err(|source| JournalError::File { path, source })
    }
}

/// The fingerprint without its prefix: a colon in a path asks for trouble.
fn directory(state: &Path, log: RecordHash, agent: &Name) -> PathBuf {
    let log = log.to_string();
    let fingerprint = log.rsplit(':').next().unwrap_or(&log);
    state.join("dragons").join(fingerprint).join(agent.as_str())
}

/// The mode belongs to the creation: a file that is narrowed afterwards was open for a moment.
fn open_private(path: &Path) -> Result<File, JournalError> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.open(path).map_err(|source| JournalError::File {
        path: path.to_owned(),
        source,
    })
}

fn lock(file: &File, directory: &Path) -> Result<(), JournalError> {
    let path = directory.join(JOURNAL);
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => JournalError::InUse { path },
        TryLockError::Error(source) => JournalError::File { path, source },
    })
}

fn read_book(file: &File, path: &Path) -> Result<Book, JournalError> {
    cut_torn_line(file, path)?;
    let mut book = Book::default();
    each_line(file, path, |bytes| {
        book.apply(&Line::parse(bytes)?);
        Ok(())
    })?;
    Ok(book)
}

/// Reads the whole lines of a file from its start, and gives the bytes of what it has read.
fn each_line(
    file: &File,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), Refusal>,
) -> Result<u64, JournalError> {
    let at = |source| JournalError::File {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::new(file);
    io::Seek::rewind(&mut reader).map_err(at)?;
    let (mut bytes, mut whole) = (Vec::new(), 0);
    for line in 1.. {
        bytes.clear();
        let read = reader
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut bytes);
        whole += read.map_err(at)? as u64;
        let damaged = |refusal| JournalError::Damaged {
            path: path.to_owned(),
            line,
            refusal,
        };
        match bytes.strip_suffix(b"\n") {
            Some(text) => take(text).map_err(damaged)?,
            // Nothing so long is ever written, so no crash tore it, and what stands behind it is not to be lost.
            None if bytes.len() as u64 == MAX_LINE_BYTES => {
                let why = format!("a line of {MAX_LINE_BYTES} bytes or more");
                return Err(damaged(Code::TooLarge.because(why)));
            }
            None => return Ok(whole - bytes.len() as u64),
        }
    }
    Ok(whole)
}

fn cut_torn_line(file: &File, path: &Path) -> Result<(), JournalError> {
    let whole = each_line(file, path, |_| Ok(()))?;
    let cut = file.metadata().and_then(|metadata| match metadata.len() {
        length if length == whole => Ok(()),
        _ => file.set_len(whole).and_then(|()| file.sync_data()),
    });
    cut.map_err(|source| JournalError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
