//! Disclosures: the values behind the commitments of intents and results.
//!
//! The log holds digests; the values stay with their owner, who may show one to whom they like:
//!
//! ```text
//! {"record":"sha256:…","side":"inputs","name":"argv","salt":"<base64>","value":"<base64>"}
//! ```

use std::fmt;

use ledger::codes::{Code, Refusal};
use ledger::commitment::{SALT_BYTES, commit};
use ledger::digest::{Digest, RecordHash};
use ledger::json::{Members, Value, parsed};
pub use ledger::pack::{Disclosure, Side};
use ledger::text::Name;

/// The longest value that is kept: of anything longer its digest is the value to commit to.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// A commitment's place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The intent or the result.
    pub record: RecordHash,
    /// Which of its commitments.
    pub side: Side,
    /// What it is called.
    pub name: Name,
}

/// A value that is to be committed to.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    name: Name,
    salt: [u8; SALT_BYTES],
    value: Vec<u8>,
}

impl Secret {
    /// Takes a value and draws a salt for it.
    ///
    /// # Errors
    ///
    /// `too-large` above [`MAX_VALUE_BYTES`], `internal` if the system gives no random bytes.
    pub fn new(name: Name, value: Vec<u8>) -> Result<Self, Refusal> {
        if value.len() > MAX_VALUE_BYTES {
            let got = value.len();
            let why = format!("the value of {name} has {got} bytes, at most {MAX_VALUE_BYTES}");
            return Err(Code::TooLarge.because(why));
        }
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| Code::Internal.because(error))?;
        Ok(Self { name, salt, value })
    }

    /// A value under its name; one that is too long to be kept is replaced by its digest, and the name says so.
    ///
    /// # Errors
    ///
    /// As [`Secret::new`], and `malformed` if the name is not one.
    pub fn kept(name: &str, value: Vec<u8>) -> Result<Self, Refusal> {
        if value.len() <= MAX_VALUE_BYTES {
            return Self::new(name.parse()?, value);
        }
        Self::digested(name, Digest::of(&[&value]))
    }

    /// The digest of a value that is too long to be kept.
    ///
    /// # Errors
    ///
    /// As [`Secret::kept`].
    pub fn digested(name: &str, digest: Digest) -> Result<Self, Refusal> {
        let name: Name = format!("{name}.digest").parse()?;
        Self::new(name, digest.to_string().into_bytes())
    }

    /// What the log is told.
    pub fn commitment(&self, agent: &Name) -> (Name, Digest) {
        let digest = commit(&self.salt, agent, &self.name, &self.value);
        (self.name.clone(), digest)
    }

    /// What opens the commitment, once its record has a name.
    pub fn disclosure(&self, record: RecordHash, side: Side) -> Disclosure {
        Disclosure {
            record,
            side,
            name: self.name.clone(),
            salt: self.salt,
            value: self.value.clone(),
        }
    }
}

/// Reads a disclosure from a line.
///
/// # Errors
///
/// The codes of form.
pub fn parse(json: &[u8]) -> Result<Disclosure, Refusal> {
    Disclosure::read("", Value::parse(json)?)
}

impl Place {
    /// Whether the disclosure opens the commitment there.
    pub fn is_of(&self, disclosure: &Disclosure) -> bool {
        let Disclosure {
            record, side, name, ..
        } = disclosure;
        (*record, *side, name) == (self.record, self.side, &self.name)
    }

    /// Takes `record`, `side` and `name` out of an object.
    ///
    /// # Errors
    ///
    /// `malformed`.
    pub fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            record: members.required("record", parsed)?,
            side: members.required("side", parsed)?,
            name: members.required("name", parsed)?,
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, {} bytes)", self.name, self.value.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_with_a_fresh_salt() {
        let (agent, name): (Name, Name) = ("a".parse().unwrap(), "argv".parse().unwrap());
        let secret = Secret::new(name.clone(), b"\xff\x00".to_vec()).unwrap();
        let disclosure = secret.disclosure(RecordHash::new(Digest::of(&[])), Side::Inputs);
        let again = parse(disclosure.to_value().to_json().as_bytes()).unwrap();
        assert_eq!(again, disclosure);
        let digest = commit(&again.salt, &agent, &name, &again.value);
        assert_eq!(secret.commitment(&agent), (name.clone(), digest));
        let other = Secret::new(name, b"\xff\x00".to_vec()).unwrap();
        assert_ne!(other.commitment(&agent), secret.commitment(&agent));
        assert!(!format!("{secret:?}").contains("255"));
    }

    #[test]
    fn a_value_that_is_too_long_is_refused() {
        let long = Secret::new("a".parse().unwrap(), vec![0; MAX_VALUE_BYTES + 1]);
        assert_eq!(long.unwrap_err().code, Code::TooLarge);
    }
}
