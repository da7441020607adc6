//! A record in its envelope, and what is known of its signatures.

use std::fmt;

use tlog::checkpoint::{ParseCheckpointError, SignedCheckpoint};
use tlog::note::VerifierKey;

use crate::codes::Refusal;
use crate::digest::RecordHash;
use crate::envelope::{Checked, Envelope, Signature, Validity};
use crate::key::{KeyId, PublicKey};
use crate::record::{Body, Kind, Record, Seen};

/// A record in its envelope: form and payload are sound, its signatures are not checked yet.
#[derive(Clone)]
pub struct SignedRecord {
    envelope: Envelope,
    hash: RecordHash,
    record: Record,
    ahead: Option<Box<Ahead>>,
}

/// What was found of the signatures before it was known which keys are in force.
#[derive(Clone, Default)]
pub(crate) struct Ahead {
    /// For each signature of the envelope the key that it was checked with, and whether it verifies.
    pub(crate) signatures: Vec<Option<([u8; 32], bool)>>,
    /// A log whose key has signed the head that the record says was seen.
    pub(crate) seen: Option<(String, VerifierKey)>,
}

/// Records are the same if their envelopes are: all else follows from these.
impl PartialEq for SignedRecord {
    fn eq(&self, other: &Self) -> bool {
        self.envelope == other.envelope
    }
}

impl Eq for SignedRecord {}

impl SignedRecord {
    /// Reads an envelope and the payload in it.
    ///
    /// # Errors
    /// The codes of form, in the order of [`Envelope::parse`] and [`Record::parse`].
    pub fn parse(envelope: &[u8]) -> Result<Self, Refusal> {
        Self::from_envelope(Envelope::parse(envelope)?)
    }

    /// Reads the payload of an envelope.
    ///
    /// # Errors
    /// As [`Record::parse`].
    pub fn from_envelope(envelope: Envelope) -> Result<Self, Refusal> {
        let record = Record::parse(envelope.kind(), envelope.payload())?;
        Ok(Self {
            hash: envelope.record_hash(),
            record,
            envelope,
            ahead: None,
        })
    }

    /// The envelope.
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The record's name.
    pub const fn hash(&self) -> RecordHash {
        self.hash
    }

    /// What it says.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The kind.
    pub const fn kind(&self) -> Kind {
        self.envelope.kind()
    }

    /// Whether it is of a kind that brings keys.
    pub(crate) const fn certifies(&self) -> bool {
        matches!(self.record.body, Body::Charter(_) | Body::Manifest(_))
    }

    /// The public keys that the record itself brings: a charter's, or the one that a manifest
    /// names. Only these two kinds certify keys, their own among them.
    pub fn brings_keys(&self) -> Vec<PublicKey> {
        match &self.record.body {
            Body::Charter(charter) => charter.keys.iter().map(|key| key.key).collect(),
            Body::Manifest(registration) => vec![registration.key],
            _ => Vec::new(),
        }
    }

    /// Checks the signatures, with `key` for the keys that the record does not bring.
    pub fn check(self, key: &dyn Fn(&KeyId) -> Option<PublicKey>) -> CheckedRecord {
        let own = self.brings_keys();
        let find = |id: &KeyId| {
            own.iter()
                .find(|key| key.id() == *id)
                .copied()
                .or_else(|| key(id))
        };
        let ahead = self.ahead.as_deref();
        let signatures = self.envelope.check_signatures_beside(&find, &|place, key| {
            let (by, is_valid) = ahead?.signatures.get(place).copied().flatten()?;
            (by == *key.as_bytes()).then_some(is_valid)
        });
        CheckedRecord {
            signed: self,
            signatures,
        }
    }

    /// Checks the signatures before their turn: those of the record with `key`, and that of a head that it says was seen
    /// with the keys of `logs`, each beside the origin of its log.
    ///
    /// It decides nothing. [`SignedRecord::check`] and the rules ask for the keys in force as ever; where these are the keys
    /// that were used here, the same sum is not done again. So it can be done anywhere, by many threads.
    pub fn check_ahead(
        &mut self,
        key: &dyn Fn(&KeyId) -> Option<PublicKey>,
        logs: &[(String, VerifierKey)],
    ) {
        let signed = self.envelope.signed_bytes();
        let check = |signature: &Signature| {
            let key = key(&signature.keyid)?;
            Some((*key.as_bytes(), key.verifies(&signed, &signature.sig)))
        };
        let signatures = self.envelope.signatures().iter().map(check).collect();
        let seen = self.record.seen().and_then(|seen| {
            let by = |(origin, key): &&(String, VerifierKey)| {
                let head = seen.signed_by(origin);
                head.is_ok_and(|head| head.verify(key).is_ok())
            };
            logs.iter().find(by).cloned()
        });
        self.know(Ahead { signatures, seen });
    }

    /// What was found before its turn.
    pub(crate) fn ahead(&self) -> Option<&Ahead> {
        self.ahead.as_deref()
    }

    /// Takes what [`Self::check_ahead`] found of this very record.
    pub(crate) fn know(&mut self, ahead: Ahead) {
        self.ahead = Some(Box::new(ahead));
    }

    /// Takes the signatures as good without checking them again: for leaves under a checkpoint
    /// that this very program signed, after it had checked them. Evidence from anywhere else
    /// goes through [`SignedRecord::check`].
    pub fn admitted_before(self) -> CheckedRecord {
        let good = |signature: &Signature| Checked {
            keyid: signature.keyid,
            validity: Validity::Valid,
        };
        let signatures = self.envelope.signatures().iter().map(good).collect();
        CheckedRecord {
            signed: self,
            signatures,
        }
    }
}

impl fmt::Debug for SignedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.hash, self.record)
    }
}

/// A record of which is known *which* keys signed it; what those keys may do is the rules' to say.
#[derive(Clone, Debug)]
pub struct CheckedRecord {
    signed: SignedRecord,
    signatures: Vec<Checked>,
}

impl CheckedRecord {
    /// The record in its envelope.
    pub const fn signed(&self) -> &SignedRecord {
        &self.signed
    }

    /// The record's name.
    pub const fn hash(&self) -> RecordHash {
        self.signed.hash
    }

    /// What it says.
    pub const fn record(&self) -> &Record {
        &self.signed.record
    }

    /// The signatures, sorted by keyid, and what is known of each.
    pub fn signatures(&self) -> &[Checked] {
        &self.signatures
    }

    /// The log, by its origin and key, of which it was found ahead that it has signed the head that was seen.
    pub(crate) fn seen_of(&self) -> Option<&(String, VerifierKey)> {
        self.signed.ahead.as_deref()?.seen.as_ref()
    }

    /// Gives the record away.
    pub fn into_signed(self) -> SignedRecord {
        self.signed
    }
}

impl Record {
    /// The head that an agent says it was shown.
    const fn seen(&self) -> Option<&Seen> {
        match &self.body {
            Body::Heartbeat(beat) => beat.seen.as_ref(),
            _ => None,
        }
    }
}

impl Seen {
    /// The whole note that it is short for, if it is of the log of this origin.
    ///
    /// # Errors
    /// What keeps it from being one.
    pub(crate) fn signed_by(&self, origin: &str) -> Result<SignedCheckpoint, ParseCheckpointError> {
        let (size, root, sig) = (self.size, self.root, &self.sig);
        SignedCheckpoint::parse(&format!(
            "{origin}\n{size}\n{root}\n\n\u{2014} {origin} {sig}\n"
        ))
    }
}
