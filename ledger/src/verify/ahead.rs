//! Leaves that are read before their turn, so that several threads can do it side by side.
//!
//! Most of what a verification costs is a function of one line alone: reading it, hashing it, and checking its signatures,
//! once a key is named. All this may be done by anybody, in any order. Whether the keys were in force, and what the record
//! means, is judged in the order of the log by whoever holds the [`Verifier`](super::Verifier), which asks for each
//! signature by its key as ever, and so comes to the same report whatever was read ahead.
//!
//! Nothing here starts a thread: the crate is pure.

use tlog::note::VerifierKey;
use tlog::{Hash, leaf_hash};

use crate::codes::Refusal;
use crate::govern::State;
use crate::key::{KeyId, PublicKey};
use crate::pack::Line;
use crate::record::{Body, SignedRecord};
use crate::table::Table;
use crate::verify::records::read_leaf;

/// The most keys that are kept to check signatures ahead, 60 MB of them: a log has as many agents as it likes, and one
/// that is made to do harm names a key in each record. By any other the signatures are checked in their turn.
const MAX_KEYS: usize = 1 << 18;

/// The most keys of logs: a charter has few, and charters are few.
const MAX_LOG_KEYS: usize = 64;

/// The keys that records bring: by these the ones behind them are likely to be signed. Nobody has looked at whether they
/// are in force.
#[derive(Clone, Debug, Default)]
pub struct LikelyKeys {
    keys: Table<KeyId, Option<PublicKey>>,
    logs: Vec<(String, VerifierKey)>,
}

impl LikelyKeys {
    /// Those of a state.
    pub(super) fn of(state: &State) -> Self {
        let mut likely = Self::default();
        state.keys().for_each(|key| likely.put(key));
        let logs = state.logs().into_iter();
        logs.for_each(|log| likely.put_log(log));
        likely
    }

    /// A key by its name.
    pub fn key(&self, id: &KeyId) -> Option<PublicKey> {
        self.keys.get(id).copied().flatten()
    }

    /// The keys of logs, each beside the origin that its charter names.
    pub fn logs(&self) -> &[(String, VerifierKey)] {
        &self.logs
    }

    /// Takes up the keys that the records in these lines bring.
    pub fn take(&mut self, lines: &LinesAhead) {
        for record in lines.records().filter(|record| record.certifies()) {
            record
                .brings_keys()
                .into_iter()
                .for_each(|key| self.put(key));
            if let Body::Charter(charter) = &record.record().body {
                let keys = charter.log_keys.iter();
                keys.for_each(|key| self.put_log((charter.origin.clone(), key.clone())));
            }
        }
    }

    /// Calls with each key of a signer.
    pub(super) fn each(&self, take: impl FnMut(&PublicKey)) {
        let keys = self.keys.iter().filter_map(|(_, key)| key.as_ref());
        keys.for_each(take);
    }

    pub(super) fn put(&mut self, key: PublicKey) {
        if self.keys.len() < MAX_KEYS {
            self.keys.change(&key.id(), |it| *it = Some(key));
        }
    }

    pub(super) fn put_log(&mut self, log: (String, VerifierKey)) {
        if self.logs.len() < MAX_LOG_KEYS && !self.logs.contains(&log) {
            self.logs.push(log);
        }
    }
}

/// Whole lines of a pack, read ahead.
#[derive(Debug)]
pub struct LinesAhead {
    bytes: Vec<u8>,
    lines: Vec<LineAhead>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct LineAhead {
    pub(super) line: Result<Line, Refusal>,
    pub(super) leaf: Option<LeafAhead>,
}

/// A leaf by itself: its hash, when the log received it, and the record in it.
#[derive(Debug)]
pub(super) struct LeafAhead {
    pub(super) hash: Hash,
    pub(super) record: Result<(u64, SignedRecord), Refusal>,
}

impl LinesAhead {
    /// Reads lines, the last of which has its end.
    #[must_use]
    pub fn read(bytes: Vec<u8>) -> Self {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let lines = lines.map(LineAhead::read).collect();
        Self { bytes, lines }
    }

    /// Lines that were read.
    pub(super) const fn of(bytes: Vec<u8>, lines: Vec<LineAhead>) -> Self {
        Self { bytes, lines }
    }

    /// Each with what was read of it.
    pub(super) fn lines(&self) -> &[LineAhead] {
        &self.lines
    }

    /// Whether a record in them brings keys.
    #[must_use]
    pub fn bring_keys(&self) -> bool {
        self.records().any(SignedRecord::certifies)
    }

    /// Checks the signatures in them by the keys that are likely to have made them.
    pub fn check(
        &mut self,
        key: &dyn Fn(&KeyId) -> Option<PublicKey>,
        logs: &[(String, VerifierKey)],
    ) {
        for leaf in self.lines.iter_mut().filter_map(|it| it.leaf.as_mut()) {
            if let Ok((_, record)) = &mut leaf.record {
                record.check_ahead(key, logs);
            }
        }
    }

    /// The lines as they came, each with what was read of it.
    pub(super) fn into_parts(self) -> (Vec<u8>, Vec<LineAhead>) {
        (self.bytes, self.lines)
    }

    fn records(&self) -> impl Iterator<Item = &SignedRecord> {
        let leaves = self.lines.iter().filter_map(|it| it.leaf.as_ref());
        leaves.filter_map(|leaf| leaf.record.as_ref().ok().map(|(_, record)| record))
    }
}

impl LineAhead {
    fn read(bytes: &[u8]) -> Self {
        let line = Line::parse(bytes);
        let leaf = match &line {
            Ok(Line::Leaf(entry)) => Some(LeafAhead::read(entry.leaf.as_bytes())),
            _ => None,
        };
        Self { line, leaf }
    }
}

impl LeafAhead {
    /// Reads the exact bytes of a leaf.
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self {
            hash: leaf_hash(bytes),
            record: read_leaf(bytes),
        }
    }
}
