//! The file tree: files as one RFC 6962 root over their modes, paths and contents.
//!
//! ```text
//! leaf = mode (1 byte) ‖ path ‖ 0x00 ‖ SHA-256(content, or a link's target)
//! ```
//!
//! The leaves stand in the byte order of their paths. Neither times nor owners count, and paths are in Unicode's
//! normalisation form C, because some file systems give names back in another form than they were made with. So
//! the same directory has the same root on every machine.

use ledger::digest::Digest;
use rs_merkle::{Hasher, MerkleTree};
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

/// The root of a tree without files: SHA-256 of nothing (RFC 6962 §2.1).
const EMPTY_ROOT: &[&[u8]] = &[];

/// What a file is, in the byte that its leaf begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FileMode {
    /// A file.
    Plain = 0,
    /// A file that its owner may execute.
    Executable = 1,
    /// A symbolic link; its content is its target.
    Link = 2,
}

/// A file as the tree sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    path: String,
    mode: FileMode,
    content: Digest,
    bytes: u64,
}

/// Files that can stand in one tree: sorted, distinct, none below another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileTree {
    files: Vec<File>,
}

/// Why a path, or two of them, cannot be in a file tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It is absolute, empty, or has a part that is empty, `.` or `..`.
    #[error("{path:?} is not a plain relative path")]
    NotRelative {
        /// The path.
        path: String,
    },
    /// Two paths are the same, or are once both are in normalisation form C.
    #[error(
        "{path:?} appears twice: two names differ only in their Unicode normalisation, or it is listed twice"
    )]
    Repeated {
        /// The path in normalisation form C.
        path: String,
    },
    /// A path leads through something that is not a directory.
    #[error("{path:?} lies below {file:?}, which is not a directory")]
    BelowFile {
        /// The path.
        path: String,
        /// The file or link that it leads through.
        file: String,
    },
}

impl FileMode {
    /// The mode of this byte.
    pub const fn from_byte(byte: u64) -> Option<Self> {
        match byte {
            0 => Some(Self::Plain),
            1 => Some(Self::Executable),
            2 => Some(Self::Link),
            _ => None,
        }
    }
}

impl File {
    /// A file at a `/`-separated path relative to the directory of the tree, which is normalised to form C.
    ///
    /// # Errors
    ///
    /// [`PathError::NotRelative`].
    pub fn new(path: &str, mode: FileMode, content: Digest, bytes: u64) -> Result<Self, PathError> {
        let path: String = path.nfc().collect();
        let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
        if path.split('/').any(odd) {
            return Err(PathError::NotRelative { path });
        }
        Ok(Self {
            path,
            mode,
            content,
            bytes,
        })
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it is.
    pub const fn mode(&self) -> FileMode {
        self.mode
    }

    /// The digest of its content, or of a link's target.
    pub const fn content(&self) -> Digest {
        self.content
    }

    /// How long its content is.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn leaf(&self) -> Vec<u8> {
        let mode = [self.mode as u8];
        [&mode, self.path.as_bytes(), &[0], self.content.as_bytes()].concat()
    }
}

impl FileTree {
    /// Puts files into order.
    ///
    /// # Errors
    ///
    /// [`PathError::Repeated`] or [`PathError::BelowFile`].
    pub fn new(mut files: Vec<File>) -> Result<Self, PathError> {
        files.sort_by(|one, other| one.path.as_bytes().cmp(other.path.as_bytes()));
        for (file, next) in files.iter().zip(files.iter().skip(1)) {
            if file.path == next.path {
                return Err(PathError::Repeated {
                    path: next.path.clone(),
                });
            }
        }
        match files
            .iter()
            .find_map(|file| Some((file, file_above(&files, file)?)))
        {
            None => Ok(Self { files }),
            Some((below, above)) => Err(PathError::BelowFile {
                path: below.path.clone(),
                file: above.path.clone(),
            }),
        }
    }

    /// The files, in the byte order of their paths.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The file at a path.
    pub fn get(&self, path: &str) -> Option<&File> {
        find(&self.files, path)
    }

    /// The sum of the lengths of the contents.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The root.
    pub fn root(&self) -> Digest {
        let root = self.merkle().root();
        root.map_or_else(|| Digest::of(EMPTY_ROOT), Digest::from_bytes)
    }

    /// Where a file stands, and the hashes that lead from it to the root, its sibling first.
    pub fn prove(&self, path: &str) -> Option<(usize, Vec<[u8; 32]>)> {
        let at = position(&self.files, path)?;
        Some((at, self.merkle().proof(&[at]).proof_hashes().to_vec()))
    }

    fn merkle(&self) -> MerkleTree<Rfc6962> {
        let leaves = self.files.iter().map(|file| Rfc6962::hash(&file.leaf()));
        MerkleTree::from_leaves(&leaves.collect::<Vec<_>>())
    }
}

/// The file that a path leads through, if any: one of its proper prefixes at a `/`.
fn file_above<'a>(files: &'a [File], below: &File) -> Option<&'a File> {
    let slashes = below.path.match_indices('/').map(|(at, _)| at);
    let prefixes = slashes.filter_map(|at| below.path.get(..at));
    prefixes.filter_map(|prefix| find(files, prefix)).next()
}

fn find<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    files.get(position(files, path)?)
}

fn position(files: &[File], path: &str) -> Option<usize> {
    let by_path = |file: &File| file.path.as_bytes().cmp(path.as_bytes());
    files.binary_search_by(by_path).ok()
}

/// The hashing of RFC 6962 §2.1 for `rs_merkle`: leaves and nodes begin with different bytes, and a node
/// without a sibling is promoted as it is.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(leaf: &[u8]) -> [u8; 32] {
        Sha256::new()
            .chain_update([0x00])
            .chain_update(leaf)
            .finalize()
            .into()
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        let Some(right) = right else { return *left };
        let node = Sha256::new()
            .chain_update([0x01])
            .chain_update(left)
            .chain_update(right);
        node.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, mode: FileMode, content: &str) -> File {
        File::new(
            path,
            mode,
            Digest::of(&[content.as_bytes()]),
            content.len() as u64,
        )
        .unwrap()
    }

    fn tree(paths: &[&str]) -> Result<FileTree, PathError> {
        FileTree::new(
            paths
                .iter()
                .map(|path| file(path, FileMode::Plain, ""))
                .collect(),
        )
    }

    /// The `file_tree` of the golden history, made by another implementation.
    #[test]
    fn the_golden_tree_has_its_root() {
        let files = vec![
            file("src/a.rs", FileMode::Plain, "fn main() {}\n"),
            file("link", FileMode::Link, "bin/run"),
            file("bin/run", FileMode::Executable, "#!/bin/sh\n"),
            file("agent.toml", FileMode::Plain, "agent"),
        ];
        let tree = FileTree::new(files).unwrap();
        let root = "sha256:0add5c9d28e6944d2fa65bed29327e030beb65bb3ab86ebd2d71d7cd5776b511";
        assert_eq!(tree.root().to_string(), root);
        assert_eq!((tree.files().len(), tree.bytes()), (4, 35));
    }

    #[test]
    fn roots_are_those_of_the_log_s_own_tree() {
        for count in 1..70_u64 {
            let files = (0..count).map(|n| file(&format!("f{n:03}"), FileMode::Plain, "x"));
            let tree = FileTree::new(files.collect()).unwrap();
            let leaves = tree
                .files()
                .iter()
                .map(|file| tlog::leaf_hash(&file.leaf()));
            let oracle: tlog::tree::MemoryTree = leaves.collect();
            assert_eq!(
                tree.root().as_bytes(),
                oracle.root().as_bytes(),
                "{count} files"
            );
        }
    }

    #[test]
    fn no_files_have_the_root_of_nothing() {
        let root = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(FileTree::default().root().to_string(), root);
    }

    #[test]
    fn mode_path_and_content_all_count() {
        let one = |path, mode, content| {
            FileTree::new(vec![file(path, mode, content)])
                .unwrap()
                .root()
        };
        let plain = one("a", FileMode::Plain, "x");
        assert_ne!(plain, one("a", FileMode::Executable, "x"));
        assert_ne!(plain, one("a", FileMode::Link, "x"));
        assert_ne!(plain, one("b", FileMode::Plain, "x"));
        assert_ne!(plain, one("a", FileMode::Plain, "y"));
    }

    #[test]
    fn paths_are_in_form_c() {
        let composed = file("caf\u{e9}", FileMode::Plain, "");
        let decomposed = file("cafe\u{301}", FileMode::Plain, "");
        assert_eq!(composed, decomposed);
        let twice = FileTree::new(vec![composed, decomposed]).unwrap_err();
        assert_eq!(
            twice,
            PathError::Repeated {
                path: "caf\u{e9}".to_owned()
            }
        );
    }

    #[test]
    fn odd_paths_are_refused() {
        for path in [
            "", "/a", "a/", "a//b", "./a", "a/.", "..", "a/../b", "../a", "a\0b",
        ] {
            let refused = File::new(path, FileMode::Plain, Digest::of(&[]), 0).unwrap_err();
            assert_eq!(
                refused,
                PathError::NotRelative {
                    path: path.to_owned()
                }
            );
        }
    }

    #[test]
    fn a_path_below_a_file_is_refused_wherever_it_sorts() {
        // `-` and `.` sort before `/`, so neighbours alone would not show it.
        for between in ["a-", "a.b", "a0", "b"] {
            let refused = tree(&["a/x/y", between, "a"]).unwrap_err();
            let (path, file) = ("a/x/y".to_owned(), "a".to_owned());
            assert_eq!(refused, PathError::BelowFile { path, file }, "{between}");
        }
        assert!(tree(&["a/x", "ab", "a.b", "b/a"]).is_ok());
    }
}
