//! What a webhook keeps on the disk: which entry comes next, and the events that were put aside.
//!
//! ```text
//! DATA/webhooks/<name>/position          the index of the next entry, in decimal
//! DATA/webhooks/<name>/dead.jsonl        {"at_ms":…,"index":…,"attempts":…,"error":…,"event":{…}}
//! DATA/webhooks/<name>/dead.old.jsonl    the dead letters before these
//! ```

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

const POSITION: &str = "position";
const DEAD: &str = "dead.jsonl";
const OLD_DEAD: &str = "dead.old.jsonl";

/// When a file of dead letters becomes the old one: thousands of them, and no disk is filled by a receiver.
const MAX_DEAD_BYTES: u64 = 16 << 20;

/// How much of the file is read to show the newest: a hundred of the longest.
const SHOWN_BYTES: u64 = 8 << 20;

/// An event that was put aside.
#[derive(Debug, Serialize)]
pub(super) struct DeadLetter<'a> {
    pub(super) at_ms: u64,
    pub(super) index: u64,
    pub(super) attempts: u32,
    pub(super) error: &'a str,
    pub(super) event: &'a serde_json::value::RawValue,
}

/// The files of a webhook.
#[derive(Debug)]
pub(super) struct Outbox {
    folder: PathBuf,
    next: u64,
}

impl Outbox {
    /// Opens the files, or makes them with `first` as the next entry.
    ///
    /// # Errors
    /// If they cannot be read or written, or hold no index.
    pub(super) fn open(folder: &Path, first: u64) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let next = match std::fs::read_to_string(folder.join(POSITION)) {
            Ok(text) => text.trim_end().parse().map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => first,
            Err(error) => return Err(error),
        };
        let mut outbox = Self {
            folder: folder.to_owned(),
            next,
        };
        outbox.advance(next)?;
        Ok(outbox)
    }

    /// The index of the next entry.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// All before `next` is done.
    ///
    /// # Errors
    /// If that cannot be written; then what is done is done again after a restart.
    pub(super) fn advance(&mut self, next: u64) -> io::Result<()> {
        self.next = next;
        let (path, new) = (self.folder.join(POSITION), self.folder.join("position.new"));
        let mut file = File::create(&new)?;
        writeln!(file, "{next}")?;
        // The name moves only to what is on the disk, or a crash could leave an empty file.
        file.sync_data()?;
        std::fs::rename(new, path)
    }

    /// Puts an event aside.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn bury(&self, letter: &DeadLetter<'_>) -> io::Result<()> {
        let path = self.folder.join(DEAD);
        let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if length > MAX_DEAD_BYTES {
            std::fs::rename(&path, self.folder.join(OLD_DEAD))?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(path)?;
        let line = serde_json::to_string(letter).map_err(io::Error::other)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_data()
    }
}

/// The newest dead letters, the oldest of them first. What cannot be read is not shown.
pub(super) fn dead_letters(folder: &Path, most: usize) -> Vec<serde_json::Value> {
    let text = tail(&folder.join(DEAD)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(most).collect();
    let letters = lines.into_iter().rev();
    // The first line may have lost its beginning.
    letters
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(SHOWN_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_outlives_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::open(folder.path(), 7).unwrap();
        assert_eq!(outbox.next(), 7);
        outbox.advance(9).unwrap();
        assert_eq!(Outbox::open(folder.path(), 100).unwrap().next(), 9);
        std::fs::write(folder.path().join(POSITION), "").unwrap();
        Outbox::open(folder.path(), 100).unwrap_err();
    }

    #[test]
    fn dead_letters_are_shown_newest_last_and_never_fill_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(folder.path(), 0).unwrap();
        let event = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
        let event = serde_json::value::RawValue::from_string(event).unwrap();
        for index in 0..40 {
            let letter = DeadLetter {
                at_ms: 1,
                index,
                attempts: 3,
                error: "HTTP 400",
                event: &event,
            };
            outbox.bury(&letter).unwrap();
        }
        let shown = dead_letters(folder.path(), 2);
        let indices: Vec<u64> = shown
            .iter()
            .map(|one| one["index"].as_u64().unwrap())
            .collect();
        assert_eq!(indices, [38, 39]);
        let kept: u64 = [DEAD, OLD_DEAD]
            .iter()
            .map(|name| std::fs::metadata(folder.path().join(name)).unwrap().len())
            .sum();
        assert!(kept < 2 * MAX_DEAD_BYTES + (2 << 20), "{kept}");
    }
}
