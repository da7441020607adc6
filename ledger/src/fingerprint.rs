//! Fingerprints: short forms of keys and charters that two people read to each other.
//!
//! Eight groups of four decimal digits, such as `9190 9370 2636 5651 7439 4468 4330 6382`: digits have a word in every
//! language and none of them looks like another, which letters and lists of words do not give.
//!
//! ```text
//! SHA-256("dragons/fingerprint/v1" ‖ 0x00 ‖ what ‖ 0x00 ‖ content)
//! ```
//!
//! Its 32 bytes are eight big-endian numbers, and each group is one of them modulo 10,000: 106 bits together, so
//! that nobody finds a second key or charter with the fingerprint of a given one. `what` is one of
//!
//! | `what` | `content` |
//! | --- | --- |
//! | `key` | the 32 bytes of the Ed25519 public key |
//! | `charter` | the 32 bytes of the charter's record hash |
//! | `note-key` | the verifier key of a log or a witness, as text (c2sp.org/signed-note) |

use std::fmt;

use tlog::note::VerifierKey;

use crate::digest::{Digest, RecordHash};
use crate::key::PublicKey;

/// How many groups of digits there are.
const GROUPS: usize = 8;

/// How many groups there can be of four digits.
const GROUP_RANGE: u32 = 10_000;

/// A short form that people compare aloud. It prints as its groups with a space between them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u32; GROUPS]);

impl Fingerprint {
    /// That of a key which signs records.
    ///
    /// ```
    /// use ledger::{fingerprint::Fingerprint, key::PrivateKey};
    /// let key = PrivateKey::from_seed(&[0x42; 32]).public();
    /// assert_eq!(Fingerprint::of_key(&key).to_string(), "9190 9370 2636 5651 7439 4468 4330 6382");
    /// ```
    pub fn of_key(key: &PublicKey) -> Self {
        Self::of("key", key.as_bytes())
    }

    /// That of a charter: of the first one, it is that of the log.
    pub fn of_charter(charter: &RecordHash) -> Self {
        Self::of("charter", charter.digest().as_bytes())
    }

    /// That of a key which signs checkpoints, a log's or a witness's; its name is part of it.
    pub fn of_note_key(key: &VerifierKey) -> Self {
        Self::of("note-key", key.to_string().as_bytes())
    }

    fn of(what: &str, content: &[u8]) -> Self {
        let parts = [
            b"dragons/fingerprint/v1\0".as_slice(),
            what.as_bytes(),
            b"\0",
            content,
        ];
        let digest = Digest::of(&parts);
        let (numbers, _) = digest.as_bytes().as_chunks::<4>();
        let mut groups = [0; GROUPS];
        for (group, number) in groups.iter_mut().zip(numbers) {
            *group = u32::from_be_bytes(*number) % GROUP_RANGE;
        }
        Self(groups)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = &self.0;
        write!(f, "{first:04}")?;
        rest.iter().try_for_each(|group| write!(f, " {group:04}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PrivateKey;

    /// Worked out from the text above by another program.
    #[test]
    fn fingerprints_are_those_of_the_text() {
        let key = PrivateKey::from_seed(&[0x42; 32]).public();
        let charter = RecordHash::new(Digest::from_bytes([7; 32]));
        let log: VerifierKey =
            "example.com/workledger+010682ba+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
                .parse()
                .unwrap();
        let cases = [
            (
                Fingerprint::of_key(&key),
                "9190 9370 2636 5651 7439 4468 4330 6382",
            ),
            (
                Fingerprint::of_charter(&charter),
                "5066 2119 6755 6483 7939 0850 3791 2692",
            ),
            (
                Fingerprint::of_note_key(&log),
                "7363 5963 8092 2290 0900 6418 1256 4263",
            ),
        ];
        for (fingerprint, text) in cases {
            assert_eq!(fingerprint.to_string(), text);
        }
    }

    #[test]
    fn what_is_named_is_part_of_it() {
        let bytes = *PrivateKey::from_seed(&[1; 32]).public().as_bytes();
        let key = Fingerprint::of_key(&PublicKey::from_bytes(&bytes).unwrap());
        let charter = Fingerprint::of_charter(&RecordHash::new(Digest::from_bytes(bytes)));
        assert_ne!(key, charter);
    }

    #[test]
    fn a_group_keeps_its_zeros() {
        let fingerprint = Fingerprint([0, 7, 42, 123, 9999, 1, 0, 10]);
        assert_eq!(
            fingerprint.to_string(),
            "0000 0007 0042 0123 9999 0001 0000 0010"
        );
    }
}
