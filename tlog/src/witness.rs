//! Requests to a witness and its answers, c2sp.org/tlog-witness.
//!
//! ```text
//! POST <prefix>/add-checkpoint            200: one or more signature lines
//!                                         409: the size that the witness has cosigned, and a line break
//! old 20852014
//! PlRNCrwHpqhGrupue0L7gxbjbMiKA9te…       the consistency proof from the old size
//!
//! example.com/workledger                  the checkpoint, with the log's signature
//! …
//! ```
//!
//! These are the texts; sending them is not done here.

use std::fmt;

use crate::checkpoint::{ParseCheckpointError, SignedCheckpoint};
use crate::hash::ParseHashError;
use crate::note::{MAX_NOTE_BYTES, MAX_SIGNATURES, ParseNoteError, Signature};
use crate::{Hash, TreeSize, decimal};

/// The most hashes of a proof that may be sent (tlog-witness, "add-checkpoint").
pub const MAX_PROOF_HASHES: usize = 63;

/// The most bytes that a request may have: the longest checkpoint, and 64 lines of at most 45 bytes before it.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 4_096;

const OLD: &str = "old ";

/// The request that a witness cosign a checkpoint. Formatting writes its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness has cosigned last, 0 if none.
    pub old: TreeSize,
    /// The consistency proof from there to the checkpoint; at most [`MAX_PROOF_HASHES`].
    pub hashes: Vec<Hash>,
    /// The checkpoint to cosign.
    pub checkpoint: SignedCheckpoint,
}

impl AddCheckpoint {
    /// Reads the body of a request. Whatever is read is written back the same.
    ///
    /// # Errors
    ///
    /// [`ParseWitnessError`] with the part that is wrong.
    pub fn parse(body: &str) -> Result<Self, ParseWitnessError> {
        let bytes = body.len();
        if bytes > MAX_REQUEST_BYTES {
            return Err(ParseWitnessError::TooLong { bytes });
        }
        let (proof, checkpoint) = body
            .split_once("\n\n")
            .ok_or(ParseWitnessError::NoCheckpoint)?;
        let mut lines = proof.split('\n');
        let old = lines
            .next()
            .and_then(|line| decimal::parse(line.strip_prefix(OLD)?));
        let old = old.map(TreeSize::new).ok_or(ParseWitnessError::OldSize)?;
        let count = lines.clone().count();
        if count > MAX_PROOF_HASHES {
            return Err(ParseWitnessError::TooManyHashes { count });
        }
        let hashes = (1..).zip(lines).map(parse_hash).collect::<Result<_, _>>()?;
        let checkpoint = SignedCheckpoint::parse(checkpoint)?;
        Ok(Self {
            old,
            hashes,
            checkpoint,
        })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{OLD}{}", self.old)?;
        self.hashes
            .iter()
            .try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// The signature lines in the answer of a witness that has cosigned. They are not checked: add them to the checkpoint,
/// and let the policy judge it.
///
/// # Errors
///
/// [`ParseNoteError`] if there is none, there are too many, or one is malformed.
pub fn parse_cosignatures(body: &str) -> Result<Vec<Signature>, ParseNoteError> {
    let count = body.split_inclusive('\n').count();
    match count {
        0 => return Err(ParseNoteError::NoSignatures),
        1..=MAX_SIGNATURES => {}
        _ => return Err(ParseNoteError::TooManySignatures { count }),
    }
    let lines = (1..).zip(body.split_inclusive('\n'));
    let signature =
        |(line, text)| Signature::parse(text).map_err(|_| ParseNoteError::SignatureLine { line });
    lines.map(signature).collect()
}

/// The size in the answer of a witness that has cosigned another size than the request said; `None` if it is none.
#[must_use]
pub fn parse_conflict(body: &str) -> Option<TreeSize> {
    let size = decimal::parse(body.strip_suffix('\n')?)?;
    Some(TreeSize::new(size))
}

/// Why a text is not a request to a witness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseWitnessError {
    /// It is too long.
    #[error("the request has {bytes} bytes, at most {MAX_REQUEST_BYTES} are read")]
    TooLong {
        /// The request's length in bytes.
        bytes: usize,
    },
    /// The first line is not the old size.
    #[error("the first line is the word old and a size without leading zeros")]
    OldSize,
    /// The proof is longer than any can be.
    #[error("the proof has {count} hashes, at most {MAX_PROOF_HASHES} are read")]
    TooManyHashes {
        /// How many there are.
        count: usize,
    },
    /// A line of the proof is not a hash.
    #[error("hash {number} of the proof cannot be read")]
    Hash {
        /// The hash's number in the request, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: ParseHashError,
    },
    /// There is no empty line before the checkpoint.
    #[error("the request has no checkpoint after an empty line")]
    NoCheckpoint,
    /// The checkpoint cannot be read.
    #[error("the request's checkpoint cannot be read")]
    Checkpoint(#[from] ParseCheckpointError),
}

fn parse_hash((number, line): (usize, &str)) -> Result<Hash, ParseWitnessError> {
    let hash = line.parse();
    hash.map_err(|source| ParseWitnessError::Hash { number, source })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::EMPTY_ROOT;
    use crate::checkpoint::{Checkpoint, Origin, sign};
    use crate::note::{KeyName, SigningKey};

    fn request(old: u64, hashes: Vec<Hash>) -> AddCheckpoint {
        let name = KeyName::parse("log").unwrap();
        let checkpoint = Checkpoint::new(Origin::from(name.clone()), TreeSize::new(7), EMPTY_ROOT);
        let checkpoint = sign(&SigningKey::new(name, &[1; 32]), &checkpoint);
        AddCheckpoint {
            old: TreeSize::new(old),
            hashes,
            checkpoint: SignedCheckpoint::parse(&checkpoint).unwrap(),
        }
    }

    #[test]
    fn malformed_requests_are_refused() {
        use ParseWitnessError::{NoCheckpoint, OldSize, TooManyHashes};
        let good = request(5, vec![EMPTY_ROOT]).to_string();
        assert!(good.starts_with(&format!("old 5\n{EMPTY_ROOT}\n\nlog\n7\n")));
        for (body, want) in [
            (String::new(), NoCheckpoint),
            (good.replace("old 5", "old 05"), OldSize),
            (good.replace("old 5", "old  5"), OldSize),
            (good.replace("old 5", "new 5"), OldSize),
            (good.replace("old 5\n", ""), OldSize),
        ] {
            assert_eq!(AddCheckpoint::parse(&body), Err(want), "{body}");
        }
        let hash = AddCheckpoint::parse(&good.replace("47DE", "47DE "));
        assert!(matches!(
            hash,
            Err(ParseWitnessError::Hash { number: 1, .. })
        ));
        let checkpoint = AddCheckpoint::parse(&good.replace("\n7\n", "\n07\n"));
        assert!(matches!(checkpoint, Err(ParseWitnessError::Checkpoint(_))));
        let most = request(5, vec![EMPTY_ROOT; MAX_PROOF_HASHES]).to_string();
        assert!(AddCheckpoint::parse(&most).is_ok());
        let count = MAX_PROOF_HASHES + 1;
        let more = request(5, vec![EMPTY_ROOT; count]).to_string();
        assert_eq!(AddCheckpoint::parse(&more), Err(TooManyHashes { count }));
        let bytes = MAX_REQUEST_BYTES + 1;
        let long = AddCheckpoint::parse(&"\n".repeat(bytes));
        assert_eq!(long, Err(ParseWitnessError::TooLong { bytes }));
    }

    #[test]
    fn answers_are_lines_or_a_size() {
        let line = "— w AAAAAAA=\n";
        assert_eq!(parse_cosignatures(&line.repeat(2)).unwrap().len(), 2);
        assert_eq!(parse_cosignatures(""), Err(ParseNoteError::NoSignatures));
        let unfinished = parse_cosignatures(&format!("{line}— w AAAAAAA="));
        assert_eq!(unfinished, Err(ParseNoteError::SignatureLine { line: 2 }));
        let count = MAX_SIGNATURES + 1;
        let many = parse_cosignatures(&line.repeat(count));
        assert_eq!(many, Err(ParseNoteError::TooManySignatures { count }));

        assert_eq!(
            parse_conflict("20852014\n"),
            Some(TreeSize::new(20_852_014))
        );
        for body in ["", "\n", "7", "07\n", "7\n\n", "7 \n"] {
            assert_eq!(parse_conflict(body), None, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn formatting_and_parsing_are_inverse(
            old: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..=MAX_PROOF_HASHES),
        ) {
            let hashes = hashes.into_iter().map(Hash::from_bytes).collect();
            let request = request(old, hashes);
            prop_assert_eq!(AddCheckpoint::parse(&request.to_string()), Ok(request));
        }
    }
}
