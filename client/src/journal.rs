//! The journal: what an agent has signed, on its own disk, before anybody else sees it.
//!
//! A log can be asked what it holds; only the journal knows what it *should* hold. So an agent follows its journal
//! and never what a service says about its chain. One directory for each agent of each log,
//! `<state>/dragons/<fingerprint of the log>/<agent>/`, for its owner alone:
//!
//! ```text
//! journal.jsonl       {"signed":{…envelope…}}                              synced before it is sent, with all before it
//!                     {"logged":{"record":…,"index":…,"received_ms":…}}    shown by its proof
//!                     {"refused":{"record":…,"code":…,"detail":…}}         judged, and never to be in the log
//!                     {"seen":"<checkpoint>"}                              verified, and consistent with the one before
//! journal.past.jsonl  lines that no longer matter, moved here when a long journal is opened
//! charter.tlog-proof  the proof of the newest charter, and lease.tlog-proof that of the lease: verified at each start
//! disclosures.jsonl   the values behind the commitments, see [`disclosure`](crate::disclosure)
//! ```
//!
//! What the log tells again when it is asked is synced together with what is signed next. That an intent was logged is
//! not of these: it is permission to act, and after a crash nobody else knows that it was given.
//!
//! Lines are only ever added, but for those that move to the file of the past. A last line without its end is one that a crash tore, and so are NULs at the end, which
//! file systems leave there: it was not synced, so nothing was sent that rests on it, and it is cut off. No link below
//! the state directory is followed, and no file that others may write to is used. The file is locked while it is open, so that two processes never continue
//! one chain.

mod book;
mod inspection;
mod line;
mod operator;
mod shortening;

use std::fs::{File, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use host::private::{Folder, PrivateError};
use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::record::Mode;
use ledger::text::Name;

use crate::disclosure::{self, Disclosure, Place};

pub(crate) use book::chain;
pub use book::{Book, OpenIntent, Tip, Unreported};
pub use inspection::Inspection;
pub use line::Line;
pub use operator::{OperatorJournal, Unsettled};

/// The longest line: a checkpoint of the longest note, whose line breaks are escaped, has less.
const MAX_LINE_BYTES: u64 = 2 * tlog::note::MAX_NOTE_BYTES as u64;

/// How much of a long file is read to find what a crash tore at its end.
const TAIL_BYTES: usize = 64 * 1024;

const JOURNAL: &str = "journal.jsonl";
const DISCLOSURES: &str = "disclosures.jsonl";

/// The journal of one agent of one log, open and locked.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: File,
    disclosures: File,
    book: Book,
    /// Set when a write failed: what is on the disk is known again once the journal is opened again.
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
    /// It is not private.
    #[error(transparent)]
    NotPrivate(#[from] PrivateError),
    /// Another process has it open.
    #[error("{path:?} is in use by another process of this agent")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// A line is not valid.
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
    #[error("an earlier write to {path:?} failed: open it again")]
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
        let folder = Folder::make(state, &["dragons", &folder_of(log), agent.as_str()])?;
        let directory = folder.path().to_owned();
        let mut file = open_locked(&folder)?;
        let disclosures = folder.append(DISCLOSURES)?;
        // New names are durable once their directory is synced, and nothing is written before they are.
        if [&file, &disclosures].iter().any(|file| is_empty(file)) {
            folder.sync()?;
        }
        cut_torn_line(&disclosures, &directory.join(DISCLOSURES))?;
        let book = read_book(&file, &directory.join(JOURNAL))?;
        // A journal that cannot be shortened now is as good as it was.
        let _ = shortening::shorten(&folder, &file, &book);
        if !is_still_there(&file, &folder)? {
            file = open_locked(&folder)?;
        }
        Ok(Self {
            directory,
            file,
            disclosures,
            book,
            broken: false,
        })
    }

    /// Whether the rules bind, by the newest charter that a journal tells of; `None` if it tells of none, or cannot be read.
    /// It is for whoever has not opened it, and may not be able to.
    pub fn mode_told_in(directory: &Path) -> Option<Mode> {
        let text = std::fs::read(directory.join(JOURNAL)).ok()?;
        let lines = text.split(|byte| *byte == b'\n').rev();
        let is_meant = |line: &&[u8]| line.starts_with(b"{\"charter\":");
        let mode = |line: &[u8]| match Line::parse(line) {
            Ok(Line::Charter { mode, .. }) => Some(mode),
            _ => None,
        };
        lines.filter(is_meant).find_map(mode)
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it comes to.
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Adds a line, and returns once it is on the disk with all lines before it; a line that the log
    /// tells again goes there with the next one.
    ///
    /// # Errors
    ///
    /// [`JournalError`]. After a failed write every further one fails.
    pub fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        let syncs = !self.is_told_again(line);
        self.add(line, syncs)
    }

    /// Adds a line that goes to the disk with the next one: until then nobody else is to see it.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn append_with_next(&mut self, line: &Line) -> Result<(), JournalError> {
        self.add(line, false)
    }

    fn add(&mut self, line: &Line, syncs: bool) -> Result<(), JournalError> {
        self.write(|journal| &mut journal.file, JOURNAL, line.to_json(), syncs)?;
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
            true,
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

    /// Whether a line that a crash takes away costs one more question to the log, and nothing else.
    fn is_told_again(&self, line: &Line) -> bool {
        match line {
            Line::Logged { record, .. } => !self.book.awaits_leave(*record),
            Line::Seen(_) | Line::Charter { .. } => true,
            Line::Signed(_) | Line::Refused { .. } => false,
        }
    }

    fn write(
        &mut self,
        file: impl Fn(&mut Self) -> &mut File,
        name: &str,
        text: String,
        syncs: bool,
    ) -> Result<(), JournalError> {
        let path = self.directory.join(name);
        if self.broken {
            return Err(JournalError::Broken { path });
        }
        let file = file(self);
        let written = file
            .write_all(format!("{text}\n").as_bytes())
            .and_then(|()| if syncs { file.sync_data() } else { Ok(()) });
        self.broken = written.is_err();
        written.map_err(|source| JournalError::File { path, source })
    }
}

/// Whether nothing was ever written to a file, as far as anybody can tell.
fn is_empty(file: &File) -> bool {
    file.metadata().map_or(true, |metadata| metadata.len() == 0)
}

/// The fingerprint without its prefix: a colon in a path asks for trouble.
fn folder_of(log: RecordHash) -> String {
    let log = log.to_string();
    log.rsplit(':').next().unwrap_or(&log).to_owned()
}

/// Where the journal of an agent is below a state directory.
pub fn directory(state: &Path, log: RecordHash, agent: &Name) -> PathBuf {
    state
        .join("dragons")
        .join(folder_of(log))
        .join(agent.as_str())
}

/// Opens a journal and locks it. Whoever had it until now may have put a shorter one in its place meanwhile.
fn open_locked(folder: &Folder) -> Result<File, JournalError> {
    loop {
        let file = folder.append(JOURNAL)?;
        lock(&file, folder.path())?;
        if is_still_there(&file, folder)? {
            return Ok(file);
        }
    }
}

fn is_still_there(file: &File, folder: &Folder) -> Result<bool, JournalError> {
    let number = |file: &File| file.metadata().map(|metadata| metadata.ino());
    let both = number(file)
        .and_then(|own| Ok(own == number(&folder.append(JOURNAL).map_err(io::Error::other)?)?));
    both.map_err(|source| at(&folder.path().join(JOURNAL), source))
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
    let whole = whole_bytes(file, path)?;
    let mut reader = from_start(file, path)?.take(whole);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes);
        if read.map_err(|source| at(path, source))? == 0 {
            break;
        }
        let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        take(text).map_err(|refusal| damaged(path, line, refusal))?;
    }
    Ok(whole)
}

/// How many bytes there are before what a crash tore: a line without its end, and whatever the file system put in
/// the place of what did not get to the disk. Those are NULs, which no line has, perhaps with a line end behind them.
/// Nothing is torn that a whole line follows: that is damage.
fn whole_bytes(file: &File, path: &Path) -> Result<u64, JournalError> {
    let tail = read_tail(file).map_err(|source| at(path, source))?;
    match tail.and_then(|(begin, bytes)| Some(begin + last_whole_end(&bytes)?)) {
        Some(whole) => Ok(whole),
        None => whole_from_start(file, path),
    }
}

/// The last bytes of a file that is longer, and where they begin.
fn read_tail(file: &File) -> io::Result<Option<(u64, Vec<u8>)>> {
    let Some(begin) = file.metadata()?.len().checked_sub(TAIL_BYTES as u64) else {
        return Ok(None);
    };
    let mut bytes = vec![0; TAIL_BYTES];
    file.read_exact_at(&mut bytes, begin)?;
    Ok(Some((begin, bytes)))
}

/// Where the last whole line ends, if all of it is here.
fn last_whole_end(bytes: &[u8]) -> Option<u64> {
    let mut rest = bytes;
    loop {
        let end = rest.iter().rposition(|byte| *byte == b'\n')?;
        let begin = rest[..end].iter().rposition(|byte| *byte == b'\n')? + 1;
        if !is_of_a_crash(&rest[begin..end]) {
            return Some(end as u64 + 1);
        }
        rest = &rest[..end];
    }
}

fn whole_from_start(file: &File, path: &Path) -> Result<u64, JournalError> {
    let mut reader = from_start(file, path)?;
    let (mut bytes, mut read, mut whole) = (Vec::new(), 0, 0);
    for line in 1.. {
        bytes.clear();
        let piece = reader
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut bytes);
        read += piece.map_err(|source| at(path, source))? as u64;
        match bytes.strip_suffix(b"\n") {
            Some(text) if is_of_a_crash(text) => {}
            Some(_) => whole = read,
            // Nothing so long is ever written, so no crash tore it, and what stands behind it is not to be lost.
            None if bytes.len() as u64 == MAX_LINE_BYTES && !bytes.contains(&0) => {
                let why = format!("a line of {MAX_LINE_BYTES} bytes or more");
                return Err(damaged(path, line, Code::TooLarge.because(why)));
            }
            None if bytes.is_empty() => break,
            None => {}
        }
    }
    Ok(whole)
}

fn is_of_a_crash(text: &[u8]) -> bool {
    text.is_empty() || text.contains(&0)
}

fn cut_torn_line(file: &File, path: &Path) -> Result<(), JournalError> {
    let whole = whole_bytes(file, path)?;
    let cut = file.metadata().and_then(|metadata| match metadata.len() {
        length if length == whole => Ok(()),
        _ => file.set_len(whole).and_then(|()| file.sync_data()),
    });
    cut.map_err(|source| at(path, source))
}

fn from_start<'a>(file: &'a File, path: &Path) -> Result<BufReader<&'a File>, JournalError> {
    let mut reader = BufReader::new(file);
    io::Seek::rewind(&mut reader).map_err(|source| at(path, source))?;
    Ok(reader)
}

fn at(path: &Path, source: io::Error) -> JournalError {
    JournalError::File {
        path: path.to_owned(),
        source,
    }
}

fn damaged(path: &Path, line: usize, refusal: Refusal) -> JournalError {
    JournalError::Damaged {
        path: path.to_owned(),
        line,
        refusal,
    }
}

#[cfg(test)]
mod tests;
