//! The spool: what was received and is not logged yet, in files, synced before anybody is answered.
//!
//! ```text
//! spool/000000000007.spool   lines, the oldest file first; a file that is posted to its end is removed
//! spool/state.json           what is known between requests, as of a place in the lines
//! spool/posted.json          up to where the log has everything
//! spool/batch.json           the signed records that are on their way: they are sent again as they are
//! spool/unmapped.jsonl       what no rule says the agent of, for a person to read
//! spool/refused.jsonl        what the log did not take, and why
//! ```
//!
//! After a crash the lines behind `state.json` are taken into account again, by the code that took them the first time.

mod list;
mod reader;
mod writer;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use host::durable::{self, Readers};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::desk::{Desk, Kept, Line};

pub(crate) use list::List;
pub(crate) use reader::read;
pub(crate) use writer::{Posted, Writer};

/// How long a file gets, where the spool is large enough for several.
const MAX_SEGMENT_BYTES: u64 = 8 << 20;

/// The smallest: below it files cost more than they hold.
const MIN_SEGMENT_BYTES: u64 = 16 << 10;

/// Room beyond the limit for lines that say what the spool had no room for.
const RESERVE_BYTES: u64 = 1 << 20;

/// A place in the lines: a file and an offset in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// Why the spool is of no use.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A file could not be read or written.
    #[error("{path:?} could not be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another receiver works with it.
    #[error("another receiver uses the spool {path:?}")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// A file is not what was written there.
    #[error("{path:?} is damaged: {reason}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        reason: String,
    },
}

/// The files, open.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    file: File,
    end: Place,
    used: u64,
    most: u64,
    /// Held while it is open.
    _lock: File,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    place: Place,
    kept: Kept,
}

impl Spool {
    /// Opens the spool in a folder, which is made if need be, with a desk that knows what is in it.
    pub(crate) fn open(
        folder: &Path,
        most: u64,
        desk: impl FnOnce(Kept) -> Desk,
    ) -> Result<(Self, Desk), SpoolError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(|source| at(folder, source))?;
        let lock = lock(folder)?;
        let state: State = read_json(&folder.join("state.json"))?.unwrap_or_default();
        let mut desk = desk(state.kept);
        let segments = segments(folder)?;
        let used = segments.iter().map(|(_, length)| length).sum();
        let mut end = Place {
            segment: segments.last().map_or(0, |(segment, _)| *segment),
            offset: 0,
        };
        for (segment, _) in &segments {
            let is_last = *segment == end.segment;
            let sound = replay(folder, *segment, state.place, &mut desk, is_last)?;
            if is_last {
                end.offset = sound;
            }
        }
        let path = segment_path(folder, end.segment);
        let file = append(&path)?;
        // What was half written was never answered.
        file.set_len(end.offset)
            .map_err(|source| at(&path, source))?;
        let spool = Self {
            folder: folder.to_owned(),
            file,
            end,
            used,
            most,
            _lock: lock,
        };
        Ok((spool, desk))
    }

    /// Where the lines end.
    pub(crate) const fn end(&self) -> Place {
        self.end
    }

    /// How many bytes of lines there are.
    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    /// Whether so many bytes more fit.
    pub(crate) const fn has_room(&self, bytes: u64, may_use_reserve: bool) -> bool {
        let reserve = if may_use_reserve { RESERVE_BYTES } else { 0 };
        self.used + bytes <= self.most + reserve
    }

    /// Writes lines. They count once they are synced.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        if self.end.offset >= self.segment_bytes() {
            self.turn()?;
        }
        let path = segment_path(&self.folder, self.end.segment);
        let written = self.file.write_all(bytes);
        written.map_err(|source| at(&path, source))?;
        self.end.offset += bytes.len() as u64;
        self.used += bytes.len() as u64;
        Ok(())
    }

    /// Makes durable what was written.
    pub(crate) fn sync(&self) -> Result<(), SpoolError> {
        let path = segment_path(&self.folder, self.end.segment);
        self.file.sync_data().map_err(|source| at(&path, source))
    }

    /// Removes the files whose lines are all before a place, once what is known is kept without them.
    pub(crate) fn release(&mut self, posted: Place, desk: &Desk) -> Result<(), SpoolError> {
        let before = |(segment, _): &(u64, u64)| *segment < posted.segment;
        let gone: Vec<(u64, u64)> = segments(&self.folder)?.into_iter().filter(before).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.keep(desk)?;
        for (segment, length) in gone {
            let path = segment_path(&self.folder, segment);
            fs::remove_file(&path).map_err(|source| at(&path, source))?;
            self.used = self.used.saturating_sub(length);
        }
        Ok(())
    }

    /// Keeps what is known.
    pub(crate) fn keep(&self, desk: &Desk) -> Result<(), SpoolError> {
        let state = State {
            place: self.end,
            kept: desk.kept(),
        };
        write_json(&self.folder.join("state.json"), &state)
    }

    fn segment_bytes(&self) -> u64 {
        (self.most / 8).clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)
    }

    /// Begins another file. The one before it is whole and synced.
    fn turn(&mut self) -> Result<(), SpoolError> {
        self.sync()?;
        let segment = self.end.segment + 1;
        self.file = append(&segment_path(&self.folder, segment))?;
        durable::sync_folder(&self.folder).map_err(|source| at(&self.folder, source))?;
        self.end = Place { segment, offset: 0 };
        Ok(())
    }
}

/// Takes the lines of a file into account that are behind a place. Gives where its sound lines end: only the last file may
/// have others behind them, which were never synced.
fn replay(
    folder: &Path,
    segment: u64,
    from: Place,
    desk: &mut Desk,
    is_last: bool,
) -> Result<u64, SpoolError> {
    let path = segment_path(folder, segment);
    let file = File::open(&path).map_err(|source| at(&path, source))?;
    let mut reader = BufReader::new(file);
    let (mut offset, mut bytes) = (0, Vec::new());
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes);
        let length = read.map_err(|source| at(&path, source))? as u64;
        let line = bytes
            .strip_suffix(b"\n")
            .map(serde_json::from_slice::<Line>);
        match line {
            Some(Ok(line)) => {
                if (Place { segment, offset }) >= from {
                    desk.apply(&line);
                }
                offset += length;
            }
            None if length == 0 => return Ok(offset),
            _ if is_last => return Ok(offset),
            _ => {
                let reason = format!("no line at byte {offset}");
                return Err(SpoolError::Damaged { path, reason });
            }
        }
    }
}

fn segment_path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:012}.spool"))
}

/// The files of lines, the oldest first, and how long each is.
fn segments(folder: &Path) -> Result<Vec<(u64, u64)>, SpoolError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| at(folder, source))? {
        let entry = entry.map_err(|source| at(folder, source))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".spool"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            let metadata = entry
                .metadata()
                .map_err(|source| at(&entry.path(), source))?;
            found.push((number, metadata.len()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn lock(folder: &Path) -> Result<File, SpoolError> {
    let path = folder.join("lock");
    let file = append(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SpoolError::InUse {
            path: folder.to_owned(),
        }),
        Err(fs::TryLockError::Error(source)) => Err(at(&path, source)),
    }
}

fn append(path: &Path) -> Result<File, SpoolError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options.open(path).map_err(|source| at(path, source))
}

/// Reads a file of JSON, if it is there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, SpoolError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(at(path, source)),
    };
    let value = serde_json::from_slice(&bytes).map_err(|error| SpoolError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    });
    value.map(Some)
}

/// Writes a file of JSON in place of what was there.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), SpoolError> {
    let bytes = serde_json::to_vec(value).map_err(|error| at(path, error.into()))?;
    durable::replace(path, &bytes, Readers::Owner).map_err(|source| at(path, source))
}

fn at(path: &Path, source: io::Error) -> SpoolError {
    SpoolError::File {
        path: path.to_owned(),
        source,
    }
}
