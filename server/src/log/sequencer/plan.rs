//! The plan of a group: which leaves it has and what they lead to. Pure: nothing is read, written or timed here.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::govern::{Agent, State};
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::record::{Body, CheckedRecord, Phase, Pulse, Record, Refused};
use ledger::text::Name;
use tlog::tile::{Edge, Tile};
use tlog::{Hash, LeafIndex, TreeSize, leaf_hash};

use super::Fatal;
use super::refusals::Refusals;
use crate::log::Outcome;
use crate::store::{Group, StoredCheckpoint, TileKey};

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

/// The tree and the state as they will be when the group is committed.
#[derive(Debug)]
pub(super) struct Plan {
    edge: Edge,
    state: State,
    now_ms: u64,
    control: Arc<PrivateKey>,
    first: LeafIndex,
    leaves: Vec<(RecordHash, Vec<u8>)>,
    tiles: Vec<(TileKey, Vec<Hash>)>,
    indices: BTreeMap<RecordHash, LeafIndex>,
}

impl Plan {
    /// An empty plan on top of a tree and its state. `received_ms` never decreases, so a clock that went back a
    /// little stands still until it has caught up.
    pub(super) fn new(edge: Edge, state: State, wall_ms: u64, control: Arc<PrivateKey>) -> Self {
        Self {
            now_ms: wall_ms.max(state.last_received_ms()),
            first: LeafIndex::new(edge.size().get()),
            edge,
            state,
            control,
            leaves: Vec::new(),
            tiles: Vec::new(),
            indices: BTreeMap::new(),
        }
    }

    /// The time at which everything in the group is received.
    pub(super) const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The state so far.
    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    /// Adds the control plane's own sign of life.
    pub(super) fn pulse(&mut self) -> Result<(), Fatal> {
        let n = self.state.pulses() + 1;
        let agents = self.state.agent_count();
        self.own(Body::Pulse(Pulse {
            n,
            agents,
            witnessed: None,
        }))
    }

    /// Adds every transition that is due, each judged in the state that the one before it left.
    pub(super) fn transitions(&mut self) -> Result<(), Fatal> {
        while let Some(transition) = self.state.next_duty(self.now_ms) {
            self.own(Body::Transition(transition))?;
        }
        Ok(())
    }

    /// Adds refusals, and behind each the transitions that it causes.
    pub(super) fn refusals(&mut self, refusals: Vec<Refused>) -> Result<(), Fatal> {
        for mut refused in refusals {
            // What was counted for a minute is told in the epoch that is in force now.
            refused.epoch = self.epoch_of(&refused.agent);
            self.own(Body::Refusal(Box::new(refused)))?;
            self.transitions()?;
        }
        Ok(())
    }

    /// Judges a submitted record; keys that the pool's older state did not have are looked up here. If the rules
    /// admit it, adds it and, directly behind it, the transitions that it causes; if not, the refusal, where one is
    /// to be logged at once. `known` is where the store has the record.
    pub(super) fn submitted(
        &mut self,
        record: CheckedRecord,
        known: Option<LeafIndex>,
        refusals: &mut Refusals,
    ) -> Result<Verdict, Fatal> {
        if let Some(index) = known.or_else(|| self.indices.get(&record.hash()).copied()) {
            return Ok(Verdict::Duplicate { index });
        }
        match self.admit(&record) {
            Ok(verdict) => {
                self.transitions()?;
                Ok(verdict)
            }
            Err(refusal) => {
                self.refused(&record, &refusal, refusals)?;
                Ok(Verdict::Refused(refusal))
            }
        }
    }

    /// What to commit; `None` if the group is empty. The new head supersedes `previous` in the history if both are
    /// of one second.
    pub(super) fn group(
        &mut self,
        previous: Option<&StoredCheckpoint>,
        sign: impl FnOnce(TreeSize, Hash) -> String,
    ) -> Option<Group> {
        if self.leaves.is_empty() {
            return None;
        }
        let size = self.edge.size();
        let checkpoint = sign(size, self.edge.root());
        let second = |time_ms: u64| time_ms / 1_000;
        let superseded = previous.filter(|head| second(head.time_ms) == second(self.now_ms));
        Some(Group {
            first: self.first,
            leaves: std::mem::take(&mut self.leaves),
            tiles: std::mem::take(&mut self.tiles),
            checkpoint: StoredCheckpoint {
                size,
                time_ms: self.now_ms,
                checkpoint,
            },
            supersedes: superseded.map(|head| head.size),
        })
    }

    /// The tree and the state, once the group is committed.
    pub(super) fn into_parts(self) -> (Edge, State) {
        (self.edge, self.state)
    }

    /// Lets a record in, if the rules do.
    pub(super) fn admit(&mut self, record: &CheckedRecord) -> Result<Verdict, Refusal> {
        let breach = self.state.admit(record, self.now_ms)?.breach;
        let index = self.append(record)?;
        Ok(Verdict::Logged { index, breach })
    }

    fn append(&mut self, record: &CheckedRecord) -> Result<LeafIndex, Refusal> {
        let leaf = Leaf::new(self.now_ms, record.signed().envelope().clone())?.to_bytes();
        let index = LeafIndex::new(self.edge.size().get());
        let full = self.edge.push(leaf_hash(&leaf)).into_iter();
        self.tiles
            .extend(full.map(|(tile, hashes)| (key_of(tile), hashes)));
        self.state.apply(index, self.now_ms, record);
        self.indices.insert(record.hash(), index);
        self.leaves.push((record.hash(), leaf));
        Ok(index)
    }

    /// Signs a record of the control plane's own and lets it in through the same door as everybody's.
    fn own(&mut self, body: Body) -> Result<(), Fatal> {
        let kind = body.kind();
        let refused = |refusal| Fatal::OwnRecordRefused { kind, refusal };
        let record = Record {
            log: self.state.log(),
            at_ms: self.now_ms,
            body,
            ext: None,
        };
        let signed = record.sign(&[&self.control]).map_err(refused)?;
        let checked = signed.check(|id| self.state.key(id));
        self.admit(&checked).map(drop).map_err(refused)
    }

    fn refused(
        &mut self,
        record: &CheckedRecord,
        refusal: &Refusal,
        refusals: &mut Refusals,
    ) -> Result<(), Fatal> {
        let Some(agent) = self.state.attributable(record) else {
            return Ok(());
        };
        let is_denial = self.state.is_denial(record, refusal.code);
        let refused = Refused {
            epoch: self.epoch_of(&agent),
            agent,
            kind: record.signed().kind(),
            phase: phase_of(record.record()),
            refused: record.hash(),
            code: refusal.code,
            count: 1,
            envelope: is_denial.then(|| record.signed().envelope().clone()),
        };
        let at_once = refusals.note(refused, self.now_ms);
        self.refusals(at_once.into_iter().collect())
    }

    fn epoch_of(&self, agent: &Name) -> u64 {
        self.state.agent(agent).map_or(0, Agent::epoch)
    }
}

fn key_of(tile: Tile) -> TileKey {
    TileKey {
        level: tile.level,
        index: tile.index,
    }
}

fn phase_of(record: &Record) -> Option<String> {
    let Body::Receipt(receipt) = &record.body else {
        return None;
    };
    let phase = match receipt.phase {
        Phase::Goal(_) => "goal",
        Phase::Intent(_) => "intent",
        Phase::Result(_) => "result",
        Phase::Outcome(_) => "outcome",
    };
    Some(phase.to_owned())
}
