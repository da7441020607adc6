//! Requests for leases: what an agent asks an operator for, signed by the agent's key.
//!
//! A request is not a record and is never logged: it carries no authority, and nothing follows from it by the rules. It is
//! still a DSSE envelope, with its own payload type and exactly one signature, so that an operator can tell
//! who asks and that nobody changed what was asked:
//!
//! ```text
//! {"payloadType":"application/vnd.dragons.lease-request.v1+json","payload":"<base64>",
//!  "signatures":[{"keyid":"<32 hex>","sig":"<base64>"}]}
//! ```
//!
//! It is named as records are, by the digest of what is signed, and bound to a log as they are, by `log`.

use std::fmt;

use crate::codes::{Code, Refusal};
use crate::digest::{Digest, RecordHash};
use crate::envelope::{Signature, pre_authentication_encoding, read_signature, within};
use crate::json::{Members, Value, integer, object, parsed, string};
use crate::key::{KeyId, PrivateKey, PublicKey};
use crate::record::{Budget, Fields, patterns};
use crate::scope::Pattern;
use crate::text::{Name, Text, quoted};

/// The type of the payload, which the signature covers.
pub const PAYLOAD_TYPE: &str = "application/vnd.dragons.lease-request.v1+json";

/// The largest payload: dozens of patterns of a usual length, and a thousand of them fit into an inbox.
pub const MAX_PAYLOAD_BYTES: usize = 8 * 1024;

/// The largest envelope: its payload in base64, and one signature.
pub const MAX_ENVELOPE_BYTES: usize = 12 * 1024;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The record hash of charter 1 of the log that the lease is wanted in.
    pub log: RecordHash,
    /// The agent.
    pub agent: Name,
    /// The one version that it is for.
    pub manifest_hash: Digest,
    /// What to allow.
    pub allow: Vec<Pattern>,
    /// What to deny all the same.
    pub deny: Vec<Pattern>,
    /// How much of it.
    pub budget: Budget,
    /// How long, in milliseconds from the grant.
    pub for_ms: u64,
    /// How long control may renew it, in milliseconds from the grant; `None` for not at all.
    pub renewable_ms: Option<u64>,
    /// The lease of another agent that it is to be a part of.
    pub parent: Option<RecordHash>,
    /// The purpose.
    pub purpose: Text,
    /// When the agent says it asked: milliseconds since the epoch.
    pub at_ms: u64,
}

impl LeaseRequest {
    /// Signs the request with the agent's key.
    ///
    /// # Errors
    /// As for reading it back: what cannot be read is not signed.
    pub fn sign(&self, key: &PrivateKey) -> Result<SignedRequest, Refusal> {
        let payload = self.to_payload().into_bytes();
        let signed = pre_authentication_encoding(PAYLOAD_TYPE, &payload);
        let signature = Signature {
            keyid: key.public().id(),
            sig: key.sign(&signed),
        };
        SignedRequest::new(payload, signature)
    }

    fn read(payload: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::open("", Value::parse(payload)?)?;
        let request = Self {
            log: members.required("log", parsed)?,
            agent: members.required("agent", Name::read)?,
            manifest_hash: members.required("manifest_hash", parsed)?,
            allow: members.list("allow", parsed)?,
            deny: members.list("deny", parsed)?,
            budget: members.required("budget", Budget::read)?,
            for_ms: members.required("for_ms", integer)?,
            renewable_ms: members.nullable("renewable_ms", integer)?,
            parent: members.nullable("parent", parsed)?,
            purpose: members.required("purpose", Text::read)?,
            at_ms: members.required("at_ms", integer)?,
        };
        members.finish().map(|()| request)
    }

    fn to_payload(&self) -> String {
        let mut out = Fields::default();
        out.put("log", self.log);
        out.put("agent", &self.agent);
        out.put("manifest_hash", self.manifest_hash);
        out.put("allow", patterns(&self.allow));
        out.put("deny", patterns(&self.deny));
        out.put("budget", self.budget.to_value());
        out.put("for_ms", self.for_ms);
        out.put("renewable_ms", self.renewable_ms);
        out.put("parent", self.parent);
        out.put("purpose", &self.purpose);
        out.put("at_ms", self.at_ms);
        out.into_value().to_json()
    }
}

/// A request in its envelope: its form is sound, its signature is not checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedRequest {
    payload: Vec<u8>,
    signature: Signature,
    request: LeaseRequest,
}

impl SignedRequest {
    /// Reads the JSON of an envelope.
    ///
    /// # Errors
    /// `too-large`, `not-strict-json`, `malformed`, `unknown-member`, `unknown-kind` for another payload type.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        within("envelope", json.len(), MAX_ENVELOPE_BYTES)?;
        Self::from_value(Value::parse(json)?)
    }

    /// Reads an envelope that is already a JSON value.
    ///
    /// # Errors
    /// As [`SignedRequest::parse`], from `malformed` on.
    pub fn from_value(value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open("", value)?;
        let payload_type = members.required("payloadType", string)?;
        let payload = members.required("payload", string)?;
        let signatures = members.list("signatures", read_signature)?;
        members.finish()?;
        if payload_type != PAYLOAD_TYPE {
            let got = quoted(&payload_type);
            return Err(Code::UnknownKind.because(format!("payload type {got}")));
        }
        let payload = tlog::base64::decode(&payload)
            .map_err(|_| Code::Malformed.because("payload is not canonical base64"))?;
        let [signature] = signatures.as_slice() else {
            let got = signatures.len();
            return Err(Code::Malformed.because(format!("{got} signatures, not 1")));
        };
        Self::new(payload, *signature)
    }

    fn new(payload: Vec<u8>, signature: Signature) -> Result<Self, Refusal> {
        within("payload", payload.len(), MAX_PAYLOAD_BYTES)?;
        Ok(Self {
            request: LeaseRequest::read(&payload)?,
            payload,
            signature,
        })
    }

    /// What is asked for.
    pub const fn request(&self) -> &LeaseRequest {
        &self.request
    }

    /// The name of the key that is said to have signed.
    pub const fn signer(&self) -> KeyId {
        self.signature.keyid
    }

    /// The request's name: the digest of what is signed.
    pub fn id(&self) -> Digest {
        Digest::of(&[&self.signed_bytes()])
    }

    /// Checks that this key signed it.
    ///
    /// # Errors
    /// `key-not-agents` if another key is said to have, `signature-invalid` if it did not.
    pub fn check(&self, key: &PublicKey) -> Result<(), Refusal> {
        let (got, want) = (self.signature.keyid, key.id());
        if got != want {
            let agent = &self.request.agent;
            return Err(Code::KeyNotAgents.because(format!("{got}, {agent} has {want}")));
        }
        if !key.verifies(&self.signed_bytes(), &self.signature.sig) {
            return Err(Code::SignatureInvalid.because(got));
        }
        Ok(())
    }

    /// The payload, decoded.
    pub fn payload(&self) -> Value {
        // It was read as JSON before, so it reads again.
        Value::parse(&self.payload).unwrap_or(Value::Null)
    }

    /// The envelope, its members in the documented order.
    pub fn to_value(&self) -> Value {
        let signature = object([
            ("keyid", self.signature.keyid.to_string().into()),
            ("sig", self.signature.sig.to_string().into()),
        ]);
        object([
            ("payloadType", PAYLOAD_TYPE.into()),
            ("payload", tlog::base64::encode(&self.payload).into()),
            ("signatures", Value::Array(vec![signature])),
        ])
    }

    /// The envelope as one JSON text.
    pub fn to_json(&self) -> String {
        self.to_value().to_json()
    }

    fn signed_bytes(&self) -> Vec<u8> {
        pre_authentication_encoding(PAYLOAD_TYPE, &self.payload)
    }
}

impl fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    fn request() -> LeaseRequest {
        LeaseRequest {
            log: RecordHash::new(Digest::of(&[b"charter"])),
            agent: "greeter".parse().unwrap(),
            manifest_hash: Digest::of(&[b"manifest"]),
            allow: vec!["run:*".parse().unwrap()],
            deny: vec!["run:rm".parse().unwrap()],
            budget: Budget::default(),
            for_ms: 3_600_000,
            renewable_ms: None,
            parent: None,
            purpose: "to greet".parse().unwrap(),
            at_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_request_reads_back_what_it_writes() {
        let signed = request().sign(&key(1)).unwrap();
        let again = SignedRequest::parse(signed.to_json().as_bytes()).unwrap();
        assert_eq!(again, signed);
        assert_eq!(again.to_json(), signed.to_json());
        assert_eq!(again.request(), &request());
        assert_eq!(again.id(), signed.id());
        again.check(&key(1).public()).unwrap();
    }

    #[test]
    fn only_the_agents_key_makes_one() {
        let signed = request().sign(&key(1)).unwrap();
        let refused = signed.check(&key(2).public()).unwrap_err();
        assert_eq!(refused.code, Code::KeyNotAgents);
        let payload = signed.payload.clone();
        let other = Signature {
            sig: key(1).sign(b"something else"),
            ..signed.signature
        };
        let forged = SignedRequest::new(payload, other).unwrap();
        let refused = forged.check(&key(1).public()).unwrap_err();
        assert_eq!(refused.code, Code::SignatureInvalid);
    }

    #[test]
    fn whatever_else_is_refused_with_its_code() {
        let json = request().sign(&key(1)).unwrap().to_json();
        let payload = |change: &dyn Fn(String) -> String| {
            let payload = change(request().to_payload());
            json.replace(
                &tlog::base64::encode(request().to_payload()),
                &tlog::base64::encode(payload),
            )
        };
        let signature = json.split_once('[').unwrap().1.split_once(']').unwrap().0;
        let cases = [
            (json.replace("lease-request", "lease"), Code::UnknownKind),
            (json.replacen('{', "{\"more\":1,", 1), Code::UnknownMember),
            (json.replace(signature, ""), Code::Malformed),
            (
                json.replace(signature, &format!("{signature},{signature}")),
                Code::Malformed,
            ),
            (format!("{json}{json}"), Code::NotStrictJson),
            (
                format!("{json}{}", " ".repeat(MAX_ENVELOPE_BYTES)),
                Code::TooLarge,
            ),
            (
                payload(&|text| text.replace("for_ms", "for")),
                Code::Malformed,
            ),
            (
                payload(&|text| text.replacen('{', "{\"x\":0,", 1)),
                Code::UnknownMember,
            ),
            (
                payload(&|text| text.replace("run:rm", &"run:rm\",\"run:".repeat(800))),
                Code::TooLarge,
            ),
        ];
        for (text, code) in cases {
            let refused = SignedRequest::parse(text.as_bytes()).unwrap_err();
            assert_eq!(refused.code, code, "{text}: {refused}");
        }
    }

    #[test]
    fn a_refusal_quotes_little_of_what_was_sent() {
        let json = request().sign(&key(1)).unwrap().to_json();
        let hostile = json.replace(PAYLOAD_TYPE, &"\u{202e}x".repeat(500));
        let refused = SignedRequest::parse(hostile.as_bytes()).unwrap_err();
        assert_eq!(refused.code, Code::UnknownKind);
        assert!(refused.detail.is_ascii() && refused.detail.len() < 1024);
    }
}
