//! Proof files, c2sp.org/tlog-proof: all that shows one leaf to be in a log, in one text.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra eyJyZWNlaXZlZF9tcyI6…       bytes that the tree says nothing about; may be missing
//! index 6
//! gSKyXoYZUgZ6jduWYrkDOARin…       the inclusion proof, the leaf's sibling first
//! B95lDa8R83lS8n0eG+o0buTxR…
//!
//! example.com/workledger           the checkpoint, with its signatures
//! …
//! ```
//!
//! Where `extra` holds the leaf, the file needs nothing beside it but a policy: the verifier hashes those bytes, and
//! believes nothing else about them.

use std::fmt;

use crate::checkpoint::{
    CheckpointError, ParseCheckpointError, SignedCheckpoint, VerifiedCheckpoint,
};
use crate::hash::HASH_BYTES;
use crate::note::MAX_NOTE_BYTES;
use crate::policy::Policy;
use crate::{
    Hash, LeafIndex, ProofError, Side, Step, base64, decimal, inclusion, leaf_hash, node_hash,
};

/// The most bytes that a proof file may have: the longest checkpoint, and as much again for the rest, many times the
/// longest leaf.
pub const MAX_PROOF_FILE_BYTES: usize = 2 * MAX_NOTE_BYTES;

const HEADER: &str = "c2sp.org/tlog-proof@v1";
const EXTRA: &str = "extra ";
const INDEX: &str = "index ";

/// A proof file that was read, or made, and of which nothing is known to be true. Formatting writes the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// Bytes that came with the proof. They are not authenticated: only hashing them as the leaf shows what they are.
    pub extra: Option<Vec<u8>>,
    /// The leaf that the proof is said to be for.
    pub index: LeafIndex,
    /// The inclusion proof, the leaf's sibling first.
    pub hashes: Vec<Hash>,
    /// The checkpoint that it claims to prove inclusion in.
    pub checkpoint: SignedCheckpoint,
}

impl ProofFile {
    /// Reads a proof file. Whatever is read is written back the same.
    ///
    /// # Errors
    ///
    /// [`ParseProofFileError`] with the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, ParseProofFileError> {
        let bytes = text.len();
        if bytes > MAX_PROOF_FILE_BYTES {
            return Err(ParseProofFileError::TooLong { bytes });
        }
        let (proof, checkpoint) = text
            .split_once("\n\n")
            .ok_or(ParseProofFileError::NoCheckpoint)?;
        let mut lines = proof.split('\n').peekable();
        let header = lines.next().filter(|line| *line == HEADER);
        header.ok_or(ParseProofFileError::Header)?;
        let extra = lines.next_if(|line| line.starts_with(EXTRA));
        let extra = extra.map(parse_extra).transpose()?;
        let index = lines.next().and_then(parse_index);
        let index = index.ok_or(ParseProofFileError::Index)?;
        let hashes = (1..).zip(lines).map(parse_hash).collect::<Result<_, _>>()?;
        let checkpoint = SignedCheckpoint::parse(checkpoint)?;
        Ok(Self {
            extra,
            index,
            hashes,
            checkpoint,
        })
    }

    /// Checks that these bytes are the leaf at the file's index of a log that the policy believes, and gives what was
    /// checked on the way.
    ///
    /// # Errors
    ///
    /// [`VerifyProofFileError`]: the checkpoint is not to be trusted, or the proof does not lead to it.
    pub fn verify(
        &self,
        leaf: &[u8],
        policy: &Policy,
    ) -> Result<VerifiedProof, VerifyProofFileError> {
        let checkpoint = policy.verify(&self.checkpoint)?;
        let (index, leaf_hash) = (self.index, leaf_hash(leaf));
        let (size, root) = (checkpoint.size(), checkpoint.root());
        let steps = inclusion::verify(&self.hashes, index, size, &leaf_hash, root)?;
        Ok(VerifiedProof {
            index,
            leaf_hash,
            steps,
            checkpoint,
        })
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checkpoint = self.checkpoint.to_string();
        f.write_str(&text(
            self.extra.as_deref(),
            self.index,
            &self.hashes,
            &checkpoint,
        ))
    }
}

/// The text of a proof file, for callers that have the text of the checkpoint.
#[must_use]
pub fn text(extra: Option<&[u8]>, index: LeafIndex, hashes: &[Hash], checkpoint: &str) -> String {
    let bytes = extra.map_or(0, <[u8]>::len) + (hashes.len() + 4) * HASH_BYTES;
    let mut text = String::with_capacity(bytes / 3 * 4 + checkpoint.len());
    text.push_str(HEADER);
    text.push('\n');
    if let Some(extra) = extra {
        text.push_str(EXTRA);
        base64::encode_behind(extra, &mut text);
        text.push('\n');
    }
    text.push_str(INDEX);
    text.push_str(&index.to_string());
    text.push('\n');
    for hash in hashes {
        base64::encode_behind(hash.as_bytes(), &mut text);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(checkpoint);
    text
}

/// What a proof file was shown to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedProof {
    index: LeafIndex,
    leaf_hash: Hash,
    steps: Vec<Step>,
    checkpoint: VerifiedCheckpoint,
}

impl VerifiedProof {
    /// Where the leaf is in the log.
    #[must_use]
    pub const fn index(&self) -> LeafIndex {
        self.index
    }

    /// The hash of the leaf.
    #[must_use]
    pub const fn leaf_hash(&self) -> &Hash {
        &self.leaf_hash
    }

    /// The steps from the leaf to the checkpoint's root. None in a log of one leaf, whose hash is the root.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The root of the tree that ends with this leaf. All of that tree stands left of the path, so a proof under any
    /// later checkpoint vouches for it as well.
    #[must_use]
    pub fn root_behind_leaf(&self) -> Hash {
        let left = self.steps.iter().filter(|step| step.sibling == Side::Left);
        left.fold(self.leaf_hash, |hash, step| node_hash(&step.left, &hash))
    }

    /// The checkpoint that the leaf is in.
    #[must_use]
    pub const fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }
}

/// Why a text is not a proof file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseProofFileError {
    /// It is too long.
    #[error("the proof file has {bytes} bytes, at most {MAX_PROOF_FILE_BYTES} are read")]
    TooLong {
        /// The file's length in bytes.
        bytes: usize,
    },
    /// The first line is another one.
    #[error("a proof file begins with the line {HEADER}")]
    Header,
    /// The extra line is not base64.
    #[error("the extra data is not in canonical base64")]
    Extra(#[source] base64::NotCanonical),
    /// There is no index line where it should be.
    #[error("the line before the hashes is the word index and a number without leading zeros")]
    Index,
    /// A line of the proof is not a hash.
    #[error("hash {number} of the proof cannot be read")]
    Hash {
        /// The hash's number in the file, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: crate::hash::ParseHashError,
    },
    /// There is no empty line before the checkpoint.
    #[error("the proof file has no checkpoint after an empty line")]
    NoCheckpoint,
    /// The checkpoint cannot be read.
    #[error("the proof file's checkpoint cannot be read")]
    Checkpoint(#[from] ParseCheckpointError),
}

/// Why a proof file proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyProofFileError {
    /// The checkpoint is not to be trusted.
    #[error("the checkpoint does not meet the policy")]
    Checkpoint(#[from] CheckpointError),
    /// The leaf is not shown to be in the checkpoint's tree.
    #[error("the leaf is not proven to be in the log")]
    Inclusion(#[from] ProofError),
}

fn parse_extra(line: &str) -> Result<Vec<u8>, ParseProofFileError> {
    let extra = line.strip_prefix(EXTRA).unwrap_or_default();
    base64::decode(extra).map_err(ParseProofFileError::Extra)
}

fn parse_index(line: &str) -> Option<LeafIndex> {
    let index = decimal::parse(line.strip_prefix(INDEX)?)?;
    Some(LeafIndex::new(index))
}

fn parse_hash((number, line): (usize, &str)) -> Result<Hash, ParseProofFileError> {
    let hash = line.parse();
    hash.map_err(|source| ParseProofFileError::Hash { number, source })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checkpoint::{Checkpoint, Origin, sign};
    use crate::note::{KeyName, SigningKey};
    use crate::tree::MemoryTree;

    fn log() -> SigningKey {
        SigningKey::new(KeyName::parse("log").unwrap(), &[1; 32])
    }

    fn policy() -> Policy {
        Policy::parse(&format!("log {}\nquorum none\n", log().verifier_key())).unwrap()
    }

    #[test]
    fn a_proof_vouches_for_the_tree_that_ends_with_its_leaf() {
        for size in 1..=70 {
            for index in 0..size {
                let file = proof_file(index, size);
                let leaf = file.extra.clone().unwrap();
                let proven = file.verify(&leaf, &policy()).unwrap();
                assert_eq!(proven.root_behind_leaf(), tree(index + 1).root());
            }
        }
    }

    /// A log of the leaves "0", "1" and so on.
    fn tree(size: u64) -> MemoryTree {
        let leaves = (0..size).map(|leaf| leaf_hash(leaf.to_string().as_bytes()));
        leaves.collect()
    }

    /// The proof of a leaf in such a log.
    fn proof_file(index: u64, size: u64) -> ProofFile {
        let tree = tree(size);
        let origin = Origin::parse("log").unwrap();
        let checkpoint = sign(&log(), &Checkpoint::new(origin, tree.size(), tree.root()));
        let index = LeafIndex::new(index);
        ProofFile {
            extra: Some(index.to_string().into_bytes()),
            index,
            hashes: inclusion::prove(index, tree.size(), &tree).unwrap(),
            checkpoint: SignedCheckpoint::parse(&checkpoint).unwrap(),
        }
    }

    #[test]
    fn the_leaf_is_proven_and_no_other() {
        for size in 1..10 {
            for index in 0..size {
                let file = proof_file(index, size);
                let verified = file
                    .verify(index.to_string().as_bytes(), &policy())
                    .unwrap();
                assert_eq!(
                    (verified.index(), verified.checkpoint().size().get()),
                    (file.index, size)
                );
                assert_eq!(verified.steps().len(), file.hashes.len());
                let other = file.verify(b"other", &policy());
                assert!(matches!(other, Err(VerifyProofFileError::Inclusion(_))));
            }
        }
    }

    #[test]
    fn the_checkpoint_must_meet_the_policy() {
        let policy = Policy::parse("quorum none\n").unwrap();
        let unknown = proof_file(0, 3).verify(b"0", &policy);
        assert!(matches!(unknown, Err(VerifyProofFileError::Checkpoint(_))));
    }

    #[test]
    fn malformed_files_are_refused() {
        use ParseProofFileError::{Header, Index, NoCheckpoint};
        let good = proof_file(1, 3).to_string();
        let extra = "extra MQ==\n";
        assert!(good.contains(extra));
        for (text, want) in [
            (String::new(), NoCheckpoint),
            (good.replace("@v1", "@v2"), Header),
            (good.replace("@v1\n", "@v1 \n"), Header),
            (good.replace("index 1", "index 01"), Index),
            (good.replace("index 1", "index  1"), Index),
            (good.replace("index 1", "index 1 "), Index),
            (good.replace("index 1\n", ""), Index),
            (good.replace(extra, "extra\n"), Index),
            (good.replace(extra, &extra.repeat(2)), Index),
            (
                good.replace("\n\nlog", "\nlog"),
                ParseProofFileError::Hash {
                    number: 3,
                    source: base64::NotCanonical { length: 3 }.into(),
                },
            ),
        ] {
            assert_eq!(ProofFile::parse(&text), Err(want), "{text}");
        }
        let spelled = ProofFile::parse(&good.replace(extra, "extra MR==\n"));
        assert!(matches!(spelled, Err(ParseProofFileError::Extra(_))));
        let blank = ProofFile::parse(&good.replace("\nindex", "\n\nindex"));
        assert_eq!(blank, Err(Index));
        let more = ProofFile::parse(&good.replace("\n\nlog", "\n\n\nlog"));
        assert!(matches!(more, Err(ParseProofFileError::Checkpoint(_))));
        let bytes = MAX_PROOF_FILE_BYTES + 1;
        assert_eq!(
            ProofFile::parse(&"\n".repeat(bytes)),
            Err(ParseProofFileError::TooLong { bytes })
        );
    }

    proptest! {
        #[test]
        fn formatting_and_parsing_are_inverse(
            extra: Option<Vec<u8>>, index: u64, hashes: Vec<[u8; 32]>,
        ) {
            let hashes = hashes.into_iter().map(Hash::from_bytes).collect();
            let file = ProofFile { extra, index: LeafIndex::new(index), hashes, ..proof_file(0, 1) };
            prop_assert_eq!(ProofFile::parse(&file.to_string()), Ok(file));
        }
    }
}
