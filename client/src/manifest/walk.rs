//! The walk: what lies under the listed paths of a directory, as files of a [`FileTree`].

use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use ledger::digest::Digest;
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use crate::manifest::tree::{File, FileMode, FileTree, PathError};

/// The most files of one set: a hundred thousand are a large program with all its libraries. More is a path
/// listed by mistake.
pub const MAX_FILES: usize = 100_000;

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

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
    /// A name is no UTF-8, so machines would disagree on what it is.
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
    /// A listed path leads through something that is no directory.
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

/// Reads all files under the listed paths of a directory, without what `ignore` leaves out.
///
/// Links are not followed: a link is a leaf, and what it leads to counts only where it is listed itself.
///
/// # Errors
///
/// [`WalkError`]: whatever would make the tree mean less than it says is refused.
pub fn walk(directory: &Path, listed: &[String], ignore: &[String]) -> Result<FileTree, WalkError> {
    let mut files = Vec::new();
    for path in listed {
        check_ancestors(directory, path)?;
        for entry in entries(directory, path, ignore) {
            let entry = entry?;
            if files.len() == MAX_FILES {
                return Err(WalkError::TooMany { path: path.clone() });
            }
            files.push(read(&entry)?);
        }
    }
    Ok(FileTree::new(files)?)
}

/// Whether a path is one of the prefixes, or lies below one.
fn is_ignored(path: &str, ignore: &[String]) -> bool {
    ignore.iter().any(|prefix| {
        let rest = path.strip_prefix(prefix.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// A listed path must lead through directories alone: through a link it would be somewhere else.
fn check_ancestors(directory: &Path, listed: &str) -> Result<(), WalkError> {
    let ancestors = Path::new(listed).ancestors().skip(1);
    for ancestor in ancestors.filter(|path| !path.as_os_str().is_empty()) {
        let place = directory.join(ancestor);
        if !metadata(&place)?.is_dir() {
            let (path, file) = (listed.to_owned(), ancestor.to_owned());
            return Err(WalkError::BelowFile { path, file });
        }
    }
    Ok(())
}

/// What is neither a directory nor ignored below a listed path; `.` is the whole directory.
fn entries<'a>(
    directory: &'a Path,
    listed: &str,
    ignore: &'a [String],
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
    std::iter::from_fn(move || {
        loop {
            let entry = match walk
                .next()?
                .map_err(not_walked)
                .and_then(|e| Entry::of(directory, &e))
            {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            let ignored = is_ignored(&entry.path, ignore);
            if ignored && entry.metadata.is_dir() {
                walk.skip_current_dir();
            }
            if !ignored && !entry.metadata.is_dir() {
                return Some(Ok(entry));
            }
        }
    })
}

/// Something that the walk has met.
struct Entry {
    /// Where it lies in the directory, in normalisation form C; empty for the directory itself.
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
        let path = unicode_normalization::UnicodeNormalization::nfc(path).collect();
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

fn read(entry: &Entry) -> Result<File, WalkError> {
    let kind = entry.metadata.file_type();
    if kind.is_symlink() {
        return read_link(entry);
    }
    if !kind.is_file() {
        return Err(WalkError::Special {
            path: entry.place.clone(),
        });
    }
    let (content, bytes) = digest(&entry.place).map_err(unreadable(&entry.place))?;
    let mode = if is_executable(&entry.metadata) {
        FileMode::Executable
    } else {
        FileMode::Plain
    };
    Ok(File::new(&entry.path, mode, content, bytes)?)
}

fn read_link(entry: &Entry) -> Result<File, WalkError> {
    let target = fs::read_link(&entry.place).map_err(unreadable(&entry.place))?;
    if !stays_within(&entry.path, &target) {
        return Err(WalkError::LinkLeadsOut {
            path: entry.place.clone(),
            target,
        });
    }
    let Some(text) = target.to_str() else {
        return Err(WalkError::NotUtf8 {
            path: entry.place.clone(),
        });
    };
    let content = Digest::of(&[text.as_bytes()]);
    Ok(File::new(
        &entry.path,
        FileMode::Link,
        content,
        text.len() as u64,
    )?)
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

/// The digest of a file, and how long it is.
pub(crate) fn digest(place: &Path) -> io::Result<(Digest, u64)> {
    let mut file = open_regular(place)?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok((Digest::from_bytes(hasher.finalize().into()), bytes));
        }
        hasher.update(chunk.get(..count).unwrap_or_default());
        bytes += count as u64;
    }
}

/// Opens a file, and nothing that only looks like one: to open a pipe would wait for somebody to write.
pub(crate) fn open_regular(place: &Path) -> io::Result<fs::File> {
    let at_once = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(at_once).open(place)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

fn metadata(place: &Path) -> Result<Metadata, WalkError> {
    fs::symlink_metadata(place).map_err(unreadable(place))
}

fn unreadable(place: &Path) -> impl FnOnce(io::Error) -> WalkError {
    let path = place.to_owned();
    move |source| WalkError::Read { path, source }
}

/// The owner's x bit; the other two say who else may.
#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    const OWNER_EXECUTES: u32 = 0o100;
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & OWNER_EXECUTES != 0
}

/// Other systems keep no such bit, so no file is executable there.
#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A directory with the files of the golden tree.
    fn golden() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        write(&directory, "agent.toml", "agent");
        write(&directory, "bin/run", "#!/bin/sh\n");
        write(&directory, "src/a.rs", "fn main() {}\n");
        set_mode(&directory, "bin/run", 0o744);
        symlink("bin/run", directory.path().join("link")).unwrap();
        directory
    }

    fn write(directory: &tempfile::TempDir, path: &str, content: &str) {
        let place = directory.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    fn set_mode(directory: &tempfile::TempDir, path: &str, mode: u32) {
        fs::set_permissions(
            directory.path().join(path),
            fs::Permissions::from_mode(mode),
        )
        .unwrap();
    }

    fn walk_in(
        directory: &tempfile::TempDir,
        listed: &[&str],
        ignore: &[&str],
    ) -> Result<FileTree, WalkError> {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        walk(directory.path(), &owned(listed), &owned(ignore))
    }

    fn paths(tree: &FileTree) -> Vec<&str> {
        tree.files().iter().map(File::path).collect()
    }

    #[test]
    fn the_golden_directory_has_the_golden_root() {
        let root = "sha256:0add5c9d28e6944d2fa65bed29327e030beb65bb3ab86ebd2d71d7cd5776b511";
        let directory = golden();
        for listed in [&["."][..], &["src", "link", "bin", "agent.toml"]] {
            assert_eq!(
                walk_in(&directory, listed, &[]).unwrap().root().to_string(),
                root
            );
        }
        // Neither empty directories, nor owners' other bits, nor times count.
        fs::create_dir(directory.path().join("empty")).unwrap();
        set_mode(&directory, "bin/run", 0o700);
        set_mode(&directory, "src/a.rs", 0o611);
        assert_eq!(
            walk_in(&directory, &["."], &[]).unwrap().root().to_string(),
            root
        );
        set_mode(&directory, "src/a.rs", 0o711);
        assert_ne!(
            walk_in(&directory, &["."], &[]).unwrap().root().to_string(),
            root
        );
    }

    #[test]
    fn ignored_prefixes_end_at_a_slash() {
        let directory = golden();
        write(&directory, "src/target/x", "");
        write(&directory, "src/target-2/x", "");
        UnixListener::bind(directory.path().join("src/target/socket")).unwrap();
        let tree = walk_in(&directory, &["src"], &["src/target"]).unwrap();
        assert_eq!(paths(&tree), ["src/a.rs", "src/target-2/x"]);
    }

    #[test]
    fn links_are_leaves_and_never_followed() {
        let directory = golden();
        symlink("../bin", directory.path().join("src/tools")).unwrap();
        let tree = walk_in(&directory, &["src"], &[]).unwrap();
        assert_eq!(paths(&tree), ["src/a.rs", "src/tools"]);
        let refused = walk_in(&directory, &["src/tools/run"], &[]).unwrap_err();
        assert!(matches!(refused, WalkError::BelowFile { .. }), "{refused}");
        let refused = walk_in(&directory, &["agent.toml/x"], &[]).unwrap_err();
        assert!(matches!(refused, WalkError::BelowFile { .. }), "{refused}");
    }

    #[test]
    fn links_that_lead_out_are_refused() {
        for target in [
            "/etc/passwd",
            "../../etc",
            "..",
            "../src/../..",
            "a/../b",
            "../x/../../y",
        ] {
            let directory = golden();
            symlink(target, directory.path().join("src/l")).unwrap();
            let result = walk_in(&directory, &["src"], &[]);
            let leads_out = matches!(result, Err(WalkError::LinkLeadsOut { .. }));
            assert_eq!(leads_out, target != "..", "{target}: {result:?}");
        }
    }

    #[test]
    fn special_files_and_odd_names_are_refused() {
        use std::os::unix::ffi::OsStrExt as _;
        let directory = golden();
        UnixListener::bind(directory.path().join("src/socket")).unwrap();
        let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
        assert!(matches!(refused, WalkError::Special { .. }), "{refused}");

        let directory = golden();
        fs::write(
            directory
                .path()
                .join(std::ffi::OsStr::from_bytes(b"src/\xff")),
            "",
        )
        .unwrap();
        let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
        assert!(matches!(refused, WalkError::NotUtf8 { .. }), "{refused}");

        let directory = golden();
        write(&directory, "src/caf\u{e9}", "");
        write(&directory, "src/cafe\u{301}", "");
        let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
        assert!(
            matches!(refused, WalkError::Path(PathError::Repeated { .. })),
            "{refused}"
        );
    }

    #[test]
    fn what_is_not_there_or_listed_twice_is_refused() {
        let directory = golden();
        let refused = walk_in(&directory, &["srcs"], &[]).unwrap_err();
        assert!(matches!(refused, WalkError::Read { .. }), "{refused}");
        let refused = walk_in(&directory, &["src", "src/a.rs"], &[]).unwrap_err();
        assert!(
            matches!(refused, WalkError::Path(PathError::Repeated { .. })),
            "{refused}"
        );
    }
}
