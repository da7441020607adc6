//! Amending the charter: a proposal that several people sign in turn and one of them submits.
//!
//! A proposal is the envelope of the next charter, as the log will hold it, with as many signatures as it has so far:
//! none, to begin with. So what is signed is what is logged, byte for byte, and whoever gets a proposal over any
//! channel can see what it changes before he signs.

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::envelope::{Checked, Envelope, Signature, Validity};
use ledger::json::{Value, object};
use ledger::key::{KeyId, PrivateKey};
use ledger::record::{Body, Charter, Kind, Record, Role, SignedRecord};

/// The longest file with a proposal: an envelope, perhaps with a line end.
pub const MAX_PROPOSAL_BYTES: usize = ledger::envelope::MAX_ENVELOPE_BYTES;

/// The next charter, to be signed.
#[derive(Clone, Debug)]
pub struct Proposal {
    payload: Vec<u8>,
    charter: Charter,
    envelope: Option<Envelope>,
}

/// How far one charter's roots have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The version of the charter whose roots they are.
    pub version: u64,
    /// How many of them have signed.
    pub got: u64,
    /// How many have to.
    pub want: u64,
}

/// A member that the proposal changes, by its path; lists are shown whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: String,
    /// What it was.
    pub old: Value,
    /// What it would be.
    pub new: Value,
}

/// Why a proposal is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// No such charter can be written.
    #[error("the charter is not valid: {0}")]
    NoSuchCharter(Refusal),
    /// The file holds none.
    #[error("the file holds no proposal: {0}")]
    NotAProposal(Refusal),
    /// It holds a record of another kind.
    #[error("the file holds a {0}, not a charter")]
    OtherKind(Kind),
    /// A signature in it is none by the key that is named.
    #[error("its signature by {0} is not valid, or is by a key that neither charter has")]
    BadSignature(KeyId),
    /// It cannot be signed.
    #[error("it cannot be signed: {0}")]
    NotSigned(Refusal),
}

impl Proposal {
    /// The charter after this one, with some of its members replaced: objects member by member, lists whole.
    ///
    /// # Errors
    ///
    /// [`ProposalError::NoSuchCharter`], also if the charter would contradict itself.
    pub fn amending(
        log: RecordHash,
        before: &Charter,
        previous: RecordHash,
        changes: Value,
        now_ms: u64,
    ) -> Result<Self, ProposalError> {
        let next = Charter {
            version: before.version + 1,
            previous: Some(previous),
            ..before.clone()
        };
        let record = Record {
            log: Some(log),
            at_ms: now_ms,
            body: Body::Charter(Box::new(next)),
            ext: None,
        };
        let refuse = ProposalError::NoSuchCharter;
        let mut payload = Value::parse(record.to_payload().as_bytes()).map_err(refuse)?;
        payload.merge(changes);
        let proposal = Self::read(payload.to_json().into_bytes()).map_err(refuse)?;
        proposal.charter.check().map_err(refuse)?;
        Ok(proposal)
    }

    /// Reads a proposal: an envelope that may have no signature yet.
    ///
    /// # Errors
    ///
    /// [`ProposalError::NotAProposal`], [`ProposalError::OtherKind`].
    pub fn parse(json: &[u8]) -> Result<Self, ProposalError> {
        let refuse = ProposalError::NotAProposal;
        let value = Value::parse(json.trim_ascii_end()).map_err(refuse)?;
        if let Some(payload) = unsigned_payload(&value) {
            return Self::read(payload).map_err(refuse);
        }
        let envelope = Envelope::from_value(value).map_err(refuse)?;
        if envelope.kind() != Kind::Charter {
            return Err(ProposalError::OtherKind(envelope.kind()));
        }
        let proposal = Self::read(envelope.payload().to_vec()).map_err(refuse)?;
        Ok(Self {
            envelope: Some(envelope),
            ..proposal
        })
    }

    /// What is proposed.
    pub const fn charter(&self) -> &Charter {
        &self.charter
    }

    /// The name that it will have in the log.
    ///
    /// # Errors
    ///
    /// None that a proposal has a reason for.
    pub fn hash(&self) -> Result<RecordHash, ProposalError> {
        // The name is that of what is signed, whoever signs: any key will do to find it.
        let anybody = PrivateKey::from_seed(&[0; 32]);
        let envelope = Envelope::sign(Kind::Charter, self.payload.clone(), &[&anybody]);
        envelope
            .map(|envelope| envelope.record_hash())
            .map_err(ProposalError::NoSuchCharter)
    }

    /// Adds a signature.
    ///
    /// # Errors
    ///
    /// [`ProposalError::NotSigned`] if the key has signed already.
    pub fn sign(self, key: &PrivateKey) -> Result<Self, ProposalError> {
        let signed = match self.envelope {
            None => Envelope::sign(Kind::Charter, self.payload.clone(), &[key]),
            Some(envelope) => {
                let signature = Signature {
                    keyid: key.public().id(),
                    sig: key.sign(&envelope.signed_bytes()),
                };
                envelope.with_signature(signature)
            }
        };
        Ok(Self {
            envelope: Some(signed.map_err(ProposalError::NotSigned)?),
            ..self
        })
    }

    /// How far the roots of the charter before and of this one have come: both have to reach their thresholds.
    ///
    /// # Errors
    ///
    /// [`ProposalError::BadSignature`].
    pub fn tallies(&self, before: &Charter) -> Result<[Tally; 2], ProposalError> {
        let signers = self.signers(before)?;
        let tally = |charter: &Charter| {
            let roots = signers.iter().filter(|id| charter.grants(Role::Root, id));
            Tally {
                version: charter.version,
                got: roots.count() as u64,
                want: charter.thresholds.root,
            }
        };
        Ok([tally(before), tally(&self.charter)])
    }

    /// What it changes.
    ///
    /// # Errors
    ///
    /// None that a proposal has a reason for.
    pub fn changes(&self, before: &Value) -> Result<Vec<Change>, ProposalError> {
        let new = Value::parse(&self.payload).map_err(ProposalError::NotAProposal)?;
        let mut changes = Vec::new();
        compare("", before, &new, &mut changes);
        Ok(changes)
    }

    /// The record, if anybody has signed it.
    ///
    /// # Errors
    ///
    /// [`ProposalError::NotSigned`] if nobody has.
    pub fn signed(&self) -> Result<SignedRecord, ProposalError> {
        let nobody = || ledger::codes::Code::Malformed.because("nobody has signed");
        let envelope = self.envelope.clone().ok_or_else(nobody);
        let signed = envelope.and_then(SignedRecord::from_envelope);
        signed.map_err(ProposalError::NotSigned)
    }

    /// The proposal as one JSON text.
    pub fn to_json(&self) -> String {
        let unsigned = || {
            object([
                ("payloadType", Kind::Charter.payload_type().into()),
                ("payload", tlog::base64::encode(&self.payload).into()),
                ("signatures", Value::Array(Vec::new())),
            ])
        };
        let envelope = self.envelope.as_ref();
        envelope.map_or_else(unsigned, Envelope::to_value).to_json()
    }

    fn read(payload: Vec<u8>) -> Result<Self, Refusal> {
        let record = Record::parse(Kind::Charter, &payload)?;
        let Body::Charter(charter) = record.body else {
            return Err(ledger::codes::Code::Malformed.because("another kind of record"));
        };
        Ok(Self {
            payload,
            charter: *charter,
            envelope: None,
        })
    }

    /// The keys that have signed, each checked.
    fn signers(&self, before: &Charter) -> Result<Vec<KeyId>, ProposalError> {
        let keys = || before.keys.iter().chain(&self.charter.keys);
        let find = |id: &KeyId| keys().map(|key| key.key).find(|key| key.id() == *id);
        let envelope = self.envelope.as_ref();
        let checked = envelope.map_or_else(Vec::new, |envelope| envelope.check_signatures(&find));
        let signer = |checked: Checked| match checked.validity {
            Validity::Valid => Ok(checked.keyid),
            Validity::Invalid | Validity::Unknown => {
                Err(ProposalError::BadSignature(checked.keyid))
            }
        };
        checked.into_iter().map(signer).collect()
    }
}

impl Tally {
    /// How many signatures are missing.
    pub const fn missing(self) -> u64 {
        self.want.saturating_sub(self.got)
    }
}

/// The payload of an envelope for a charter that nobody has signed.
fn unsigned_payload(value: &Value) -> Option<Vec<u8>> {
    let Value::Object(members) = value else {
        return None;
    };
    let charter = Value::from(Kind::Charter.payload_type());
    match members.as_slice() {
        [
            (a, payload_type),
            (b, Value::Text(payload)),
            (c, Value::Array(signatures)),
        ] if a == "payloadType"
            && b == "payload"
            && c == "signatures"
            && *payload_type == charter
            && signatures.is_empty() =>
        {
            tlog::base64::decode(payload).ok()
        }
        _ => None,
    }
}

fn compare(path: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        changes.push(Change {
            path: path.to_owned(),
            old: old.clone(),
            new: new.clone(),
        });
        return;
    };
    let dot = if path.is_empty() { "" } else { "." };
    for (name, new) in after {
        let old = before.iter().find(|(known, _)| known == name);
        let old = old.map_or(&Value::Null, |(_, value)| value);
        compare(&format!("{path}{dot}{name}"), old, new, changes);
    }
}

#[cfg(test)]
mod tests {
    use ledger::record::{CharterKey, Limits, Liveness, Mode, RULES, Thresholds};

    use super::*;

    const NOW_MS: u64 = 1_764_000_000_000;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    fn before() -> Charter {
        let charter_key = |seed, role: Role| CharterKey {
            key: key(seed).public(),
            name: role.as_str().parse().unwrap(),
            roles: vec![role],
        };
        Charter {
            version: 1,
            rules: RULES,
            origin: "example.com/workledger".to_owned(),
            log_keys: vec![
                "example.com/workledger+010682ba+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
                    .parse()
                    .unwrap(),
            ],
            previous: None,
            mode: Mode::Enforce,
            thresholds: Thresholds::default(),
            keys: vec![
                charter_key(1, Role::Root),
                charter_key(2, Role::Root),
                charter_key(3, Role::Operator),
                charter_key(4, Role::Control),
            ],
            distrusted: vec![],
            limits: Limits::default(),
            liveness: Liveness::default(),
        }
    }

    fn proposal(changes: &str) -> Result<Proposal, ProposalError> {
        let log = RecordHash::new(ledger::digest::Digest::of(&[]));
        let changes = Value::parse(changes.as_bytes()).unwrap();
        Proposal::amending(log, &before(), log, changes, NOW_MS)
    }

    #[test]
    fn it_passes_from_hand_to_hand() {
        let unsigned = proposal(r#"{"thresholds":{"root":2}}"#).unwrap();
        assert_eq!(
            (
                unsigned.charter().version,
                unsigned.charter().thresholds.root
            ),
            (2, 2)
        );
        let again = Proposal::parse(unsigned.to_json().as_bytes()).unwrap();
        let missing =
            |proposal: &Proposal| proposal.tallies(&before()).unwrap().map(Tally::missing);
        assert_eq!(missing(&again), [1, 2]);
        let one = again.sign(&key(1)).unwrap();
        assert_eq!(missing(&one), [0, 1]);
        let two = Proposal::parse(one.to_json().as_bytes()).unwrap();
        let two = two.sign(&key(2)).unwrap();
        assert_eq!(missing(&two), [0, 0]);
        assert_eq!(two.signed().unwrap().hash(), unsigned.hash().unwrap());
        assert!(matches!(
            two.sign(&key(2)),
            Err(ProposalError::NotSigned(_))
        ));
    }

    #[test]
    fn only_roots_count_and_strangers_are_named() {
        let signed = proposal("{}").unwrap().sign(&key(3)).unwrap();
        assert_eq!(
            signed.tallies(&before()).unwrap().map(|tally| tally.got),
            [0, 0]
        );
        let stranger = proposal("{}").unwrap().sign(&key(9)).unwrap();
        assert!(matches!(
            stranger.tallies(&before()),
            Err(ProposalError::BadSignature(_))
        ));
    }

    #[test]
    fn what_it_changes_is_told_by_path() {
        let proposal = proposal(r#"{"mode":"observe","limits":{"denials_max":3}}"#).unwrap();
        let old = Record {
            log: None,
            at_ms: NOW_MS,
            body: Body::Charter(Box::new(before())),
            ext: None,
        };
        let old = Value::parse(old.to_payload().as_bytes()).unwrap();
        let changes = proposal.changes(&old).unwrap();
        let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(
            paths,
            ["log", "version", "previous", "mode", "limits.denials_max"]
        );
        assert_eq!((&changes[4].old, &changes[4].new), (&10.into(), &3.into()));
    }

    #[test]
    fn what_contradicts_itself_is_not_proposed() {
        for changes in [
            r#"{"thresholds":{"root":3}}"#,
            r#"{"keys":[]}"#,
            r#"{"mode":"sleep"}"#,
            r#"{"nonsense":1}"#,
        ] {
            let refused = proposal(changes);
            assert!(
                matches!(refused, Err(ProposalError::NoSuchCharter(_))),
                "{changes}"
            );
        }
    }
}
