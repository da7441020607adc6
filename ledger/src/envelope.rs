//! The DSSE envelope: signed bytes and who signed them.
//!
//! ```text
//! {"payloadType":"application/vnd.dragons.<kind>.v1+json","payload":"<base64>",
//!  "signatures":[{"keyid":"<32 hex>","sig":"<base64>"}]}
//! ```
//!
//! What is signed is not the envelope but the DSSE pre-authentication encoding of its type and
//! payload (DSSE protocol, "PAE"), so no re-serialisation can ever change what was signed.

use std::cell::LazyCell;
use std::fmt;
use std::str::FromStr;

use crate::codes::{Code, Refusal};
use crate::digest::{Digest, RecordHash};
use crate::json::{Members, Value, object, string};
use crate::key::{KeyId, PrivateKey, PublicKey, SignatureBytes};
use crate::record::Kind;

/// The largest payload: a record is a statement, not a document.
pub const MAX_PAYLOAD_BYTES: usize = 32 * 1024;

/// The largest payload of an intent: its refusal holds it whole, in base64, in its own payload.
pub const MAX_INTENT_BYTES: usize = 16 * 1024;

/// The largest envelope as submitted: what a leaf holds, since a leaf wraps little around it.
pub const MAX_ENVELOPE_BYTES: usize = crate::leaf::MAX_LEAF_BYTES;

/// The most signatures on one record.
pub const MAX_SIGNATURES: usize = 16;

/// What the text of an envelope has beside payload and signatures, and of each signature: reserved, so that it is not
/// copied while it grows.
const ROOM_AROUND: usize = 128;
const ROOM_A_SIGNATURE: usize = 160;

/// A signature and the name of the key that is said to have made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key.
    pub keyid: KeyId,
    /// The signature.
    pub sig: SignatureBytes,
}

/// An envelope of sound form. Nothing about its signatures is known yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    kind: Kind,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

impl Envelope {
    /// Reads the JSON of an envelope, as submitted: members in any order.
    ///
    /// # Errors
    /// In this order: `too-large`, `not-strict-json`, `malformed`, `unknown-member`, `too-large`
    /// for the payload, `key-repeated`, `unknown-kind`.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        within("envelope", json.len(), MAX_ENVELOPE_BYTES)?;
        Self::from_value(Value::parse(json)?)
    }

    /// Reads an envelope that is already a JSON value.
    ///
    /// # Errors
    /// As [`Envelope::parse`], from `malformed` on.
    pub fn from_value(value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open("", value)?;
        let payload_type = members.required("payloadType", string)?;
        let payload = members.required("payload", string)?;
        let mut signatures = members.list("signatures", read_signature)?;
        members.finish()?;
        let payload = tlog::base64::decode(&payload)
            .map_err(|_| Code::Malformed.because("payload is not canonical base64"))?;
        within("payload", payload.len(), MAX_PAYLOAD_BYTES)?;
        sort_signatures(&mut signatures)?;
        let kind = Kind::from_payload_type(&payload_type)?;
        Ok(Self {
            kind,
            payload,
            signatures,
        })
    }

    /// Signs a payload with each of the keys.
    ///
    /// # Errors
    /// `too-large`, `key-repeated`, or `malformed` without a key.
    pub fn sign(kind: Kind, payload: Vec<u8>, keys: &[&PrivateKey]) -> Result<Self, Refusal> {
        within("payload", payload.len(), MAX_PAYLOAD_BYTES)?;
        let pae = pre_authentication_encoding(&kind.payload_type(), &payload);
        let sign = |key: &&PrivateKey| Signature {
            keyid: key.public().id(),
            sig: key.sign(&pae),
        };
        let mut signatures: Vec<_> = keys.iter().map(sign).collect();
        sort_signatures(&mut signatures)?;
        Ok(Self {
            kind,
            payload,
            signatures,
        })
    }

    /// Adds a signature made elsewhere, for records that several people sign one after another.
    ///
    /// # Errors
    /// `key-repeated`, or `malformed` above [`MAX_SIGNATURES`].
    pub fn with_signature(mut self, signature: Signature) -> Result<Self, Refusal> {
        self.signatures.push(signature);
        sort_signatures(&mut self.signatures)?;
        Ok(self)
    }

    /// The kind that the payload type names.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The exact bytes of the payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signatures, sorted by keyid, all keyids distinct.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The bytes that the signatures are over.
    pub fn signed_bytes(&self) -> Vec<u8> {
        pre_authentication_encoding(&self.kind.payload_type(), &self.payload)
    }

    /// The name of the record inside.
    pub fn record_hash(&self) -> RecordHash {
        RecordHash::new(Digest::of(&[&self.signed_bytes()]))
    }

    /// The envelope in the member order of a leaf.
    pub fn to_value(&self) -> Value {
        let signature = |signature: &Signature| {
            object([
                ("keyid", signature.keyid.to_string().into()),
                ("sig", signature.sig.to_string().into()),
            ])
        };
        object([
            ("payloadType", self.kind.payload_type().into()),
            ("payload", tlog::base64::encode(&self.payload).into()),
            (
                "signatures",
                self.signatures.iter().map(signature).collect(),
            ),
        ])
    }

    /// The envelope as the one JSON text that a leaf holds.
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        self.write_json(&mut text);
        text
    }

    /// Writes that text behind what is there. Nothing in it needs to be escaped: names of kinds, base64 and hex.
    pub(crate) fn write_json(&self, text: &mut String) {
        let payload = self.payload.len().div_ceil(3) * 4;
        text.reserve(ROOM_AROUND + payload + ROOM_A_SIGNATURE * self.signatures.len());
        text.push_str("{\"payloadType\":\"");
        text.push_str(&self.kind.payload_type());
        text.push_str("\",\"payload\":\"");
        tlog::base64::encode_behind(&self.payload, text);
        text.push_str("\",\"signatures\":[");
        for (place, Signature { keyid, sig }) in self.signatures.iter().enumerate() {
            text.push_str(if place > 0 { ",{" } else { "{" });
            text.push_str("\"keyid\":\"");
            text.push_str(&keyid.to_string());
            text.push_str("\",\"sig\":\"");
            tlog::base64::encode_behind(sig.as_bytes(), text);
            text.push_str("\"}");
        }
        text.push_str("]}");
    }

    /// Which of the signatures verify, asking `key` for keys that the record does not bring.
    ///
    /// A bad signature is a fact here and no error: *what* it means depends on the checks that
    /// come before it, and those are made where the state is.
    pub fn check_signatures(&self, key: &dyn Fn(&KeyId) -> Option<PublicKey>) -> Vec<Checked> {
        self.check_signatures_beside(key, &|_, _| None)
    }

    /// As [`Self::check_signatures`], without doing again what was done before: `ahead` says whether the signature at a
    /// place was found to verify by this very key, if it was tried.
    pub(crate) fn check_signatures_beside(
        &self,
        key: &dyn Fn(&KeyId) -> Option<PublicKey>,
        ahead: &dyn Fn(usize, &PublicKey) -> Option<bool>,
    ) -> Vec<Checked> {
        let signed = LazyCell::new(|| self.signed_bytes());
        let check = |(place, signature): (usize, &Signature)| {
            let keyid = signature.keyid;
            let verifies = |key: &PublicKey| {
                ahead(place, key).unwrap_or_else(|| key.verifies(&signed, &signature.sig))
            };
            let validity = match key(&keyid) {
                None => Validity::Unknown,
                Some(key) if verifies(&key) => Validity::Valid,
                Some(_) => Validity::Invalid,
            };
            Checked { keyid, validity }
        };
        self.signatures.iter().enumerate().map(check).collect()
    }
}

/// The result of checking one signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The name of the key.
    pub keyid: KeyId,
    /// Whether it verifies.
    pub validity: Validity,
}

/// Whether a signature verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// By this key, over these bytes.
    Valid,
    /// The key is known and did not make it.
    Invalid,
    /// The checker did not know the key.
    Unknown,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

impl FromStr for Envelope {
    type Err = Refusal;

    fn from_str(json: &str) -> Result<Self, Refusal> {
        Self::parse(json.as_bytes())
    }
}

/// `DSSEv1 <len(type)> <type> <len(payload)> <payload>`: DSSE protocol, "Signature Definition".
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

pub(crate) fn read_signature(path: &str, value: Value) -> Result<Signature, Refusal> {
    let mut members = Members::open(path, value)?;
    let keyid = members.required("keyid", crate::json::parsed)?;
    let sig = members.required("sig", crate::json::parsed)?;
    members.finish()?;
    Ok(Signature { keyid, sig })
}

fn sort_signatures(signatures: &mut [Signature]) -> Result<(), Refusal> {
    if signatures.is_empty() || signatures.len() > MAX_SIGNATURES {
        let got = signatures.len();
        return Err(Code::Malformed.because(format!("{got} signatures, 1 to {MAX_SIGNATURES}")));
    }
    signatures.sort_by_key(|signature| signature.keyid);
    let mut pairs = signatures.iter().zip(signatures.iter().skip(1));
    match pairs.find(|(one, next)| one.keyid == next.keyid) {
        None => Ok(()),
        Some((one, _)) => Err(Code::KeyRepeated.because(one.keyid)),
    }
}

pub(crate) fn within(what: &str, got: usize, most: usize) -> Result<(), Refusal> {
    if got > most {
        return Err(Code::TooLarge.because(format!("{what} of {got} bytes, at most {most}")));
    }
    Ok(())
}
