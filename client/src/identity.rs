//! Which log this is: by whose keys its checkpoints are signed, and by what name its records are bound to it.

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::leaf::Leaf;
use ledger::record::{Body, Kind, Record, SignedRecord};
use ledger::verify::Trust;
use tlog::LeafIndex;
use tlog::note::VerifierKey;
use tlog::policy::{ParsePolicyError, Policy};
use tlog::proof::ProofFile;

use crate::charters;
use crate::entry::EntryError;
use crate::http::Service;
use crate::transport::ServiceError;
use crate::transport::Transport;

/// Who says which log this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The caller's own trust file.
    Pinned,
    /// The service itself: whatever it shows verifies against what it says, and against nothing else.
    Told,
}

/// A log, as far as its answers can be checked.
///
/// Checkpoints are held to the log's own signature here. Whether enough witnesses have seen one is a question for
/// evidence, which has had time to be witnessed: an answer that waits for nobody has none yet.
#[derive(Clone, Debug)]
pub struct LogIdentity {
    /// The record hash of charter 1, which every record of the log names.
    pub log: RecordHash,
    /// The keys of the log.
    pub policy: Policy,
    /// Who says so.
    pub source: Source,
}

/// Why it cannot be said which log this is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The service was not to be asked.
    #[error("the log's charter could not be fetched")]
    Service(#[from] ServiceError),
    /// What the service calls its charter is none.
    #[error("what the service sent is not a charter: {0}")]
    Charter(Refusal),
    /// The service does not show the charter that its log began with.
    #[error("the service does not prove the charter that its log began with")]
    NotShown(#[from] EntryError),
    /// The keys are not keys of a log.
    #[error("the log's keys are not keys")]
    Keys(#[from] ParsePolicyError),
}

impl LogIdentity {
    /// The log that a trust file names.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Keys`], which a policy that was read has no reason for.
    pub fn pinned(trust: &Trust) -> Result<Self, IdentityError> {
        let keys = trust.policy.logs().iter().map(|log| &log.key);
        Ok(Self {
            log: trust.charter,
            policy: signed_by(keys)?,
            source: Source::Pinned,
        })
    }

    /// The trust in the log that a service says it is, for a person to compare before anybody goes by it: the charter
    /// at index 0, its name, the keys that it gives the log, and that one of these has signed for it.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub fn introduced_by(service: &impl Transport) -> Result<Trust, IdentityError> {
        let first = LeafIndex::new(0);
        let proof = service.proof(first, None)?;
        let refuse = |refusal| IdentityError::Charter(refusal);
        let leaf = ProofFile::parse(&proof).map_err(EntryError::from)?.extra;
        let leaf = Leaf::parse(&leaf.ok_or(EntryError::NoLeaf)?).map_err(refuse)?;
        let signed = SignedRecord::from_envelope(leaf.into_envelope()).map_err(refuse)?;
        let Body::Charter(charter) = &signed.record().body else {
            return Err(refuse(Code::Malformed.because("another kind of record")));
        };
        let log = Self {
            log: signed.hash(),
            policy: signed_by(charter.log_keys.iter())?,
            source: Source::Told,
        };
        charters::open(service, &log, &proof, first)?;
        Ok(Trust {
            charter: log.log,
            policy: log.policy,
            from: None,
        })
    }

    /// The log that a service says it is.
    ///
    /// # Errors
    ///
    /// [`IdentityError`].
    pub fn told_by(service: &Service) -> Result<Self, IdentityError> {
        let (answer, value) = service.charter()?;
        let payload =
            member(value, "charter").map_or_else(String::new, |charter| charter.to_json());
        let record =
            Record::parse(Kind::Charter, payload.as_bytes()).map_err(IdentityError::Charter)?;
        let Body::Charter(charter) = record.body else {
            return Err(IdentityError::Charter(
                Code::Malformed.because("another kind of record"),
            ));
        };
        Ok(Self {
            log: answer.log,
            policy: signed_by(charter.log_keys.iter())?,
            source: Source::Told,
        })
    }
}

fn member(value: ledger::json::Value, name: &str) -> Option<ledger::json::Value> {
    let ledger::json::Value::Object(members) = value else {
        return None;
    };
    members
        .into_iter()
        .find_map(|(member, value)| (member == name).then_some(value))
}

fn signed_by<'a>(keys: impl Iterator<Item = &'a VerifierKey>) -> Result<Policy, ParsePolicyError> {
    let logs: String = keys.map(|key| format!("log {key}\n")).collect();
    Policy::parse(&format!("{logs}quorum none\n"))
}
