//! The walk: what is under the listed paths of a directory, as files of a [`FileTree`].
//!
//! It is done in two steps. [`list`] says what there is and how much, and refuses what no tree can hold;
//! [`Listing::read`] reads the contents, and refuses what is no longer what was listed.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger::digest::Digest;
use unicode_normalization::UnicodeNormalization as _;
use walkdir::WalkDir;

use crate::manifest::content::{self, ContentError};
use crate::manifest::ignored::Ignored;
use crate::manifest::tree::{File, FileMode, FileTree, PathError};

/// The most files of one set: a hundred thousand are a large program with all its libraries. More is a path
/// listed by mistake.
pub const MAX_FILES: usize = 100_000;

/// Why a directory has no file tree.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// Something could not be read.
    #[error("{path:?} could not be read")]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name is not UTF-8, so machines would disagree on what it is.
    #[error("{path:?} is not UTF-8")]
    NotUtf8 {
        /// Where.
        path: PathBuf,
    },
    /// It is a socket, a pipe or a device, which has no content to be hashed.
    #[error("{path:?} is neither a file, nor a directory, nor a link")]
    Special {
        /// Where.
        path: PathBuf,
    },
    /// A link leads out of the directory, to what the hash does not cover.
    #[error("the link {path:?} leads to {target:?}, outside the directory")]
    LinkLeadsOut {
        /// Where.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A file was written to or replaced between the walk and the end of reading it: its digest would be that of
    /// no state that it ever had.
    #[error("{path:?} changed while it was read")]
    Changed {
        /// Where.
        path: PathBuf,
    },
    /// A listed path leads through something that is not a directory.
    #[error("{path:?} lies below {file:?}, which is not a directory")]
    BelowFile {
        /// The listed path.
        path: String,
        /// What it leads through.
        file: PathBuf,
    },
    /// There are more files than any set has.
    #[error("more than {MAX_FILES} files under {path:?}")]
    TooMany {
        /// The listed path.
        path: String,
    },
    /// A path cannot be in a file tree.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// What is under the listed paths of a directory, and is not read yet.
#[derive(Debug)]
pub struct Listing {
    /// The directory without links in its own path.
    root: PathBuf,
    entries: Vec<Entry>,
}

/// Lists all files under the listed paths of a directory, without what is ignored. `tell` hears of each how
/// many bytes it has.
///
/// Links are not followed: a link is a leaf, and what it leads to counts only where it is listed itself.
///
/// # Errors
///
/// [`WalkError`]: whatever would make the tree mean less than it says is refused.
pub fn list(
    directory: &Path,
    listed: &[String],
    ignored: &Ignored,
    tell: &mut dyn FnMut(u64),
) -> Result<Listing, WalkError> {
    let root = fs::canonicalize(directory).map_err(unreadable(directory))?;
    let mut entries = Vec::new();
    for path in listed {
        check_ancestors(directory, path)?;
        for entry in entries_of(directory, path, ignored) {
            let entry = entry?;
            if entries.len() == MAX_FILES {
                return Err(WalkError::TooMany { path: path.clone() });
            }
            tell(entry.metadata.len());
            entries.push(entry);
        }
    }
    Ok(Listing { root, entries })
}

impl Listing {
    /// Whether nothing was touched since `before` was listed, which was done at `then`. What was written just before that
    /// may have been written again without its time showing it.
    pub(super) fn is_untouched_since(&self, before: &Self, then: SystemTime) -> bool {
        let same = |(one, other): (&Entry, &Entry)| {
            let stamps = [&one.metadata, &other.metadata].map(content::stamp);
            one.path == other.path && stamps[0] == stamps[1] && is_settled(&one.metadata, then)
        };
        self.entries.len() == before.entries.len()
            && self.entries.iter().zip(&before.entries).all(same)
    }

    /// Reads what was listed. `tell` hears of each piece how many bytes it has.
    ///
    /// # Errors
    ///
    /// [`WalkError`].
    pub fn read(&self, tell: &mut dyn FnMut(u64)) -> Result<FileTree, WalkError> {
        let read = |entry: &Entry| self.file(entry, tell);
        let files: Result<Vec<File>, WalkError> = self.entries.iter().map(read).collect();
        Ok(FileTree::new(files?)?)
    }

    fn file(&self, entry: &Entry, tell: &mut dyn FnMut(u64)) -> Result<File, WalkError> {
        let kind = entry.metadata.file_type();
        if kind.is_symlink() {
            return self.link(entry).inspect(|_| tell(entry.metadata.len()));
        }
        let path = || entry.place.clone();
        if !kind.is_file() {
            return Err(WalkError::Special { path: path() });
        }
        let content = content::digest_of_listed(&entry.place, &entry.metadata, tell);
        let content = content.map_err(|error| match error {
            ContentError::Unreadable(source) => unreadable(&entry.place)(source),
            ContentError::Changed => WalkError::Changed { path: path() },
        })?;
        let mode = match is_executable(&entry.metadata) {
            true => FileMode::Executable,
            false => FileMode::Plain,
        };
        Ok(File::new(&entry.path, mode, content, entry.metadata.len())?)
    }

    fn link(&self, entry: &Entry) -> Result<File, WalkError> {
        let (path, place) = (&entry.path, &entry.place);
        let target = fs::read_link(place).map_err(unreadable(place))?;
        if !stays_within(path, &target) || self.is_led_out(place) {
            let path = place.clone();
            return Err(WalkError::LinkLeadsOut { path, target });
        }
        let Some(text) = target.to_str() else {
            return Err(WalkError::NotUtf8 {
                path: place.clone(),
            });
        };
        let content = Digest::of(&[text.as_bytes()]);
        Ok(File::new(path, FileMode::Link, content, text.len() as u64)?)
    }

    /// Whether a link that by its text stays within leads out after all, by way of another one that is not listed.
    fn is_led_out(&self, link: &Path) -> bool {
        fs::canonicalize(link).is_ok_and(|end| !end.starts_with(&self.root))
    }
}

/// A listed path must lead through directories alone: through a link it would be somewhere else.
fn check_ancestors(directory: &Path, listed: &str) -> Result<(), WalkError> {
    let ancestors = Path::new(listed).ancestors().skip(1);
    for ancestor in ancestors.filter(|path| !path.as_os_str().is_empty()) {
        let place = directory.join(ancestor);
        let metadata = fs::symlink_metadata(&place).map_err(unreadable(&place))?;
        if !metadata.is_dir() {
            let (path, file) = (listed.to_owned(), ancestor.to_owned());
            return Err(WalkError::BelowFile { path, file });
        }
    }
    Ok(())
}

/// What is neither a directory nor ignored below a listed path; `.` is the whole directory.
fn entries_of<'a>(
    directory: &'a Path,
    listed: &str,
    ignored: &'a Ignored,
) -> impl Iterator<Item = Result<Entry, WalkError>> + 'a {
    // A trailing `/.` would make the walk follow a link to a directory.
    let start = match listed {
        "." => directory.to_owned(),
        listed => directory.join(listed),
    };
    let is_whole = listed == ".";
    let mut walk = WalkDir::new(start)
        .follow_links(false)
        .follow_root_links(is_whole)
        .into_iter();
    let mut directories = HashMap::new();
    std::iter::from_fn(move || {
        loop {
            let met = walk.next()?.map_err(not_walked);
            let entry = match met.and_then(|met| Entry::of(directory, &met)) {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            let is_directory = entry.metadata.is_dir();
            let is_ignored = ignored.leaves_out(&entry.path, is_directory);
            match (is_directory, is_ignored) {
                (true, true) => walk.skip_current_dir(),
                (true, false) => {
                    if let Err(error) = check_name(&mut directories, entry) {
                        return Some(Err(error));
                    }
                }
                (false, true) => {}
                (false, false) => return Some(Ok(entry)),
            }
        }
    })
}

/// Two directories whose names differ only in their normalisation would be one in the tree. Files that do are found
/// when the tree is made.
fn check_name(directories: &mut HashMap<String, PathBuf>, entry: Entry) -> Result<(), WalkError> {
    let path = entry.path.clone();
    match directories.insert(entry.path, entry.place) {
        None => Ok(()),
        Some(_) => Err(PathError::Repeated { path }.into()),
    }
}

/// Something that the walk has met.
#[derive(Debug)]
struct Entry {
    /// Where it is in the directory, in normalisation form C; empty for the directory itself.
    path: String,
    place: PathBuf,
    metadata: Metadata,
}

impl Entry {
    fn of(directory: &Path, entry: &walkdir::DirEntry) -> Result<Self, WalkError> {
        let place = entry.path().to_owned();
        let within = place.strip_prefix(directory).unwrap_or(&place);
        let Some(path) = within.to_str() else {
            return Err(WalkError::NotUtf8 { path: place });
        };
        let path = path.nfc().collect();
        let metadata = entry.metadata().map_err(not_walked)?;
        Ok(Self {
            path,
            metadata,
            place,
        })
    }
}

fn not_walked(error: walkdir::Error) -> WalkError {
    let path = error.path().unwrap_or(Path::new("")).to_owned();
    let source = error
        .into_io_error()
        .unwrap_or_else(|| io::Error::other("the walk went in a circle"));
    WalkError::Read { path, source }
}

/// Whether a link at `path` stays in the directory, judged by its text. `..` counts only in front: behind a
/// name that may be a link itself, it would lead to wherever that link leads.
fn stays_within(path: &str, target: &Path) -> bool {
    let mut depth = path.matches('/').count();
    let mut has_descended = false;
    for part in target.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => has_descended = true,
            Component::ParentDir if has_descended || depth == 0 => return false,
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// Far above the grain of any file system's clock: FAT has two seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Whether its last change was long enough before `then` for the next one to have another time.
fn is_settled(metadata: &Metadata, then: SystemTime) -> bool {
    let changed_s = u64::try_from(metadata.ctime()).unwrap_or_default();
    let then = then.duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(changed_s).saturating_add(SETTLED_AFTER) < then
}

fn unreadable(place: &Path) -> impl FnOnce(io::Error) -> WalkError {
    let path = place.to_owned();
    move |source| WalkError::Read { path, source }
}

/// The owner's x bit; the other two say who else may.
fn is_executable(metadata: &Metadata) -> bool {
    const OWNER_EXECUTES: u32 = 0o100;
    metadata.permissions().mode() & OWNER_EXECUTES != 0
}

#[cfg(test)]
mod tests;
