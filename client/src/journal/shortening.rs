//! A journal that is opened does not grow with what is over: lines that no longer matter move to another file.
//!
//! Opening reads the whole journal, so a job that runs every minute would begin more slowly each day. What is kept are the
//! lines of records that are open, pending or the last of their kind. They come to the same [`Book`], which is checked
//! before anything is moved.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use host::durable::{Draft, Readers};
use host::private::Folder;
use ledger::digest::RecordHash;

use super::line::Line;
use super::{Book, JOURNAL, JournalError, at, each_line};

/// How long a journal may be: about ten runs of a program. Reading that many bytes takes half a millisecond.
const MAX_BYTES: u64 = 64 * 1024;

/// The lines that were moved, oldest first. Nothing reads them.
const PAST: &str = "journal.past.jsonl";

/// Shortens a journal that is long, if that at least halves it. The file is then another one, which is not locked yet.
///
/// A crash in between leaves the journal as it was; lines may then be in both files.
///
/// # Errors
///
/// [`JournalError`].
pub(super) fn shorten(folder: &Folder, file: &File, book: &Book) -> Result<(), JournalError> {
    let path = folder.path().join(JOURNAL);
    let length = file.metadata().map_err(|source| at(&path, source))?.len();
    if length <= MAX_BYTES {
        return Ok(());
    }
    let parted = Parted::read(file, &path, &book.live_records())?;
    if parted.kept.len() as u64 * 2 > length || !parted.comes_to(book) {
        return Ok(());
    }
    let mut past = folder.append(PAST)?;
    past.write_all(&parted.past)
        .and_then(|()| past.sync_data())
        .map_err(|source| at(&folder.path().join(PAST), source))?;
    replace(&path, &parted.kept).map_err(|source| at(&path, source))
}

fn replace(path: &Path, kept: &[u8]) -> io::Result<()> {
    let mut draft = Draft::of(path, Readers::Owner)?;
    draft.write_all(kept)?;
    draft.place()
}

/// The lines of a journal in two parts, each in its order.
#[derive(Default)]
struct Parted {
    kept: Vec<u8>,
    past: Vec<u8>,
    seen: Option<Vec<u8>>,
    charter: Option<Vec<u8>>,
}

impl Parted {
    fn read(file: &File, path: &Path, live: &BTreeSet<RecordHash>) -> Result<Self, JournalError> {
        let mut parted = Self::default();
        each_line(file, path, |bytes| {
            parted.take(&Line::parse(bytes)?, bytes, live);
            Ok(())
        })?;
        for newest in [parted.charter.take(), parted.seen.take()] {
            push(&mut parted.kept, &newest.unwrap_or_default());
        }
        Ok(parted)
    }

    fn take(&mut self, line: &Line, bytes: &[u8], live: &BTreeSet<RecordHash>) {
        let record = match line {
            Line::Signed(record) => record.hash(),
            Line::Logged { record, .. } | Line::Refused { record, .. } => *record,
            Line::Seen(_) => return self.supersede(|parted| &mut parted.seen, bytes),
            Line::Charter { .. } => return self.supersede(|parted| &mut parted.charter, bytes),
        };
        let part = match live.contains(&record) {
            true => &mut self.kept,
            false => &mut self.past,
        };
        push(part, bytes);
    }

    /// Only the newest line of a kind is kept.
    fn supersede(&mut self, newest: fn(&mut Self) -> &mut Option<Vec<u8>>, bytes: &[u8]) {
        let older = newest(self).replace(bytes.to_vec());
        push(&mut self.past, &older.unwrap_or_default());
    }

    fn comes_to(&self, book: &Book) -> bool {
        let mut again = Book::default();
        for line in self.kept.split(|byte| *byte == b'\n') {
            if let Ok(line) = Line::parse(line) {
                again.apply(&line);
            }
        }
        again == *book
    }
}

fn push(lines: &mut Vec<u8>, line: &[u8]) {
    if !line.is_empty() {
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
}
