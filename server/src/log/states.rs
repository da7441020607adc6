//! The governance state just before a pulse, to prove it or begin a pack with it.
//!
//! That of the newest pulse is at hand. Any other is made from the newest snapshot in front of it, or from the first leaf,
//! by the leaves that follow.

use ledger::codes::Code;
use ledger::govern::State;
use ledger::record::StateRoot;
use ledger::state_proof::StateProof;
use ledger::text::Name;
use tlog::{LeafIndex, TreeSize};

use ledger::pack::Entry;
use tlog::checkpoint::SignedCheckpoint;

use super::published::{Published, ReadError};
use super::recovery::Replay;
use super::snapshot::{self, state_of_pulse};

/// Leaves that are read at once.
const CHUNK: u64 = 256;

impl Published {
    /// The index of the newest pulse up to an index that names the state in front of it.
    ///
    /// # Errors
    /// [`ReadError::NoState`] if there is none; [`ReadError::Store`].
    pub fn pulse_up_to(&self, at: LeafIndex) -> Result<LeafIndex, ReadError> {
        let mut end = at.get().saturating_add(1).min(self.size.get());
        while end > 0 {
            let from = end.saturating_sub(CHUNK);
            let leaves = self.leaves(from..end)?;
            let told = (from..).zip(leaves).filter(|(_, leaf)| tells_state(leaf));
            if let Some((index, _)) = told.last() {
                return Ok(LeafIndex::new(index));
            }
            end = from;
        }
        Err(ReadError::NoState { index: at })
    }

    /// The state in front of a pulse; `None` if there is no pulse that names one.
    ///
    /// # Errors
    /// [`ReadError::Store`]; [`ReadError::NoState`] if the leaves lead to another state than the pulse names.
    pub fn state_before(&self, index: LeafIndex) -> Result<Option<State>, ReadError> {
        let Some(told) = self.told_at(index) else {
            return Ok(None);
        };
        let at_hand = self
            .pulsed
            .as_ref()
            .filter(|state| state.size() == index.get());
        let state = match at_hand {
            Some(state) => state.clone(),
            None => self.lead_to(index)?,
        };
        match state.root() == told {
            true => Ok(Some(state)),
            false => Err(ReadError::NoState { index }),
        }
    }

    /// The log as it was with so many entries, for a page about the past: its size, time and state. No head of that size need
    /// have been signed, so nothing is proven from it.
    ///
    /// # Errors
    /// [`ReadError::BeyondHead`]; [`ReadError::Store`]; [`ReadError::OutOfBounds`] if that is too far from all that is kept.
    pub fn as_of(&self, size: TreeSize) -> Result<Self, ReadError> {
        let root = self.root_at(size)?;
        let state = self.lead_to(LeafIndex::new(size.get()))?;
        Ok(self.then(size, root, state))
    }

    fn told_at(&self, index: LeafIndex) -> Option<StateRoot> {
        let is_there = self.size.contains(index);
        is_there.then(|| state_of_pulse(self.store(), index.get()))?
    }

    fn lead_to(&self, index: LeafIndex) -> Result<State, ReadError> {
        let behind = TreeSize::new(index.get().saturating_add(1));
        let folder = self.snapshots();
        let snapshot = folder.and_then(|folder| snapshot::newest(folder, self.store(), behind));
        let mut replay = snapshot.unwrap_or_default();
        while replay.edge().size().get() < index.get() {
            let from = replay.edge().size().get();
            let to = index.get().min(from + CHUNK);
            for (at, leaf) in (from..).zip(self.leaves(from..to)?) {
                let damaged = |_| ReadError::Leaf {
                    index: LeafIndex::new(at),
                    refusal: Code::Malformed.because("a leaf that this log would not have written"),
                };
                replay.push(&leaf).map_err(damaged)?;
            }
        }
        Ok(Replay::into_state(replay))
    }

    /// What the pulse at an index says about an agent.
    ///
    /// # Errors
    /// [`ReadError::NoState`] if there is no pulse that names a state; [`ReadError::Store`] or
    /// [`ReadError::FalseProof`] if the store is damaged.
    pub fn state_proof(&self, agent: &Name, index: LeafIndex) -> Result<StateProof, ReadError> {
        let state = self.state_before(index)?;
        let state = state.ok_or(ReadError::NoState { index })?;
        let tree = state.tree();
        let mut entries = tree.prove_agent(agent);
        entries.extend(tree.prove_lease_of(&state, agent));
        let leaf = self.leaf(index)?.unwrap_or_default();
        let leaf = String::from_utf8(leaf).map_err(|_| ReadError::LeafNotText { index })?;
        Ok(StateProof {
            agent: agent.clone(),
            checkpoint: Box::new(SignedCheckpoint::parse(&self.checkpoint)?),
            inclusion: self.inclusion(index, self.size)?,
            pulse: Entry { index, leaf },
            branches: tree.branches(),
            entries,
        })
    }
}

/// Whether a leaf is a pulse that names a state.
fn tells_state(leaf: &[u8]) -> bool {
    use ledger::leaf::Leaf;
    use ledger::record::{Body, Kind, SignedRecord};
    let leaf = Leaf::parse(leaf).ok();
    let envelope = leaf.filter(|leaf| leaf.envelope().kind() == Kind::Pulse);
    let record = envelope.and_then(|leaf| SignedRecord::from_envelope(leaf.into_envelope()).ok());
    record.is_some_and(
        |record| matches!(&record.record().body, Body::Pulse(pulse) if pulse.state.is_some()),
    )
}
