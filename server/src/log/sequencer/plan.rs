//! The plan of a group: which leaves it has and what they lead to. Pure: nothing is read, written or timed here.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::govern::State;
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::record::{CheckedRecord, Kind, Role, StateRoot};
use store::{Mention, TileKey};
use tlog::note::VerifierKey;
use tlog::tile::{Edge, Tile};
use tlog::{Hash, LeafIndex, leaf_hash};

use super::Fatal;
use super::duties::Duty;
use super::refusals::Refusals;
use crate::log::Outcome;

/// What became of a submitted record in its group.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is a leaf of the group.
    Logged {
        index: LeafIndex,
        breach: Option<Refusal>,
    },
    /// It was there before, or further up in the group.
    Duplicate { index: LeafIndex },
    /// The rules refuse it.
    Refused(Refusal),
}

/// Whether the charter in force names the keys that the service signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyStanding {
    /// It names both.
    Held,
    /// It gives the control role to another key.
    ControlLost,
    /// Another key signs heads.
    LogKeyReplaced,
}

/// What the store says about a submitted record.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Where it is, if it was logged before.
    pub(super) index: Option<LeafIndex>,
    /// The records that it builds on and that the store does not have.
    pub(super) absent: Vec<RecordHash>,
}

impl Verdict {
    /// The word for it in a metric.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Logged { .. } => Outcome::Logged.as_str(),
            Self::Duplicate { .. } => Outcome::Duplicate.as_str(),
            Self::Refused(refusal) => refusal.code.as_str(),
        }
    }
}

/// What a log grows by, and what it then is.
#[derive(Debug)]
pub(super) struct Growth {
    pub(super) first: LeafIndex,
    pub(super) leaves: Vec<(RecordHash, Vec<u8>)>,
    /// Of each leaf its hash in the tree.
    pub(super) hashes: Vec<Hash>,
    pub(super) mentions: Vec<Mention>,
    pub(super) tiles: Vec<(TileKey, Vec<Hash>)>,
    /// When all of it was received.
    pub(super) time_ms: u64,
    pub(super) edge: Edge,
    pub(super) state: State,
    /// What of it the service added by itself.
    pub(super) duties: Vec<Duty>,
    /// The log in front of its newest pulse.
    pub(super) pulsed: Option<(Edge, State)>,
}

/// A group while it is made: the tree and the state as they will be when it is committed.
#[derive(Debug)]
pub(super) struct Plan {
    edge: Edge,
    state: State,
    now_ms: u64,
    pub(super) control: Arc<PrivateKey>,
    log_key: VerifierKey,
    office: KeyStanding,
    /// What the service adds by itself.
    pub(super) duties: Vec<Duty>,
    pulsed: Option<(Edge, State)>,
    first: LeafIndex,
    leaves: Vec<(RecordHash, Vec<u8>)>,
    hashes: Vec<Hash>,
    mentions: Vec<Mention>,
    tiles: Vec<(TileKey, Vec<Hash>)>,
    indices: BTreeMap<RecordHash, LeafIndex>,
}

impl Plan {
    /// An empty plan on top of a tree and its state. `received_ms` never decreases, so a clock that went back a
    /// little stands still until it has caught up.
    pub(super) fn new(
        edge: Edge,
        state: State,
        wall_ms: u64,
        control: Arc<PrivateKey>,
        log_key: VerifierKey,
    ) -> Self {
        Self {
            now_ms: wall_ms.max(state.last_received_ms()),
            first: LeafIndex::new(edge.size().get()),
            office: KeyStanding::of(&state, &control, &log_key),
            edge,
            state,
            control,
            log_key,
            duties: Vec::new(),
            pulsed: None,
            leaves: Vec::new(),
            hashes: Vec::new(),
            mentions: Vec::new(),
            tiles: Vec::new(),
            indices: BTreeMap::new(),
        }
    }

    /// The time at which everything in the group is received.
    pub(super) const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// How many leaves the log has so far.
    pub(super) const fn size(&self) -> u64 {
        self.edge.size().get()
    }

    /// The state so far.
    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    /// Keeps the log as it is in front of a pulse, and gives the root of its state.
    pub(super) fn note_state(&mut self) -> StateRoot {
        let root = self.state.root();
        self.pulsed = Some((self.edge.clone(), self.state.clone()));
        root
    }

    /// Whether the charter names the keys that the service signs with.
    pub(super) const fn office(&self) -> KeyStanding {
        self.office
    }

    /// Judges a submitted record; keys that the pool's older state did not have are looked up here. If the rules
    /// admit it, adds it and, directly behind it, the transitions that it causes and the renewal that it earns; if not,
    /// the refusal, where one is to be logged at once. `known` is what the store has of it.
    pub(super) fn submitted(
        &mut self,
        record: CheckedRecord,
        known: Known,
        refusals: &mut Refusals,
    ) -> Result<Verdict, Fatal> {
        let here = self.indices.get(&record.hash()).copied();
        if let Some(index) = known.index.or(here) {
            return Ok(Verdict::Duplicate { index });
        }
        if self.office == KeyStanding::LogKeyReplaced {
            // The old key may sign the tree that the amendment ends, and none that is larger.
            let why = "an amendment has just replaced the log key";
            return Ok(Verdict::Refused(Code::Stopping.because(why)));
        }
        match self.admit_upon(&record, &known.absent) {
            // An amendment may just have removed a key: its successor does what is due.
            Ok(verdict) if self.office != KeyStanding::Held => Ok(verdict),
            Ok(verdict) => {
                self.transitions()?;
                self.renewal(&record)?;
                Ok(verdict)
            }
            Err(refusal) if self.office != KeyStanding::Held => Ok(Verdict::Refused(refusal)),
            Err(refusal) => {
                self.refused(&record, &refusal, refusals)?;
                Ok(Verdict::Refused(refusal))
            }
        }
    }

    /// What there is to commit; `None` if the group is empty.
    pub(super) fn finish(self) -> Option<Growth> {
        if self.leaves.is_empty() {
            return None;
        }
        Some(Growth {
            first: self.first,
            leaves: self.leaves,
            hashes: self.hashes,
            mentions: self.mentions,
            tiles: self.tiles,
            time_ms: self.now_ms,
            edge: self.edge,
            state: self.state,
            duties: self.duties,
            pulsed: self.pulsed,
        })
    }

    /// Lets a record in if the rules do, and if what it builds on is in the log before it.
    fn admit_upon(
        &mut self,
        record: &CheckedRecord,
        absent: &[RecordHash],
    ) -> Result<Verdict, Refusal> {
        let Some(unknown) = absent.iter().find(|hash| !self.indices.contains_key(hash)) else {
            return self.admit(record);
        };
        // What the rules say about it comes first: a stranger learns nothing of what is in the log.
        self.state.admit(record, self.now_ms)?;
        Err(Code::ReferenceUnknown.because(unknown))
    }

    /// Lets a record in, if the rules do.
    pub(super) fn admit(&mut self, record: &CheckedRecord) -> Result<Verdict, Refusal> {
        let breach = self.state.admit(record, self.now_ms)?.breach;
        let index = self.append(record)?;
        Ok(Verdict::Logged { index, breach })
    }

    fn append(&mut self, record: &CheckedRecord) -> Result<LeafIndex, Refusal> {
        let leaf = Leaf::encode(self.now_ms, record.signed().envelope())?;
        let index = LeafIndex::new(self.edge.size().get());
        let hash = leaf_hash(&leaf);
        self.hashes.push(hash);
        let full = self.edge.push(hash).into_iter();
        self.tiles
            .extend(full.map(|(tile, hashes)| (key_of(tile), hashes)));
        self.state.apply(index, self.now_ms, record);
        if record.signed().kind() == Kind::Charter {
            self.office = KeyStanding::of(&self.state, &self.control, &self.log_key);
        }
        self.indices.insert(record.hash(), index);
        self.mentions
            .extend(Mention::all_of(index, record.signed()));
        self.leaves.push((record.hash(), leaf));
        Ok(index)
    }
}

impl KeyStanding {
    fn of(state: &State, control: &PrivateKey, log_key: &VerifierKey) -> Self {
        let (charter, keyid) = (state.charter(), control.public().id());
        if charter.is_some_and(|charter| !charter.log_keys.contains(log_key)) {
            return Self::LogKeyReplaced;
        }
        match charter.is_some_and(|charter| charter.grants(Role::Control, &keyid)) {
            true => Self::Held,
            false => Self::ControlLost,
        }
    }
}

fn key_of(tile: Tile) -> TileKey {
    TileKey {
        level: tile.level,
        index: tile.index,
    }
}
