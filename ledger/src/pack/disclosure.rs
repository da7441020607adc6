//! Disclosures: values that open the commitments of a pack's receipts.
//!
//! ```text
//! {"record":"sha256:…","side":"inputs"|"outputs","name":"…","salt":"<base64>","value":"<base64>"}
//! ```

use crate::codes::{Code, Refusal};
use crate::commitment::{SALT_BYTES, commit};
use crate::digest::{Digest, RecordHash};
use crate::json::{Members, Value, object, parsed, string};
use crate::record::{Body, Phase, Receipt, Record, words};
use crate::text::Name;

words! {
    /// Which of a receipt's commitments.
    Side, "side of an action" {
        /// Those of an intent: what goes in.
        Inputs = "inputs",
        /// Those of a result: what came out.
        Outputs = "outputs",
    }
}

/// A value that an agent committed to, disclosed by whoever keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// The intent or result with the commitment.
    pub record: RecordHash,
    /// On which side of the action.
    pub side: Side,
    /// What the value is called there.
    pub name: Name,
    /// What was hashed in front of it.
    pub salt: [u8; SALT_BYTES],
    /// The value.
    pub value: Vec<u8>,
}

impl Disclosure {
    /// Reads one, as it is in a pack or in a file of its own.
    ///
    /// # Errors
    /// `malformed`, `unknown-member`.
    pub fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let disclosure = Self {
            record: members.required("record", parsed)?,
            side: members.required("side", parsed)?,
            name: members.required("name", Name::read)?,
            salt: members.required("salt", salt)?,
            value: members.required("value", bytes)?,
        };
        members.finish().map(|()| disclosure)
    }

    /// The disclosure as JSON, its members in their order.
    pub fn to_value(&self) -> Value {
        object([
            ("record", self.record.into()),
            ("side", self.side.into()),
            ("name", (&self.name).into()),
            ("salt", tlog::base64::encode(self.salt).into()),
            ("value", tlog::base64::encode(&self.value).into()),
        ])
    }

    /// Checks that it opens a commitment of the record that it names, which is this one.
    ///
    /// # Errors
    /// `disclosure-mismatch` if the record has no such commitment, or one to another value.
    pub fn check(&self, record: &Record) -> Result<(), Refusal> {
        let Self { side, name, .. } = self;
        let mismatch = |what: &str| {
            Code::DisclosureMismatch.because(format!("{what} \"{name}\" among its {side}"))
        };
        let Body::Receipt(receipt) = &record.body else {
            return Err(mismatch("it is not a receipt, so it has no"));
        };
        let committed = self.commitment(receipt);
        let want = committed.ok_or_else(|| mismatch("it commits to no"))?;
        if commit(&self.salt, &receipt.chain.agent, name, &self.value) == *want {
            return Ok(());
        }
        Err(mismatch("it commits to another value for"))
    }

    fn commitment<'a>(&self, receipt: &'a Receipt) -> Option<&'a Digest> {
        let commitments = match (self.side, &receipt.phase) {
            (Side::Inputs, Phase::Intent(intent)) => &intent.inputs,
            (Side::Outputs, Phase::Result(result)) => &result.outputs,
            _ => return None,
        };
        let named = commitments.iter().find(|(name, _)| *name == self.name);
        named.map(|(_, digest)| digest)
    }
}

fn bytes(path: &str, value: Value) -> Result<Vec<u8>, Refusal> {
    let text = string(path, value)?;
    tlog::base64::decode(&text).map_err(|error| Code::Malformed.because(format!("{path}: {error}")))
}

fn salt(path: &str, value: Value) -> Result<[u8; SALT_BYTES], Refusal> {
    let salt = bytes(path, value)?;
    salt.try_into().map_err(|salt: Vec<u8>| {
        let got = salt.len();
        Code::Malformed.because(format!("{path}: {got} bytes, a salt has {SALT_BYTES}"))
    })
}
