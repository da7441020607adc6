//! Cosignatures, c2sp.org/tlog-cosignature: a witness says that a checkpoint was the newest it knew at some time.
//!
//! The signed message is `cosignature/v1`, a line with the time, and the checkpoint's text; the signature line holds
//! the time in eight bytes before the Ed25519 signature. Only version 1 is made and checked.

use std::fmt;

use ed25519_dalek::{Signer as _, VerifyingKey};

use crate::checkpoint::Checkpoint;
use crate::note::{KeyName, Signature, VerifierKey, verify_ed25519};

/// The latest time that a cosignature may have, in seconds since the epoch (tlog-cosignature, "Format").
pub const MAX_TIME_S: u64 = (1 << 63) - 1;

const HEADER: &str = "cosignature/v1";

/// A key that signs as a witness does. It is not a log's key: one seed must not be both, and the types keep them apart.
#[derive(Clone)]
pub struct Cosigner {
    name: KeyName,
    key: ed25519_dalek::SigningKey,
}

impl Cosigner {
    /// The cosigner of this name with this seed, the private key of RFC 8032 §5.1.5.
    #[must_use]
    pub fn new(name: KeyName, seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        Self { name, key }
    }

    /// The public key that checks what this one signs.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        VerifierKey::cosignature_v1(self.name.clone(), self.key.verifying_key())
    }

    /// The signature line that says: at `time_s`, this was the newest checkpoint of its log, and it extends all that
    /// were cosigned before. Whether that is true is for the caller to know.
    ///
    /// # Errors
    ///
    /// [`TimeTooLate`] if `time_s` is above [`MAX_TIME_S`].
    pub fn cosign(&self, checkpoint: &Checkpoint, time_s: u64) -> Result<Signature, TimeTooLate> {
        if time_s > MAX_TIME_S {
            return Err(TimeTooLate { time_s });
        }
        let signature = self
            .key
            .sign(message(&checkpoint.to_string(), time_s).as_bytes());
        Ok(Signature {
            name: self.name.clone(),
            key_id: self.verifier_key().id(),
            bytes: [&time_s.to_be_bytes()[..], &signature.to_bytes()].concat(),
        })
    }
}

/// Says whose key it is, never the key.
impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({})", self.name)
    }
}

/// A time that is too late for a cosignature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time {time_s} s is after {MAX_TIME_S} s, the latest that a cosignature may bear")]
pub struct TimeTooLate {
    /// The time that was given, in seconds since the epoch.
    pub time_s: u64,
}

/// The time in seconds that a cosignature over a text bears; `None` if it does not verify.
pub(crate) fn verify(key: &VerifyingKey, text: &str, signature: &[u8]) -> Option<u64> {
    let (time, signature) = signature.split_first_chunk()?;
    let time_s = u64::from_be_bytes(*time);
    if time_s > MAX_TIME_S {
        return None;
    }
    verify_ed25519(key, message(text, time_s).as_bytes(), signature)?;
    Some(time_s)
}

/// tlog-cosignature, "Ed25519 signed message".
fn message(text: &str, time_s: u64) -> String {
    format!("{HEADER}\ntime {time_s}\n{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Origin;
    use crate::note::VerifyNoteError;
    use crate::{EMPTY_ROOT, TreeSize};

    fn cosigner() -> Cosigner {
        Cosigner::new(KeyName::parse("witness").unwrap(), &[42; 32])
    }

    fn checkpoint(size: u64) -> Checkpoint {
        let origin = Origin::parse("example.com/log").unwrap();
        Checkpoint::new(origin, TreeSize::new(size), EMPTY_ROOT)
    }

    #[test]
    fn the_time_that_was_signed_comes_out() {
        for time_s in [0, 1_700_000_000, MAX_TIME_S] {
            let line = cosigner().cosign(&checkpoint(1), time_s).unwrap();
            let verified = cosigner()
                .verifier_key()
                .verify(&checkpoint(1).to_string(), &line);
            assert_eq!(verified.unwrap().unwrap().time_s, Some(time_s));
        }
        let time_s = MAX_TIME_S + 1;
        assert_eq!(
            cosigner().cosign(&checkpoint(1), time_s),
            Err(TimeTooLate { time_s })
        );
    }

    #[test]
    fn another_checkpoint_time_or_length_does_not_verify() {
        let key = cosigner().verifier_key();
        let good = cosigner().cosign(&checkpoint(1), 1_700_000_000).unwrap();
        let bad = |text: &str, line: &Signature| {
            matches!(
                key.verify(text, line),
                Err(VerifyNoteError::BadSignature { .. })
            )
        };
        assert!(bad(&checkpoint(2).to_string(), &good));
        for at in 0..good.bytes.len() * 8 {
            let mut line = good.clone();
            line.bytes[at / 8] ^= 1 << (at % 8);
            assert!(bad(&checkpoint(1).to_string(), &line), "bit {at}");
        }
        for length in 0..good.bytes.len() {
            let mut line = good.clone();
            line.bytes.truncate(length);
            assert!(bad(&checkpoint(1).to_string(), &line), "{length} bytes");
        }
        let mut line = good;
        line.bytes.push(0);
        assert!(bad(&checkpoint(1).to_string(), &line));
    }

    #[test]
    fn a_time_beyond_the_limit_is_refused_even_if_signed() {
        let (time_s, text) = (MAX_TIME_S + 1, checkpoint(1).to_string());
        let signature = cosigner().key.sign(message(&text, time_s).as_bytes());
        let bytes = [&time_s.to_be_bytes()[..], &signature.to_bytes()].concat();
        assert_eq!(verify(&cosigner().key.verifying_key(), &text, &bytes), None);
    }
}
