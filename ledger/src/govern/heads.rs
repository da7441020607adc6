//! Whose signature makes a head the log's: the keys that charters bring for it, each from its index on.

use tlog::checkpoint::SignedCheckpoint;
use tlog::note::VerifierKey;

use super::state::State;
use crate::codes::{Code, Refusal};
use crate::key::KeyId;
use crate::record::{Charter, CheckedRecord, Pulse, Seen};

/// The log keys of a charter, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct LogKeys {
    pub(super) index: u64,
    pub(super) keys: Vec<VerifierKey>,
}

impl State {
    /// The keys that signed heads, from the index of the charter that brought them on.
    pub(crate) fn log_keys(&self) -> impl Iterator<Item = (u64, &[VerifierKey])> {
        self.log_keys
            .iter()
            .map(|held| (held.index, held.keys.as_slice()))
    }

    /// All of these, each beside the origin that the charter in force names.
    pub fn logs(&self) -> Vec<(String, VerifierKey)> {
        let origin = self.charter().map(|charter| charter.origin.as_str());
        let keys = self.log_keys().flat_map(|(_, keys)| keys);
        let beside = |key: &VerifierKey| Some((origin?.to_owned(), key.clone()));
        keys.filter_map(beside).collect()
    }

    /// The keys that may sign a head of this size: those in force before or after its last leaf.
    pub fn log_keys_at(&self, size: u64) -> impl Iterator<Item = &VerifierKey> {
        let in_force = |leaves: u64| {
            let mut newest_first = self.log_keys.iter().rev();
            let held = newest_first.find(|held| held.index < leaves);
            // Charter 1 is before everything.
            held.or(self.log_keys.first())
        };
        let (before, after) = (in_force(size.saturating_sub(1)), in_force(size));
        let held = before.into_iter().chain(after);
        held.flat_map(|held| &held.keys)
    }

    /// Whether a key in force at its size has signed a head.
    ///
    /// # Errors
    /// `checkpoint-not-in-charter`.
    pub fn signed_in_force(&self, head: &SignedCheckpoint) -> Result<(), Refusal> {
        let size = head.unverified().size.get();
        if self.log_keys_at(size).any(|key| head.verify(key).is_ok()) {
            return Ok(());
        }
        let why = format!("of size {size}: no key signed it that the charter names there");
        Err(Code::CheckpointNotInCharter.because(why))
    }

    /// Whether the log has signed the head that an agent says in this record it was shown.
    pub(crate) fn is_signed_by_the_log(
        &self,
        record: &CheckedRecord,
        seen: &Seen,
    ) -> Result<(), Refusal> {
        let origin = &self.charter_in_force()?.origin;
        let is_in_force = |key| self.log_keys_at(seen.size).any(|other| other == key);
        if let Some((of, key)) = record.seen_of()
            && of == origin
            && is_in_force(key)
        {
            return Ok(());
        }
        let signed = seen.signed_by(origin);
        let signed = signed.map_err(|error| Code::Malformed.because(format!("seen: {error}")))?;
        let foreign = |_| Code::Malformed.because("seen: the signature is not the log's");
        self.signed_in_force(&signed).map_err(foreign)
    }

    /// Whether what a pulse shows was witnessed is a head of this log, and no older one than was shown before.
    pub(crate) fn is_witnessed(&self, pulse: &Pulse) -> Result<(), Refusal> {
        let Some(text) = &pulse.witnessed else {
            return Ok(());
        };
        let unfounded = |why: String| Code::PulseUnfounded.because(format!("witnessed: {why}"));
        let head = SignedCheckpoint::parse(text).map_err(|error| unfounded(error.to_string()))?;
        self.signed_in_force(&head)
            .map_err(|refusal| unfounded(refusal.detail))?;
        let (size, last) = (head.unverified().size.get(), self.witnessed_size);
        if size < last {
            return Err(unfounded(format!("size {size} after {last}")));
        }
        Ok(())
    }

    /// Whether a key, by its bytes, was ever one of the log's.
    pub(super) fn was_log_key(&self, id: &KeyId) -> bool {
        let mut keys = self.log_keys.iter().flat_map(|held| &held.keys);
        keys.any(|key| KeyId::of(key.key_bytes()) == *id)
    }
}

impl LogKeys {
    pub(super) fn of(charter: &Charter, index: u64) -> Self {
        let keys = charter.log_keys.clone();
        Self { index, keys }
    }

    pub(super) fn are_of(&self, charter: &Charter) -> bool {
        self.keys == charter.log_keys
    }
}
