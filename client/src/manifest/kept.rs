//! Versions that are kept beside the journal, so that a refusal can name the files by which two versions differ: the log
//! has a root of them, and no names.
//!
//! A file is named by the hash of the version, and believed only if it comes to that hash.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use ledger::codes::{Code, Refusal};
use ledger::digest::Digest;
use ledger::json::{Members, Value, integer, object, parsed, string};
use ledger::record::Manifest;

use super::Version;
use super::tree::{File, FileMode, FileTree};

/// How many versions are kept: those that people go back to.
const MOST: usize = 16;

/// The longest file that is read: as many files as two sets may have, with long paths.
const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// A folder of versions.
#[derive(Clone, Debug)]
pub struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Those beside a journal.
    pub fn beside(journal: &Path) -> Self {
        Self {
            folder: journal.join("versions"),
        }
    }

    /// Keeps a version, and lets go of the oldest.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn keep(&self, version: &Version) -> io::Result<()> {
        let path = self.path(version.manifest.hash());
        if path.exists() {
            return Ok(());
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(to_value(version).to_json().as_bytes())?;
        file.persist(path)?;
        self.let_go()
    }

    /// A version that was kept.
    pub fn get(&self, hash: Digest) -> Option<Version> {
        let path = self.path(hash);
        let metadata = fs::symlink_metadata(&path).ok()?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return None;
        }
        let version = parse(&fs::read(path).ok()?).ok()?;
        (version.manifest.hash() == hash).then_some(version)
    }

    fn path(&self, hash: Digest) -> PathBuf {
        let hash = hash.to_string();
        let hex = hash.strip_prefix("sha256:").unwrap_or(&hash);
        self.folder.join(format!("{hex}.json"))
    }

    fn let_go(&self) -> io::Result<()> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            all.push((entry.metadata()?.modified()?, entry.path()));
        }
        all.sort();
        let surplus = all.len().saturating_sub(MOST);
        all.iter()
            .take(surplus)
            .try_for_each(|(_, path)| fs::remove_file(path))
    }
}

fn to_value(version: &Version) -> Value {
    let files = |tree: &FileTree| -> Value {
        let file = |file: &File| {
            object([
                ("path", file.path().into()),
                ("mode", (file.mode() as u64).into()),
                ("content", file.content().into()),
                ("bytes", file.bytes().into()),
            ])
        };
        Value::Array(tree.files().iter().map(file).collect())
    };
    object([
        ("manifest", version.manifest.to_value()),
        ("code", files(&version.code)),
        ("config", files(&version.config)),
    ])
}

fn parse(json: &[u8]) -> Result<Version, Refusal> {
    let mut members = Members::open("", Value::parse(json)?)?;
    let version = Version {
        manifest: members.required("manifest", Manifest::read)?,
        code: read_tree(&mut members, "code")?,
        config: read_tree(&mut members, "config")?,
        programs_from: Vec::new(),
    };
    members.finish()?;
    let roots = [version.code.root(), version.config.root()];
    match roots == [version.manifest.code.root, version.manifest.config.root] {
        true => Ok(version),
        false => Err(Code::Malformed.because("the files are not those of the manifest")),
    }
}

fn read_tree(members: &mut Members, name: &str) -> Result<FileTree, Refusal> {
    let files = members.list(name, |path, value| {
        let mut members = Members::open(path, value)?;
        let path = members.required("path", string)?;
        let mode = FileMode::from_byte(members.required("mode", integer)?);
        let mode = mode.ok_or_else(|| Code::Malformed.because("mode is 0, 1 or 2"))?;
        let content = members.required("content", parsed)?;
        let bytes = members.required("bytes", integer)?;
        members.finish()?;
        File::new(&path, mode, content, bytes).map_err(|error| Code::Malformed.because(error))
    })?;
    FileTree::new(files).map_err(|error| Code::Malformed.because(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    #[test]
    fn a_version_comes_back_if_it_is_what_its_name_says() {
        let directory = tempfile::tempdir().unwrap();
        let config = "agent = 'a'\nversion = '1'\ncode = ['work']\ncapabilities = ['run:*']\n";
        fs::write(directory.path().join("agent.toml"), config).unwrap();
        fs::write(directory.path().join("work"), "1").unwrap();
        let version = manifest::read(directory.path(), &mut |_, _| {}).unwrap();
        let hash = version.manifest.hash();
        let kept = Kept::beside(directory.path());
        assert!(kept.get(hash).is_none());
        kept.keep(&version).unwrap();
        let back = kept.get(hash).unwrap();
        assert_eq!((back.code, back.config), (version.code, version.config));
        let path = kept.path(hash);
        let forged = fs::read_to_string(&path).unwrap();
        fs::write(path, forged.replace("\"work\"", "\"play\"")).unwrap();
        assert!(kept.get(hash).is_none());
    }

    #[test]
    fn only_so_many_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let kept = Kept::beside(&directory.path().join("journal"));
        for n in 0..MOST + 4 {
            let config = format!("agent = 'a'\nversion = '{n}'\ncode = []\ncapabilities = []\n");
            fs::write(directory.path().join("agent.toml"), config).unwrap();
            let version = manifest::read(directory.path(), &mut |_, _| {}).unwrap();
            kept.keep(&version).unwrap();
        }
        assert_eq!(fs::read_dir(&kept.folder).unwrap().count(), MOST);
    }
}
