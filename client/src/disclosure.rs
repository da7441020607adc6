//! Disclosures: the values behind the commitments of intents and results.
//!
//! The log holds digests; the values stay with their owner, who may show one to whom they like:
//!
//! ```text
//! {"record":"sha256:…","side":"inputs","name":"argv","salt":"<base64>","value":"<base64>"}
//! ```

use std::fmt;
use std::str::FromStr;

use ledger::codes::{Code, Refusal};
use ledger::commitment::{SALT_BYTES, commit};
use ledger::digest::{Digest, RecordHash};
use ledger::json::{Members, Value, object, parsed, string};
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

/// Whether a value went in or came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Of an intent.
    Inputs,
    /// Of a result.
    Outputs,
}

/// A value, and where its commitment is.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// Where the commitment is.
    pub place: Place,
    salt: [u8; SALT_BYTES],
    value: Vec<u8>,
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

    /// What the log is told.
    pub fn commitment(&self, agent: &Name) -> (Name, Digest) {
        let digest = commit(&self.salt, agent, &self.name, &self.value);
        (self.name.clone(), digest)
    }

    /// What opens the commitment, once its record has a name.
    pub fn disclosure(&self, record: RecordHash, side: Side) -> Disclosure {
        let name = self.name.clone();
        Disclosure {
            place: Place { record, side, name },
            salt: self.salt,
            value: self.value.clone(),
        }
    }
}

impl Disclosure {
    /// Reads a disclosure.
    ///
    /// # Errors
    ///
    /// The codes of form.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::open("", Value::parse(json)?)?;
        let disclosure = Self {
            place: Place::read(&mut members)?,
            salt: members.required("salt", |path, value| {
                let wrong = |_| Code::Malformed.because(format!("{path} is not 32 bytes"));
                bytes(path, value)?.try_into().map_err(wrong)
            })?,
            value: members.required("value", bytes)?,
        };
        members.finish().map(|()| disclosure)
    }

    /// The same value, whose commitment another record holds too.
    #[must_use]
    pub fn moved_to(&self, record: RecordHash) -> Self {
        let mut moved = self.clone();
        moved.place.record = record;
        moved
    }

    /// The value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The digest that the record holds, if this opens it.
    pub fn commitment(&self, agent: &Name) -> Digest {
        commit(&self.salt, agent, &self.place.name, &self.value)
    }

    /// The disclosure as an object.
    pub fn to_value(&self) -> Value {
        object([
            ("record", self.place.record.into()),
            ("side", self.place.side.to_string().into()),
            ("name", (&self.place.name).into()),
            ("salt", tlog::base64::encode(self.salt).into()),
            ("value", tlog::base64::encode(&self.value).into()),
        ])
    }

    /// The disclosure as one line.
    pub fn to_json(&self) -> String {
        self.to_value().to_json()
    }
}

impl Place {
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

impl FromStr for Side {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text {
            "inputs" => Ok(Self::Inputs),
            "outputs" => Ok(Self::Outputs),
            _ => Err(Code::Malformed.because("a side is inputs or outputs")),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inputs => "inputs",
            Self::Outputs => "outputs",
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, {} bytes)", self.name, self.value.len())
    }
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Disclosure({:?}, {} bytes)",
            self.place,
            self.value.len()
        )
    }
}

fn bytes(path: &str, value: Value) -> Result<Vec<u8>, Refusal> {
    let text = string(path, value)?;
    tlog::base64::decode(&text)
        .map_err(|_| Code::Malformed.because(format!("{path} is not canonical base64")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disclosure_reads_back_and_opens_its_commitment() {
        let (agent, name): (Name, Name) = ("a".parse().unwrap(), "argv".parse().unwrap());
        let secret = Secret::new(name.clone(), b"\xff\x00".to_vec()).unwrap();
        let record = RecordHash::new(Digest::of(&[]));
        let disclosure = secret.disclosure(record, Side::Inputs);
        let again = Disclosure::parse(disclosure.to_json().as_bytes()).unwrap();
        assert_eq!(again, disclosure);
        assert_eq!(secret.commitment(&agent), (name, again.commitment(&agent)));
        let other = Secret::new("argv".parse().unwrap(), b"\xff\x00".to_vec()).unwrap();
        assert_ne!(
            other.commitment(&agent),
            secret.commitment(&agent),
            "the salt is fresh"
        );
        assert!(!format!("{disclosure:?} {secret:?}").contains("255"));
    }

    #[test]
    fn a_value_that_is_too_long_is_refused() {
        let long = Secret::new("a".parse().unwrap(), vec![0; MAX_VALUE_BYTES + 1]);
        assert_eq!(long.unwrap_err().code, Code::TooLarge);
    }
}
