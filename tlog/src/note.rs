//! Signed notes, c2sp.org/signed-note: text, and who signed it.
//!
//! ```text
//! text, one or more lines          ┐ signed, with its last line break
//!                                  ┘
//!                                    the last empty line
//! — <key name> <base64 of key id (4 bytes) ‖ signature>     one or more
//! ```
//!
//! A key is known by its name and its id together. Lines of unknown keys are ignored, so that a log may change its
//! key and witnesses may come and go; a line of a known key that does not verify fails the whole note.

mod key;

use std::fmt;

pub(crate) use key::verify_ed25519;
pub use key::{Algorithm, KeyId, KeyName, ParseKeyError, SigningKey, VerifierKey};

use crate::base64;

/// The most signature lines that a note may have. A log and 99 witnesses are more than any policy names.
pub const MAX_SIGNATURES: usize = 100;

/// The most bytes that a note may have: 100 of the longest signatures in use, post-quantum ones of 5 kB, and room
/// for the text.
pub const MAX_NOTE_BYTES: usize = 1_000_000;

/// What a signature line begins with: an em dash and a space.
const SIGNATURE_MARK: &str = "— ";

/// A note that was read or made, and whose signatures were not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// A note of these parts.
    ///
    /// # Errors
    ///
    /// [`ParseNoteError`] if no note can be so: what this makes, [`parse`](Self::parse) reads.
    pub fn new(text: String, signatures: Vec<Signature>) -> Result<Self, ParseNoteError> {
        check_characters(&text)?;
        if !text.ends_with('\n') {
            return Err(ParseNoteError::TextNotEnded);
        }
        check_count(signatures.len())?;
        let empty = signatures.iter().position(|line| line.bytes.is_empty());
        if let Some(position) = empty {
            let line = position + 1;
            return Err(ParseNoteError::SignatureLine { line });
        }
        let note = Self { text, signatures };
        check_length(note.to_string().len())?;
        Ok(note)
    }

    /// Reads a note. Whatever is read is written back the same.
    ///
    /// # Errors
    ///
    /// [`ParseNoteError`] with what is wrong and where.
    pub fn parse(note: &str) -> Result<Self, ParseNoteError> {
        check_length(note.len())?;
        check_characters(note)?;
        // The text may have empty lines itself: the last one divides (signed-note, "Format").
        let divider = note.rfind("\n\n").ok_or(ParseNoteError::NoSignatures)?;
        let (text, rest) = note.split_at(divider + 1);
        let lines = rest
            .strip_prefix('\n')
            .and_then(|rest| rest.strip_suffix('\n'));
        let lines = lines.ok_or(ParseNoteError::NoSignatures)?;
        check_count(lines.split('\n').count())?;
        let signatures = (1..).zip(lines.split('\n')).map(|(line, text)| {
            Signature::parse_line(text).ok_or(ParseNoteError::SignatureLine { line })
        });
        let signatures = signatures.collect::<Result<_, _>>()?;
        let text = text.to_owned();
        Ok(Self { text, signatures })
    }

    /// The signed text, with its last line break. It is not to be trusted before a signature was checked.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in their order.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The same note with one more signature line at its end.
    ///
    /// # Errors
    ///
    /// [`ParseNoteError::TooManySignatures`] or [`ParseNoteError::TooLong`] if it had as much as a note may have.
    pub fn with_signature(mut self, signature: Signature) -> Result<Self, ParseNoteError> {
        self.signatures.push(signature);
        Self::new(self.text, self.signatures)
    }

    /// Checks the lines of these keys, and returns which signed.
    ///
    /// # Errors
    ///
    /// [`VerifyNoteError::BadSignature`] if a line of one of the keys does not verify, whatever the others do, and
    /// [`VerifyNoteError::NoKnownKey`] if none of the keys has a line.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<VerifiedNote, VerifyNoteError> {
        let mut signatures = Vec::new();
        for key in keys {
            signatures.extend(self.verify_lines_of(key)?);
        }
        if signatures.is_empty() {
            return Err(VerifyNoteError::NoKnownKey);
        }
        let text = self.text.clone();
        Ok(VerifiedNote { text, signatures })
    }

    /// Checks all lines of one key. None of them is not an error here.
    pub(crate) fn verify_lines_of(
        &self,
        key: &VerifierKey,
    ) -> Result<Vec<VerifiedSignature>, VerifyNoteError> {
        let lines = self.signatures.iter();
        let checked = lines.filter_map(|line| key.verify(&self.text, line).transpose());
        checked.collect()
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| line.fmt(f))
    }
}

/// A signature line: who signed, and what came out. Formatting writes the line with its line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key.
    pub name: KeyName,
    /// The id of the key.
    pub key_id: KeyId,
    /// The signature, in the form of the key's algorithm.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Reads a line with its line break, as a witness answers it.
    ///
    /// # Errors
    ///
    /// [`ParseNoteError::SignatureLine`] if it is none.
    pub fn parse(line: &str) -> Result<Self, ParseNoteError> {
        let text = line.strip_suffix('\n').and_then(Self::parse_line);
        text.ok_or(ParseNoteError::SignatureLine { line: 1 })
    }

    fn parse_line(line: &str) -> Option<Self> {
        let (name, blob) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        let name = KeyName::parse(name).ok()?;
        let blob = base64::decode(blob).ok()?;
        let (key_id, bytes) = blob.split_first_chunk()?;
        (!bytes.is_empty()).then(|| Self {
            name,
            key_id: KeyId::from_bytes(*key_id),
            bytes: bytes.to_vec(),
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [self.key_id.as_bytes(), &self.bytes[..]].concat();
        let (name, blob) = (&self.name, base64::encode(blob));
        writeln!(f, "{SIGNATURE_MARK}{name} {blob}")
    }
}

/// A note with at least one signature that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedNote {
    text: String,
    signatures: Vec<VerifiedSignature>,
}

impl VerifiedNote {
    /// The signed text, with its last line break.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures that were checked, in the order of the keys.
    #[must_use]
    pub fn signatures(&self) -> &[VerifiedSignature] {
        &self.signatures
    }
}

/// A signature that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// The name of the key that signed.
    pub name: KeyName,
    /// The id of the key that signed.
    pub key_id: KeyId,
    /// When a cosigner says that it signed, in seconds since the epoch; only cosignatures tell.
    pub time_s: Option<u64>,
}

/// Why a text is not a signed note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNoteError {
    /// It is too long.
    #[error("the note has {bytes} bytes, at most {MAX_NOTE_BYTES} are read")]
    TooLong {
        /// The note's length in bytes.
        bytes: usize,
    },
    /// It has a control character.
    #[error("the note has the control character {code:#04x} at byte {at}")]
    ControlCharacter {
        /// The character.
        code: u32,
        /// Its offset in bytes.
        at: usize,
    },
    /// The text does not end with a line break.
    #[error("the note's text does not end with a line break")]
    TextNotEnded,
    /// There is no empty line, or no finished line after the last one.
    #[error("the note has no signature lines after an empty line")]
    NoSignatures,
    /// There are more signature lines than a verifier looks at.
    #[error("the note has {count} signature lines, at most {MAX_SIGNATURES} are read")]
    TooManySignatures {
        /// How many there are.
        count: usize,
    },
    /// A line among the signatures is not a signature line.
    #[error("signature line {line} is not a dash, a key name and base64")]
    SignatureLine {
        /// The line's number among the signature lines, from 1.
        line: usize,
    },
}

/// Why a note is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyNoteError {
    /// A known key's signature does not verify.
    #[error("the signature of {name} with key {key_id} does not verify")]
    BadSignature {
        /// The name of the key.
        name: KeyName,
        /// The id of the key.
        key_id: KeyId,
    },
    /// None of the known keys has a line.
    #[error("none of the known keys has signed the note")]
    NoKnownKey,
}

fn check_length(bytes: usize) -> Result<(), ParseNoteError> {
    match bytes <= MAX_NOTE_BYTES {
        true => Ok(()),
        false => Err(ParseNoteError::TooLong { bytes }),
    }
}

fn check_count(count: usize) -> Result<(), ParseNoteError> {
    match count {
        0 => Err(ParseNoteError::NoSignatures),
        1..=MAX_SIGNATURES => Ok(()),
        _ => Err(ParseNoteError::TooManySignatures { count }),
    }
}

/// No ASCII control characters but the line break (signed-note, "Format").
fn check_characters(text: &str) -> Result<(), ParseNoteError> {
    match text.char_indices().find(|(_, c)| *c < ' ' && *c != '\n') {
        None => Ok(()),
        Some((at, control)) => Err(ParseNoteError::ControlCharacter {
            code: control.into(),
            at,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::new(KeyName::parse(name).unwrap(), &[seed; 32])
    }

    fn note(text: &str, keys: &[&SigningKey]) -> Note {
        let signatures = keys.iter().map(|key| key.sign(text)).collect();
        Note::new(text.to_owned(), signatures).unwrap()
    }

    #[test]
    fn unknown_keys_are_ignored_and_known_ones_must_verify() {
        let (alice, bob) = (key("alice", 1), key("bob", 2));
        let (known, text) = ([alice.verifier_key()], "text\n");
        let both = note(text, &[&bob, &alice]);
        let verified = both.verify(&known).unwrap();
        assert_eq!((verified.text(), verified.signatures().len()), (text, 1));

        let only_bob = note(text, &[&bob]);
        assert_eq!(only_bob.verify(&known), Err(VerifyNoteError::NoKnownKey));
        assert_eq!(only_bob.verify(&[]), Err(VerifyNoteError::NoKnownKey));

        // A good signature does not make up for a bad one of the same key, in whichever order.
        let bad = alice.sign("other\n");
        let name = bad.name.clone();
        let error = Err(VerifyNoteError::BadSignature {
            name,
            key_id: bad.key_id,
        });
        assert_eq!(
            both.clone()
                .with_signature(bad.clone())
                .unwrap()
                .verify(&known),
            error
        );
        let first = Note::new(text.to_owned(), vec![bad, alice.sign(text)]).unwrap();
        assert_eq!(first.verify(&known), error);
    }

    #[test]
    fn a_key_is_known_by_name_and_id_together() {
        let alice = key("alice", 1);
        let impostor = key("alice", 2);
        let forged = note("text\n", &[&impostor]);
        assert_eq!(
            forged.verify(&[alice.verifier_key()]),
            Err(VerifyNoteError::NoKnownKey)
        );
        let mut line = impostor.sign("text\n");
        line.key_id = alice.verifier_key().id();
        let forged = Note::new("text\n".to_owned(), vec![line]).unwrap();
        let bad = forged.verify(&[alice.verifier_key()]);
        assert!(matches!(bad, Err(VerifyNoteError::BadSignature { .. })));
    }

    #[test]
    fn every_flipped_bit_of_a_note_is_noticed() {
        let alice = key("alice", 1);
        let signed = note("some\n\ntext\n", &[&alice]).to_string();
        for at in 0..signed.len() * 8 {
            let mut bytes = signed.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            let parsed = String::from_utf8(bytes)
                .ok()
                .and_then(|text| Note::parse(&text).ok());
            let verified = parsed.map(|note| note.verify(&[alice.verifier_key()]));
            assert!(!matches!(verified, Some(Ok(_))), "bit {at}");
        }
    }

    #[test]
    fn malformed_notes_are_refused() {
        use ParseNoteError::{ControlCharacter, NoSignatures, SignatureLine};
        let line = "— a AAAAAAA=\n";
        assert!(Note::parse(&format!("text\n\n{line}")).is_ok());
        assert_eq!(
            Note::parse(&format!("t\n\n\n{line}")).unwrap().text(),
            "t\n\n"
        );
        for (note, want) in [
            (String::new(), NoSignatures),
            ("text\n".into(), NoSignatures),
            ("text\n\n".into(), NoSignatures),
            (format!("\n{line}"), NoSignatures),
            (format!("text\n{line}"), NoSignatures),
            ("text\n\n— a AAAAAAA=".into(), NoSignatures),
            (format!("text\n\n{line}\n"), NoSignatures),
            (format!("text\n\n{line}x\n"), SignatureLine { line: 2 }),
            ("text\n\n- a AAAAAAA=\n".into(), SignatureLine { line: 1 }),
            ("text\n\n—  a AAAAAAA=\n".into(), SignatureLine { line: 1 }),
            ("text\n\n— a  AAAAAAA=\n".into(), SignatureLine { line: 1 }),
            ("text\n\n— a AAAAAAA= \n".into(), SignatureLine { line: 1 }),
            ("text\n\n— a AAAAAAA\n".into(), SignatureLine { line: 1 }),
            ("text\n\n— a AAAAAAB=\n".into(), SignatureLine { line: 1 }),
            ("text\n\n— a AAAAAA==\n".into(), SignatureLine { line: 1 }),
            ("text\n\n— a+b AAAAAAA=\n".into(), SignatureLine { line: 1 }),
            (
                "text\r\n\n— a AAAAAAA=\n".into(),
                ControlCharacter { code: 13, at: 4 },
            ),
            (
                "te\txt\n\n— a AAAAAAA=\n".into(),
                ControlCharacter { code: 9, at: 2 },
            ),
        ] {
            assert_eq!(Note::parse(&note), Err(want), "{note:?}");
        }
    }

    #[test]
    fn what_could_not_be_read_is_not_made() {
        let line = key("alice", 1).sign("text\n");
        let new = |text: &str, lines: &[&Signature]| {
            Note::new(text.to_owned(), lines.iter().copied().cloned().collect())
        };
        let empty = Signature {
            bytes: vec![],
            ..line.clone()
        };
        assert_eq!(new("text", &[&line]), Err(ParseNoteError::TextNotEnded));
        assert_eq!(new("text\n", &[]), Err(ParseNoteError::NoSignatures));
        assert_eq!(
            new("text\n", &[&line, &empty]),
            Err(ParseNoteError::SignatureLine { line: 2 })
        );
        assert!(matches!(
            new("te\rxt\n", &[&line]),
            Err(ParseNoteError::ControlCharacter { .. })
        ));
    }

    #[test]
    fn the_limits_hold_at_their_edge() {
        let line = "— a AAAAAAA=\n";
        let full = format!("text\n\n{}", line.repeat(MAX_SIGNATURES));
        let note = Note::parse(&full).unwrap();
        let many = ParseNoteError::TooManySignatures {
            count: MAX_SIGNATURES + 1,
        };
        assert_eq!(Note::parse(&format!("{full}{line}")), Err(many.clone()));
        let signature = note.signatures()[0].clone();
        assert_eq!(note.with_signature(signature), Err(many));

        let text = "t".repeat(MAX_NOTE_BYTES - line.len() - 2);
        assert!(Note::parse(&format!("{text}\n\n{line}")).is_ok());
        let long = ParseNoteError::TooLong {
            bytes: MAX_NOTE_BYTES + 1,
        };
        assert_eq!(Note::parse(&format!("{text}t\n\n{line}")), Err(long));
    }

    proptest! {
        #[test]
        fn formatting_and_parsing_are_inverse(
            text in "([ -~é€]{0,9}\n){1,5}", names in prop::collection::vec("[^\\s+\\x00-\\x1f]{1,8}", 1..5), seed: u8,
        ) {
            let signatures = names.iter().map(|name| key(name, seed).sign(&text)).collect();
            let note = Note::new(text, signatures).unwrap();
            let parsed = Note::parse(&note.to_string());
            prop_assert_eq!(parsed, Ok(note));
        }

        #[test]
        fn what_is_read_is_written_back(note in "([ab ]{0,2}\n){0,4}(— [a+ ]{0,2} [A-D]{7}=\n){0,3}") {
            if let Ok(parsed) = Note::parse(&note) {
                prop_assert_eq!(parsed.to_string(), note);
            }
        }
    }
}
