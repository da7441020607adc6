//! What the report is about, for supply-chain tools: an in-toto Statement v1 over the pack and its checkpoint, in a DSSE
//! envelope.
//!
//! The envelope is signed if a key was given. Nobody has to believe the signature: the report can be computed again.

use ledger::digest::Digest;
use ledger::envelope::pre_authentication_encoding;
use ledger::json::{Value, object};
use ledger::key::{KeyId, PrivateKey, PublicKey, SignatureBytes};
use tlog::base64;

use crate::document::{Document, hex};

/// The type of payload that in-toto registers for DSSE.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The type of a statement, by the in-toto attestation framework.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// What the predicate is.
const PREDICATE: &str = "urn:dragons:day30:v1";

/// A statement, in the bytes that are signed.
#[derive(Clone, Debug)]
pub struct Statement(String);

/// What is known of the signature of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Nobody signed it.
    Unsigned,
    /// A key that the log knows signed it.
    By(KeyId),
    /// A key signed it that the log does not know, so it can't be checked.
    Unknown(KeyId),
}

/// Why an envelope is not that of a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is not a DSSE envelope.
    #[error("it is not a DSSE envelope: {0}")]
    Malformed(String),
    /// It is about something else.
    #[error("its payload is another statement")]
    OtherPayload,
    /// A signature does not verify.
    #[error("the signature by key {0} does not verify")]
    Signature(KeyId),
}

impl Statement {
    /// The statement of a report: `report` is the bytes of `report.json`, `pack` the digest of the pack.
    pub fn of(document: &Document, report: &str, pack: Digest, checkpoint: &str) -> Self {
        let subject = |name: &str, digest: Digest| {
            let digest = object([("sha256", hex(digest).into())]);
            object([("name", name.into()), ("digest", digest)])
        };
        let subjects = [
            subject(crate::files::PACK, pack),
            subject("checkpoint", Digest::of(&[checkpoint.as_bytes()])),
            subject(crate::files::REPORT, Digest::of(&[report.as_bytes()])),
        ];
        let log = object([
            ("origin", document.log.origin.as_str().into()),
            ("charter", document.log.charter.as_str().into()),
            ("size", document.log.size.into()),
            ("root", document.log.root.as_str().into()),
        ]);
        let predicate = object([
            ("from_ms", document.from_ms.into()),
            ("to_ms", document.to_ms.into()),
            ("log", log),
            ("verdict", document.verdict.into()),
            ("checkpoint", checkpoint.into()),
        ]);
        let statement = object([
            ("_type", STATEMENT.into()),
            ("subject", subjects.into_iter().collect()),
            ("predicateType", PREDICATE.into()),
            ("predicate", predicate),
        ]);
        Self(statement.to_json())
    }

    /// It in its envelope, signed if there is a key.
    pub fn envelope(&self, key: Option<&PrivateKey>) -> String {
        let signature = |key: &PrivateKey| {
            object([
                ("keyid", key.public().id().to_string().into()),
                (
                    "sig",
                    base64::encode(key.sign(&self.signed_bytes()).as_bytes()).into(),
                ),
            ])
        };
        let envelope = object([
            ("payloadType", PAYLOAD_TYPE.into()),
            ("payload", base64::encode(self.0.as_bytes()).into()),
            ("signatures", key.map(signature).into_iter().collect()),
        ]);
        envelope.to_json() + "\n"
    }

    /// Checks that an envelope holds this statement, and its signature by the keys that the log knows.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn check(
        &self,
        envelope: &str,
        key: &dyn Fn(&KeyId) -> Option<PublicKey>,
    ) -> Result<Signed, StatementError> {
        let malformed = |why: String| StatementError::Malformed(why);
        let value = Value::parse(envelope.trim_end().as_bytes());
        let value = value.map_err(|refusal| malformed(refusal.to_string()))?;
        let signed = signature_of(&value).map_err(|why| malformed(why.to_owned()))?;
        if self.envelope(None) != self.without_signatures(envelope) {
            return Err(StatementError::OtherPayload);
        }
        let Some((id, bytes)) = signed else {
            return Ok(Signed::Unsigned);
        };
        match key(&id) {
            None => Ok(Signed::Unknown(id)),
            Some(key) if key.verifies(&self.signed_bytes(), &bytes) => Ok(Signed::By(id)),
            Some(_) => Err(StatementError::Signature(id)),
        }
    }

    fn without_signatures(&self, envelope: &str) -> String {
        let head = envelope
            .split("\"signatures\":[")
            .next()
            .unwrap_or_default();
        format!("{head}\"signatures\":[]}}\n")
    }

    fn signed_bytes(&self) -> Vec<u8> {
        pre_authentication_encoding(PAYLOAD_TYPE, self.0.as_bytes())
    }
}

/// The one signature, if there is one.
fn signature_of(envelope: &Value) -> Result<Option<(KeyId, SignatureBytes)>, &'static str> {
    let Value::Array(signatures) = member(envelope, "signatures").ok_or("it has no signatures")?
    else {
        return Err("signatures is not a list");
    };
    let signature = match signatures.as_slice() {
        [] => return Ok(None),
        [signature] => signature,
        _ => return Err("it has more than one signature"),
    };
    let text = |name| match member(signature, name) {
        Some(Value::Text(text)) => Ok(text.as_str()),
        _ => Err("a signature has a keyid and a sig"),
    };
    let id = text("keyid")?.parse().map_err(|_| "keyid is not one")?;
    let bytes = base64::decode(text("sig")?).map_err(|_| "sig is not base64")?;
    let bytes = bytes.try_into().map_err(|_| "sig is not of 64 bytes")?;
    Ok(Some((id, SignatureBytes::from_bytes(bytes))))
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Object(members) = value else {
        return None;
    };
    members
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}
