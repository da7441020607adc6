//! A proof that one file belongs to one version of an agent, for somebody who has nothing else of it.
//!
//! ```text
//! {"file_proof":"dragons.file-proof/v1","manifest":{…},"set":"code","path":"src/prompt.txt","mode":0,
//!  "content":"sha256:…","index":3,"hashes":["<base64>",…]}
//! ```
//!
//! The manifest holds the root and the number of files; its hash, which the verifier computes, is the name of the version
//! in the log. The hashes are an inclusion proof of RFC 6962 §2.1.1, checked by the log's own verifier.

use ledger::codes::{Code, Refusal};
use ledger::digest::Digest;
use ledger::json::{Members, Value, integer, object, parsed, string};
use ledger::record::{FileSet, Manifest};
use tlog::{Hash, LeafIndex, ProofError, TreeSize, inclusion, leaf_hash};

use super::Version;
use super::tree::{File, FileMode, PathError};

/// The longest proof: a manifest is a record's part, and the rest is a path and at most 64 hashes.
pub const MAX_PROOF_BYTES: usize = 128 * 1024;

const FORM: &str = "dragons.file-proof/v1";

/// Which of the manifest's two sets of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// What it runs.
    Code,
    /// What it is configured with.
    Config,
}

/// A proof that was read or made, and of which nothing is known to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProof {
    /// The version.
    pub manifest: Manifest,
    /// Where in it.
    pub set: Set,
    /// The file.
    pub file: File,
    index: LeafIndex,
    hashes: Vec<Hash>,
}

/// Why a proof does not show what it says.
#[derive(Debug, thiserror::Error)]
pub enum FileProofError {
    /// The manifest has no hash.
    #[error("the manifest has no hash: {0}")]
    Manifest(Refusal),
    /// The file is not in the set.
    #[error("the file does not belong to this version")]
    NotOfIt(#[from] ProofError),
}

impl FileProof {
    /// Proves a file of a version; `None` if it has no such file.
    pub fn of(version: &Version, path: &str) -> Option<Self> {
        let sets = [(Set::Code, &version.code), (Set::Config, &version.config)];
        sets.into_iter().find_map(|(set, tree)| {
            let (at, hashes) = tree.prove(path)?;
            Some(Self {
                manifest: version.manifest.clone(),
                set,
                file: tree.files().get(at)?.clone(),
                index: LeafIndex::new(at as u64),
                hashes: hashes.into_iter().map(Hash::from_bytes).collect(),
            })
        })
    }

    /// Checks it, and gives the hash of the manifest: the version that the file is of.
    ///
    /// # Errors
    ///
    /// [`FileProofError`].
    pub fn verify(&self) -> Result<Digest, FileProofError> {
        let set = self.files();
        let (size, root) = (
            TreeSize::new(set.files),
            Hash::from_bytes(*set.root.as_bytes()),
        );
        let leaf = leaf_hash(&self.file.leaf());
        inclusion::verify(&self.hashes, self.index, size, &leaf, &root)?;
        Ok(self.manifest.hash())
    }

    fn files(&self) -> &FileSet {
        match self.set {
            Set::Code => &self.manifest.code,
            Set::Config => &self.manifest.config,
        }
    }

    /// Reads a proof.
    ///
    /// # Errors
    ///
    /// The codes of form.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::open("", Value::parse(json.trim_ascii())?)?;
        if members.required("file_proof", string)? != FORM {
            return Err(Code::Malformed.because(format!("file_proof is not {FORM}")));
        }
        let manifest = members.required("manifest", Manifest::read)?;
        let set = match members.required("set", string)?.as_str() {
            "code" => Set::Code,
            "config" => Set::Config,
            _ => return Err(Code::Malformed.because("set is code or config")),
        };
        let proof = Self {
            manifest,
            set,
            file: read_file(&mut members)?,
            index: LeafIndex::new(members.required("index", integer)?),
            hashes: members.list("hashes", parsed)?,
        };
        members.finish().map(|()| proof)
    }

    /// The proof as an object.
    pub fn to_value(&self) -> Value {
        let set = match self.set {
            Set::Code => "code",
            Set::Config => "config",
        };
        object([
            ("file_proof", FORM.into()),
            ("manifest", self.manifest.to_value()),
            ("set", set.into()),
            ("path", self.file.path().into()),
            ("mode", (self.file.mode() as u64).into()),
            ("content", self.file.content().into()),
            ("index", self.index.get().into()),
            (
                "hashes",
                self.hashes.iter().map(ToString::to_string).collect(),
            ),
        ])
    }
}

fn read_file(members: &mut Members) -> Result<File, Refusal> {
    let path = members.required("path", string)?;
    let mode = FileMode::from_byte(members.required("mode", integer)?);
    let mode = mode.ok_or_else(|| Code::Malformed.because("mode is 0, 1 or 2"))?;
    let content = members.required("content", parsed)?;
    // How long a file is does not count towards its leaf.
    let file = File::new(&path, mode, content, 0);
    file.map_err(|error: PathError| Code::Malformed.because(error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::manifest::{diff, read};

    fn version(edit: impl Fn(&std::path::Path)) -> Version {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("src")).unwrap();
        for n in 0..7 {
            fs::write(directory.path().join(format!("src/{n}")), n.to_string()).unwrap();
        }
        let text = "agent = 'a'\nversion = '1'\ncode = ['src']\nconfig = ['agent.toml']\nignore = []\n\
            capabilities = ['read:**']\nmax_inflight_ms = 1000\n";
        fs::write(directory.path().join("agent.toml"), text).unwrap();
        edit(directory.path());
        read(directory.path(), &mut |_, _| {}).unwrap()
    }

    #[test]
    fn each_file_is_proven_and_no_other() {
        let version = version(|_| {});
        for file in version.code.files().iter().chain(version.config.files()) {
            let proof = FileProof::of(&version, file.path()).unwrap();
            let text = proof.to_value().to_json();
            let read = FileProof::parse(text.as_bytes()).unwrap();
            assert_eq!(read.verify().unwrap(), version.manifest.hash());
            for (from, to) in [
                (file.content().to_string(), Digest::of(&[b"x"]).to_string()),
                ("\"mode\":0".to_owned(), "\"mode\":1".to_owned()),
                (
                    format!("\"path\":\"{}\"", file.path()),
                    "\"path\":\"other\"".to_owned(),
                ),
            ] {
                let forged = FileProof::parse(text.replace(&from, &to).as_bytes()).unwrap();
                assert!(forged.verify().is_err(), "{from}");
            }
        }
        assert_eq!(FileProof::of(&version, "src/none"), None);
    }

    #[test]
    fn differences_are_told_by_group() {
        let old = version(|_| {});
        let new = version(|directory| {
            fs::write(directory.join("src/0"), "changed").unwrap();
            fs::remove_file(directory.join("src/1")).unwrap();
            fs::write(directory.join("src/9"), "new").unwrap();
            let config = fs::read_to_string(directory.join("agent.toml")).unwrap();
            let config = config.replace("'read:**'", "'read:**', 'run:x'");
            fs::write(directory.join("agent.toml"), config).unwrap();
        });
        assert_eq!(diff::between(&old, &old), []);
        let told = diff::between(&old, &new);
        let told: Vec<_> = told
            .iter()
            .map(|one| {
                (
                    one.group,
                    one.name.as_str(),
                    one.old.is_some(),
                    one.new.is_some(),
                )
            })
            .collect();
        let want = [
            ("code", "src/0", true, true),
            ("code", "src/1", true, false),
            ("code", "src/9", false, true),
            ("config", "agent.toml", true, true),
            ("capabilities", "run:x", false, true),
        ];
        assert_eq!(told, want);
    }
}
