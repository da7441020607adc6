//! The charters of a log, followed from the one that is pinned.
//!
//! Each charter is signed by the roots of the one before it. So when the roots give the log another key, whoever has the
//! first charter finds that out from the log itself, and believes nobody's word for it: not that of whoever holds the old
//! key, nor that of the service.

use ledger::digest::RecordHash;
use ledger::govern::State;
use ledger::leaf::Leaf;
use ledger::record::{Body, SignedRecord};
use tlog::LeafIndex;
use tlog::checkpoint::{CheckpointError, SignedCheckpoint};
use tlog::note::VerifierKey;
use tlog::policy::Policy;
use tlog::proof::{ProofFile, VerifyProofFileError};

use crate::entry::{Entry, EntryError};
use crate::identity::LogIdentity;
use crate::transport::Transport;

/// The most charters that are followed: a log that was amended more often than that is not one of people.
const MAX_CHARTERS: usize = 1_000;

/// The charters up to the one in force, each signed by the roots before it.
struct Charters {
    state: State,
    keys: Vec<VerifierKey>,
}

/// The log, with the keys that its charters have brought since the one that is pinned. If the service does not show
/// them, the log is what it was: then what a new key signs does not verify.
pub fn followed(log: LogIdentity, transport: &(impl Transport + ?Sized)) -> LogIdentity {
    match Charters::follow(transport, &log) {
        Some(charters) => charters.identity(&log).unwrap_or(log),
        None => log,
    }
}

/// Opens the proof of an entry. If it is under a head by a key that is not known, the charters are asked for it.
pub(crate) fn open(
    transport: &(impl Transport + ?Sized),
    log: &LogIdentity,
    proof_file: &str,
    index: LeafIndex,
) -> Result<Entry, EntryError> {
    match Entry::open(proof_file, index, log) {
        Err(error) if is_by_another_key(&error) => {
            let charters = Charters::follow(transport, log);
            let open = |charters: Charters| charters.open(proof_file, index, log);
            charters.and_then(open).ok_or(error)
        }
        opened => opened,
    }
}

impl Charters {
    /// Asks for the charter in force and for all before it, back to the one that is pinned, and judges them by the rules.
    fn follow(transport: &(impl Transport + ?Sized), log: &LogIdentity) -> Option<Self> {
        let mut next = Some(transport.charter().ok()?.record);
        if next == Some(log.log) {
            return None;
        }
        let mut newest_first = Vec::new();
        while let Some(hash) = next {
            let charter = Held::fetch(transport, hash)?;
            next = charter.previous();
            newest_first.push(charter);
            if newest_first.len() > MAX_CHARTERS {
                return None;
            }
        }
        let (mut state, mut keys) = (State::new(), Vec::new());
        for Held {
            index,
            received_ms,
            record,
        } in newest_first.into_iter().rev()
        {
            let record = record.check(&|id| state.key(id));
            state.admit(&record, received_ms).ok()?;
            state.apply(index, received_ms, &record);
            let named = state.charter().map(|charter| charter.log_keys.clone());
            keys.extend(named.unwrap_or_default());
        }
        (state.log() == Some(log.log)).then_some(Self { state, keys })
    }

    fn identity(&self, log: &LogIdentity) -> Option<LogIdentity> {
        let mut keys: Vec<&VerifierKey> = Vec::new();
        for key in self
            .keys
            .iter()
            .chain(log.policy.logs().iter().map(|log| &log.key))
        {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let logs: String = keys.iter().map(|key| format!("log {key}\n")).collect();
        let policy = Policy::parse(&format!("{logs}quorum none\n")).ok()?;
        Some(LogIdentity {
            policy,
            ..log.clone()
        })
    }

    /// The entry, if the key that signed its head was in force there.
    fn open(&self, proof_file: &str, index: LeafIndex, log: &LogIdentity) -> Option<Entry> {
        let entry = Entry::open(proof_file, index, &self.identity(log)?).ok()?;
        let head: &SignedCheckpoint = entry.checkpoint().signed();
        self.state.signed_in_force(head).is_ok().then_some(entry)
    }
}

/// A charter as it is in the log. Its name binds what it says; whether it counts, its signatures say.
struct Held {
    index: LeafIndex,
    received_ms: u64,
    record: SignedRecord,
}

impl Held {
    fn fetch(transport: &(impl Transport + ?Sized), hash: RecordHash) -> Option<Self> {
        let index = LeafIndex::new(transport.place(&hash).ok()?.index);
        let file = ProofFile::parse(&transport.proof(index, None).ok()?).ok()?;
        let leaf = Leaf::parse(file.extra.as_deref()?).ok()?;
        let received_ms = leaf.received_ms();
        let record = SignedRecord::from_envelope(leaf.into_envelope()).ok()?;
        (record.hash() == hash).then_some(Self {
            index,
            received_ms,
            record,
        })
    }

    fn previous(&self) -> Option<RecordHash> {
        match &self.record.record().body {
            Body::Charter(charter) => charter.previous,
            _ => None,
        }
    }
}

fn is_by_another_key(error: &EntryError) -> bool {
    matches!(
        error,
        EntryError::NotProven(VerifyProofFileError::Checkpoint(
            CheckpointError::NotSignedByLog { .. }
        ))
    )
}
