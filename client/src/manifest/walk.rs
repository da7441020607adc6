//! The walk: what lies under the listed paths of a directory, as files of a [`FileTree`].
//!
//! It is done in two steps. [`list`] says what there is and how much, and refuses what no tree can hold;
//! [`Listing::read`] reads the contents, and refuses what is no longer what was listed.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use ledger::digest::Digest;
use unicode_normalization::UnicodeNormalization as _;
use walkdir::WalkDir;

use crate::manifest::content::{self, ContentError};
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
    /// A file was written to or replaced between the walk and the end of reading it: its digest would be that of
    /// no state that it ever had.
    #[error("{path:?} changed while it was read")]
    Changed {
        /// Where.
        path: PathBuf,
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

/// What lies under the listed paths of a directory, and is not read yet.
#[derive(Debug)]
pub struct Listing {
    /// The directory without links in its own path.
    root: PathBuf,
    entries: Vec<Entry>,
}

/// Lists all files under the listed paths of a directory, without what `ignore` leaves out. `tell` hears of each how
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
    ignore: &[String],
    tell: &mut dyn FnMut(u64),
) -> Result<Listing, WalkError> {
    let root = fs::canonicalize(directory).map_err(unreadable(directory))?;
    let mut entries = Vec::new();
    for path in listed {
        check_ancestors(directory, path)?;
        for entry in entries_of(directory, path, ignore) {
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
    let mut directories = HashMap::new();
    std::iter::from_fn(move || {
        loop {
            let met = walk.next()?.map_err(not_walked);
            let entry = match met.and_then(|met| Entry::of(directory, &met)) {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            let is_ignored = is_ignored(&entry.path, ignore);
            match (entry.metadata.is_dir(), is_ignored) {
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
mod tests {
    use std::os::unix::fs::symlink;
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
        list_in(directory, listed, ignore)?.read(&mut |_| {})
    }

    fn list_in(
        directory: &tempfile::TempDir,
        listed: &[&str],
        ignore: &[&str],
    ) -> Result<Listing, WalkError> {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        list(
            directory.path(),
            &owned(listed),
            &owned(ignore),
            &mut |_| {},
        )
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
    fn a_link_that_leads_out_by_another_is_refused() {
        let directory = golden();
        symlink("/", directory.path().join("away")).unwrap();
        symlink("away/etc", directory.path().join("l")).unwrap();
        let refused = walk_in(&directory, &["l"], &["away"]).unwrap_err();
        assert!(
            matches!(refused, WalkError::LinkLeadsOut { .. }),
            "{refused}"
        );
        // What a link leads to need not be there, nor be listed.
        symlink("src/none", directory.path().join("dangling")).unwrap();
        symlink("src/a.rs", directory.path().join("unlisted")).unwrap();
        let tree = walk_in(&directory, &["dangling", "unlisted"], &[]).unwrap();
        assert_eq!(paths(&tree), ["dangling", "unlisted"]);
    }

    #[test]
    fn neither_order_nor_times_count() {
        let names: Vec<String> = (0..40).map(|n| format!("d{}/f{n}", n % 7)).collect();
        let root = |names: &mut dyn Iterator<Item = &String>, age_s: u64| {
            let directory = tempfile::tempdir().unwrap();
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(age_s);
            for name in names {
                write(&directory, name, name);
                let file = fs::File::open(directory.path().join(name)).unwrap();
                file.set_modified(at).unwrap();
            }
            walk_in(&directory, &["."], &[]).unwrap().root()
        };
        let first = root(&mut names.iter(), 0);
        assert_eq!(first, root(&mut names.iter().rev(), 1_000_000_000));
    }

    #[test]
    fn names_that_differ_in_case_are_two() {
        let directory = golden();
        write(&directory, "src/A.rs", "");
        let tree = walk_in(&directory, &["src"], &[]).unwrap();
        assert_eq!(paths(&tree), ["src/A.rs", "src/a.rs"]);
    }

    #[test]
    fn directories_whose_names_differ_only_in_form_are_refused() {
        let directory = golden();
        write(&directory, "src/caf\u{e9}/a", "");
        write(&directory, "src/cafe\u{301}/b", "");
        let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
        let repeated = matches!(refused, WalkError::Path(PathError::Repeated { .. }));
        assert!(repeated, "{refused}");
    }

    #[test]
    fn deep_directories_are_walked_as_deep_as_paths_can_name() {
        let directory = golden();
        let deep = "d/".repeat(1000) + "f";
        write(&directory, &deep, "");
        assert_eq!(paths(&walk_in(&directory, &["d"], &[]).unwrap()), [deep]);

        let directory = golden();
        let flags = rustix::fs::OFlags::DIRECTORY;
        let mode = rustix::fs::Mode::RWXU;
        let mut at = rustix::fs::open(directory.path(), flags, mode).unwrap();
        let name = "d".repeat(250);
        for _ in 0..20 {
            rustix::fs::mkdirat(&at, &name, mode).unwrap();
            at = rustix::fs::openat(&at, &name, flags, mode).unwrap();
        }
        let refused = walk_in(&directory, &["."], &[]).unwrap_err();
        assert!(matches!(refused, WalkError::Read { .. }), "{refused}");
    }

    #[test]
    fn what_changes_between_the_walk_and_the_end_of_reading_is_refused() {
        let edits: [fn(&Path); 4] = [
            |place| fs::write(place, "fn main() { mischief() }\n").unwrap(),
            |place| {
                fs::rename(place, place.with_extension("old")).unwrap();
                symlink("/etc/passwd", place).unwrap();
            },
            |place| {
                fs::remove_file(place).unwrap();
                UnixListener::bind(place).unwrap();
            },
            |place| {
                fs::rename(place, place.with_extension("old")).unwrap();
                fs::write(place, "fn main() {}\n").unwrap();
            },
        ];
        for (n, edit) in edits.iter().enumerate() {
            let directory = golden();
            let listing = list_in(&directory, &["src"], &[]).unwrap();
            edit(&directory.path().join("src/a.rs"));
            let refused = listing.read(&mut |_| {}).unwrap_err();
            let has_changed = matches!(refused, WalkError::Changed { .. });
            // A link or a socket in its place cannot be opened at all.
            assert_eq!(has_changed, [0, 3].contains(&n), "{refused}");
        }
    }

    #[test]
    fn whoever_watches_hears_of_each_byte() {
        let directory = golden();
        write(&directory, "src/large", &"x".repeat(200_000));
        let (mut listed, mut read) = (0, Vec::new());
        let all = [".".to_owned()];
        let listing = list(directory.path(), &all, &[], &mut |bytes| listed += bytes).unwrap();
        let tree = listing.read(&mut |bytes| read.push(bytes)).unwrap();
        assert_eq!(listed, tree.bytes());
        assert!(read.len() > 4, "{read:?}");
        assert_eq!(read.iter().sum::<u64>(), tree.bytes());
    }

    #[test]
    fn special_files_and_odd_names_are_refused() {
        use std::os::unix::ffi::OsStrExt as _;
        let directory = golden();
        UnixListener::bind(directory.path().join("src/socket")).unwrap();
        let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
        assert!(matches!(refused, WalkError::Special { .. }), "{refused}");

        let directory = golden();
        let pipe = directory.path().join("src/pipe");
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
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
