//! The contents of files, as digests: of regular files alone, and of what they were when they were listed.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use ledger::digest::Digest;
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why there is no digest.
#[derive(Debug)]
pub(super) enum ContentError {
    /// It could not be read.
    Unreadable(io::Error),
    /// It is not, or not any more, what was listed.
    Changed,
}

/// The digest of a file that was listed with this metadata. `tell` hears of each piece how many bytes it has.
pub(super) fn digest_of_listed(
    place: &Path,
    listed: &Metadata,
    tell: &mut dyn FnMut(u64),
) -> Result<Digest, ContentError> {
    // What has become a link since leads to something else.
    let file = open(place, OFlags::NOFOLLOW).map_err(ContentError::Unreadable)?;
    // One byte more would show that it has grown; a file that grows forever has an end here.
    let digest = hash((&file).take(listed.len() + 1), tell).map_err(ContentError::Unreadable)?;
    let now = file.metadata().map_err(ContentError::Unreadable)?;
    match stamp(&now) == stamp(listed) {
        true => Ok(digest),
        false => Err(ContentError::Changed),
    }
}

/// Opens a file, and nothing that only looks like one.
pub(crate) fn open_regular(place: &Path) -> io::Result<File> {
    let file = open(place, OFlags::empty())?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// To open a pipe as files are opened would wait for somebody to write.
fn open(place: &Path, flags: OFlags) -> io::Result<File> {
    let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(place)
}

pub(crate) fn hash(mut content: impl Read, tell: &mut dyn FnMut(u64)) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = content.read(&mut chunk)?;
        if count == 0 {
            return Ok(Digest::from_bytes(hasher.finalize().into()));
        }
        hasher.update(chunk.get(..count).unwrap_or_default());
        tell(count as u64);
    }
}

/// Which file it is, and what is another when somebody has written to it.
pub(crate) fn stamp(metadata: &Metadata) -> [i128; 8] {
    [
        metadata.dev().into(),
        metadata.ino().into(),
        metadata.mode().into(),
        metadata.len().into(),
        metadata.mtime().into(),
        metadata.mtime_nsec().into(),
        metadata.ctime().into(),
        metadata.ctime_nsec().into(),
    ]
}
