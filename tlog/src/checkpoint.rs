//! Checkpoints, c2sp.org/tlog-checkpoint: what a log says its tree is.
//!
//! ```text
//! example.com/workledger                          the origin: which log, and the name of its key
//! 1                                               the size of the tree
//! iipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc=    its root
//!
//! — example.com/workledger AQaCugK2AY0j…          the log's signature, then those of witnesses
//! ```
//!
//! A [`Checkpoint`] is what is said; a [`SignedCheckpoint`] is that with signature lines nobody has checked; a
//! [`VerifiedCheckpoint`] can only be had by checking them.

use std::fmt;

use crate::note::{KeyId, KeyName, Note, ParseNoteError, Signature, SigningKey};
use crate::note::{VerifiedSignature, VerifierKey, VerifyNoteError};
use crate::{Hash, TreeSize, decimal};

/// Which log a checkpoint is of: a text that is not empty, of one line without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

impl Origin {
    /// Reads an origin.
    ///
    /// # Errors
    ///
    /// [`ParseCheckpointError::Origin`] if it is empty or has control characters.
    pub fn parse(origin: &str) -> Result<Self, ParseCheckpointError> {
        match is_line(origin) {
            true => Ok(Self(origin.to_owned())),
            false => Err(ParseCheckpointError::Origin),
        }
    }

    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a log's key is its origin.
impl From<KeyName> for Origin {
    fn from(name: KeyName) -> Self {
        Self(name.as_str().to_owned())
    }
}

/// What a log says: its tree of this size has this root. Formatting writes the text that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// The size of its tree.
    pub size: TreeSize,
    /// The root of that tree.
    pub root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extension lines. There is no way to make one with them, only to read it.
    #[must_use]
    pub const fn new(origin: Origin, size: TreeSize, root: Hash) -> Self {
        let extensions = Vec::new();
        Self {
            origin,
            size,
            root,
            extensions,
        }
    }

    /// Reads the text of a checkpoint, with its last line break. Whatever is read is written back the same.
    ///
    /// # Errors
    ///
    /// [`ParseCheckpointError`] with the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ParseCheckpointError> {
        let text = text.strip_suffix('\n').ok_or(ParseCheckpointError::Lines)?;
        let mut lines = text.split('\n');
        let mut next = || lines.next().ok_or(ParseCheckpointError::Lines);
        let (origin, size, root) = (Origin::parse(next()?)?, next()?, next()?);
        let size = decimal::parse(size).ok_or(ParseCheckpointError::Size)?;
        let root = root.parse().map_err(|_| ParseCheckpointError::Root)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if !extensions.iter().all(|line| is_line(line)) {
            return Err(ParseCheckpointError::Extension);
        }
        let size = TreeSize::new(size);
        Ok(Self {
            origin,
            size,
            root,
            extensions,
        })
    }

    /// The lines after the root that the log added; only the log defines their meaning.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        let mut extensions = self.extensions.iter();
        extensions.try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// The text of a checkpoint with the log's signature, as it is served.
///
/// The key's name should be the checkpoint's origin, or no verifier will take it.
#[must_use]
pub fn sign(key: &SigningKey, checkpoint: &Checkpoint) -> String {
    let text = checkpoint.to_string();
    let signature = key.sign(&text);
    format!("{text}\n{signature}")
}

/// A checkpoint with signature lines that nobody has checked. Formatting writes the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a signed checkpoint. Whatever is read is written back the same.
    ///
    /// # Errors
    ///
    /// [`ParseCheckpointError`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, ParseCheckpointError> {
        let note = Note::parse(text)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { checkpoint, note })
    }

    /// What the note claims, unchecked.
    #[must_use]
    pub const fn unverified(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note that the checkpoint came in.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// The same checkpoint with one more signature line at its end, such as a witness's.
    ///
    /// # Errors
    ///
    /// [`ParseNoteError`] if it had as many lines or bytes as a note may have.
    pub fn with_signature(self, signature: Signature) -> Result<Self, ParseNoteError> {
        let note = self.note.with_signature(signature)?;
        Ok(Self { note, ..self })
    }

    /// Checks that the log with this key signed the checkpoint. Other lines are not looked at.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::UnknownOrigin`] if it is of another log, [`CheckpointError::BadLogSignature`] or
    /// [`CheckpointError::NotSignedByLog`] if the signature is wrong or missing.
    pub fn verify(&self, log: &VerifierKey) -> Result<VerifiedCheckpoint, CheckpointError> {
        self.verify_any(&[log])
    }

    /// Checks that a log with any of these keys signed the checkpoint, and that none of their lines is wrong
    /// (signed-note, "Verifying"): one good line does not make up for a forged one.
    ///
    /// # Errors
    ///
    /// As [`SignedCheckpoint::verify`].
    pub fn verify_any(&self, logs: &[&VerifierKey]) -> Result<VerifiedCheckpoint, CheckpointError> {
        self.verify_log(logs)?;
        Ok(self.verified(Vec::new()))
    }

    /// Checks the signature of any of the keys that are named like the origin; none of theirs may be wrong.
    pub(crate) fn verify_log(&self, logs: &[&VerifierKey]) -> Result<(), CheckpointError> {
        let origin = &self.checkpoint.origin;
        let mut own = logs
            .iter()
            .filter(|log| log.name().as_str() == origin.as_str())
            .peekable();
        if own.peek().is_none() {
            let origin = origin.clone();
            return Err(CheckpointError::UnknownOrigin { origin });
        }
        let mut signed = false;
        for log in own {
            let lines = self.note.verify_lines_of(log);
            signed |= !lines.map_err(CheckpointError::BadLogSignature)?.is_empty();
        }
        match signed {
            true => Ok(()),
            false => Err(CheckpointError::NotSignedByLog {
                origin: origin.clone(),
            }),
        }
    }

    /// For those who have checked it: this module and the policy.
    pub(crate) fn verified(&self, cosignatures: Vec<Cosignature>) -> VerifiedCheckpoint {
        let signed = self.clone();
        VerifiedCheckpoint {
            signed,
            cosignatures,
        }
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

/// A checkpoint that its log has signed, which was checked. Formatting writes the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    signed: SignedCheckpoint,
    cosignatures: Vec<Cosignature>,
}

impl VerifiedCheckpoint {
    /// What the log says.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.signed.checkpoint
    }

    /// Which log.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.signed.checkpoint.origin
    }

    /// The size of its tree.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.signed.checkpoint.size
    }

    /// The root of that tree.
    #[must_use]
    pub const fn root(&self) -> &Hash {
        &self.signed.checkpoint.root
    }

    /// The cosignatures that were checked, in the order of the policy's witnesses. A witness that cosigned twice is
    /// here twice.
    #[must_use]
    pub fn cosignatures(&self) -> &[Cosignature] {
        &self.cosignatures
    }

    /// The checkpoint as it was signed, with all of its lines.
    #[must_use]
    pub const fn signed(&self) -> &SignedCheckpoint {
        &self.signed
    }
}

impl fmt::Display for VerifiedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.signed.fmt(f)
    }
}

/// A witness's cosignature that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The name of the witness's key.
    pub witness: KeyName,
    /// The id of the witness's key.
    pub key_id: KeyId,
    /// When the witness says that it signed, in seconds since the epoch.
    pub time_s: u64,
}

impl Cosignature {
    /// `None` for a signature without a time.
    pub(crate) fn from_verified(signature: VerifiedSignature) -> Option<Self> {
        Some(Self {
            witness: signature.name,
            key_id: signature.key_id,
            time_s: signature.time_s?,
        })
    }
}

/// Why a text is not a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseCheckpointError {
    /// It is not a signed note.
    #[error("a checkpoint is a signed note")]
    Note(#[from] ParseNoteError),
    /// It has fewer than three lines, or does not end with a line break.
    #[error("a checkpoint has at least three finished lines")]
    Lines,
    /// The first line is empty or has control characters.
    #[error("a checkpoint's first line is its origin: not empty, without control characters")]
    Origin,
    /// The second line is not a number.
    #[error("a checkpoint's second line is its size, a number without leading zeros")]
    Size,
    /// The third line is not a hash.
    #[error("a checkpoint's third line is its root, a hash in base64")]
    Root,
    /// A line after the third is empty or has control characters.
    #[error("a checkpoint's extension lines are not empty and have no control characters")]
    Extension,
}

/// Why a checkpoint is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is of a log that is not known.
    #[error("the checkpoint is of {origin}, which is not a known log")]
    UnknownOrigin {
        /// The log that it is of.
        origin: Origin,
    },
    /// A signature by a key of the log does not verify.
    #[error("the log's signature is wrong")]
    BadLogSignature(#[source] VerifyNoteError),
    /// There is no signature by a known key of the log.
    #[error("no known key of {origin} has signed the checkpoint")]
    NotSignedByLog {
        /// The log that it is of.
        origin: Origin,
    },
    /// A signature by a known witness does not verify.
    #[error("a witness's cosignature is wrong")]
    BadCosignature(#[source] VerifyNoteError),
    /// Too few witnesses have cosigned.
    #[error(
        "{cosigned} of the policy's {witnesses} witnesses have cosigned, which is not a quorum"
    )]
    QuorumNotMet {
        /// Witnesses with a valid cosignature.
        cosigned: usize,
        /// Witnesses that the policy names.
        witnesses: usize,
    },
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c >= ' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::EMPTY_ROOT;

    const BODY: &str = "example.com/log\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::new(KeyName::parse(name).unwrap(), &[seed; 32])
    }

    #[test]
    fn the_text_is_that_of_the_specification() {
        let origin = Origin::parse("example.com/log").unwrap();
        let checkpoint = Checkpoint::new(origin, TreeSize::new(7), EMPTY_ROOT);
        assert_eq!(checkpoint.to_string(), BODY);
        assert_eq!(Checkpoint::parse(BODY), Ok(checkpoint));
        let extended = format!("{BODY}more\nand more\n");
        let checkpoint = Checkpoint::parse(&extended).unwrap();
        assert_eq!(
            (checkpoint.extensions().len(), checkpoint.to_string()),
            (2, extended)
        );
    }

    #[test]
    fn malformed_texts_are_refused() {
        use ParseCheckpointError::{Extension, Lines, Origin, Root, Size};
        for (text, want) in [
            (String::new(), Lines),
            ("a\n7\n".into(), Lines),
            (BODY.trim_end().into(), Lines),
            (format!("\n{BODY}"), Origin),
            (BODY.replace('7', "07"), Size),
            (BODY.replace('7', "+7"), Size),
            (BODY.replace('7', "-7"), Size),
            (BODY.replace('7', "7 "), Size),
            (BODY.replace("\n7\n", "\n\n"), Size),
            (BODY.replace('7', "18446744073709551616"), Size),
            (BODY.replace("FU=", "FV="), Root),
            (BODY.replace("FU=", "FU"), Root),
            (BODY.replace("47DE", ""), Root),
            (format!("{BODY}\n"), Extension),
            (format!("{BODY}a\n\nb\n"), Extension),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(want), "{text:?}");
        }
    }

    #[test]
    fn only_the_key_of_the_log_verifies() {
        let log = key("example.com/log", 1);
        let text = sign(&log, &Checkpoint::parse(BODY).unwrap());
        let signed = SignedCheckpoint::parse(&text).unwrap();
        let verified = signed.verify(&log.verifier_key()).unwrap();
        assert_eq!(
            (verified.size(), verified.to_string()),
            (TreeSize::new(7), text)
        );

        let origin = signed.unverified().origin.clone();
        let other = key("example.com/other", 1).verifier_key();
        let unknown = CheckpointError::UnknownOrigin {
            origin: origin.clone(),
        };
        assert_eq!(signed.verify(&other), Err(unknown));
        let other = key("example.com/log", 2).verifier_key();
        assert_eq!(
            signed.verify(&other),
            Err(CheckpointError::NotSignedByLog { origin })
        );
        let forged =
            SignedCheckpoint::parse(&signed.to_string().replace("\n7\n", "\n8\n")).unwrap();
        let verified = forged.verify(&log.verifier_key());
        assert!(matches!(verified, Err(CheckpointError::BadLogSignature(_))));
    }

    #[test]
    fn a_key_of_another_name_cannot_sign_for_a_log() {
        let other = key("example.com/other", 1);
        let text = sign(&other, &Checkpoint::parse(BODY).unwrap());
        let signed = SignedCheckpoint::parse(&text).unwrap();
        let verified = signed.verify(&other.verifier_key());
        assert!(matches!(
            verified,
            Err(CheckpointError::UnknownOrigin { .. })
        ));
    }

    proptest! {
        #[test]
        fn formatting_and_parsing_are_inverse(
            origin in "[ -~é]{1,20}", size: u64, root: [u8; 32], extensions in prop::collection::vec("[ -~]{1,9}", 0..3), seed: u8,
        ) {
            let origin = Origin::parse(&origin).unwrap();
            let mut checkpoint = Checkpoint::new(origin, TreeSize::new(size), Hash::from_bytes(root));
            checkpoint.extensions = extensions;
            let parsed = Checkpoint::parse(&checkpoint.to_string());
            prop_assert_eq!(parsed.as_ref(), Ok(&checkpoint));
            let text = sign(&key("log", seed), &checkpoint);
            prop_assert_eq!(SignedCheckpoint::parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn what_is_read_is_written_back(
            text in "[a ]{0,2}\n[0-9+]{1,3}\n[A-D]{42}[A-Z]=\n([a ]{0,2}\n){0,2}",
        ) {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert_eq!(checkpoint.to_string(), text);
            }
        }
    }
}
