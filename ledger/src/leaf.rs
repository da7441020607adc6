//! The leaf: what the log hashes.
//!
//! `{"received_ms":<n>,"envelope":{…}}`, in exactly this spelling. A leaf that does not encode
//! back to itself is refused, so two leaves with the same meaning are the same bytes.

use crate::codes::{Code, Refusal};
use crate::envelope::{Envelope, within};
use crate::json::{Members, Value, integer};

/// The largest leaf. Entry bundles of the log allow 65,535 bytes; this leaves room to spare.
pub const MAX_LEAF_BYTES: usize = 48 * 1024;

/// An entry of the log: a record and when the log received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    received_ms: u64,
    envelope: Envelope,
}

impl Leaf {
    /// Makes the leaf of an envelope that is received now.
    ///
    /// # Errors
    /// `too-large` if its bytes exceed [`MAX_LEAF_BYTES`].
    pub fn new(received_ms: u64, envelope: Envelope) -> Result<Self, Refusal> {
        Self::encode(received_ms, &envelope)?;
        Ok(Self {
            received_ms,
            envelope,
        })
    }

    /// The bytes of the leaf of an envelope that is received now.
    ///
    /// # Errors
    /// As [`Leaf::new`].
    pub fn encode(received_ms: u64, envelope: &Envelope) -> Result<Vec<u8>, Refusal> {
        let bytes = bytes_of(received_ms, envelope);
        within("leaf", bytes.len(), MAX_LEAF_BYTES)?;
        Ok(bytes)
    }

    /// Reads the exact bytes of a leaf.
    ///
    /// # Errors
    /// `too-large`, the codes of [`Envelope::parse`], or `leaf-not-canonical`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        within("leaf", bytes.len(), MAX_LEAF_BYTES)?;
        let mut members = Members::open("", Value::parse(bytes)?)?;
        let received_ms = members.required("received_ms", integer)?;
        let envelope = Envelope::from_value(members.take("envelope")?)?;
        members.finish()?;
        let leaf = Self {
            received_ms,
            envelope,
        };
        if leaf.to_bytes() != bytes {
            return Err(Code::LeafNotCanonical.because("it encodes back to other bytes"));
        }
        Ok(leaf)
    }

    /// When the log received it, by the log's clock: milliseconds since the epoch.
    pub const fn received_ms(&self) -> u64 {
        self.received_ms
    }

    /// The envelope.
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Gives the envelope away.
    pub fn into_envelope(self) -> Envelope {
        self.envelope
    }

    /// The exact bytes that the log hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        bytes_of(self.received_ms, &self.envelope)
    }
}

fn bytes_of(received_ms: u64, envelope: &Envelope) -> Vec<u8> {
    let mut text = format!("{{\"received_ms\":{received_ms},\"envelope\":");
    envelope.write_json(&mut text);
    text.push('}');
    text.into_bytes()
}
