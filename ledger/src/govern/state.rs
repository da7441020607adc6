//! The state that the log implies, and how it goes on from one leaf to the next.

use std::sync::{Arc, OnceLock};

use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};
use tlog::LeafIndex;

use super::agent::Agent;
use super::heads::LogKeys;
use super::lease::{Ended, LeaseState, Over, Slot};
use super::owed::{Effect, Owed};
use super::tree::StateTree;
use crate::digest::RecordHash;
use crate::key::{KeyId, PublicKey};
use crate::record::{AgentState, Charter, CheckedRecord, Mode, StateAt, StateRoot};
use crate::text::Name;

/// The charter in force, and the names that depend on it.
#[derive(Debug)]
pub(super) struct CharterInForce {
    pub(super) log: RecordHash,
    pub(super) hash: RecordHash,
    pub(super) charter: Charter,
}

/// The state that the log implies.
///
/// A clone is cheap: the maps inside are persistent and share what did not change. So the
/// service publishes a copy with each head, and whoever reads one holds nobody up.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) size: u64,
    pub(super) last_received_ms: u64,
    pub(super) gap_end_ms: u64,
    /// How long nothing was logged, all gaps together.
    pub(super) gaps_ms: u64,
    pub(super) constitution: Option<Arc<CharterInForce>>,
    /// Every key that a charter or a manifest has ever brought.
    pub(super) keys: HashTrieMapSync<KeyId, Known>,
    /// Those of them that a charter brought first, in the order in which they came.
    pub(super) charter_keys: Arc<Vec<PublicKey>>,
    /// The keys that sign heads: of each charter that changed them.
    pub(super) log_keys: Arc<Vec<LogKeys>>,
    pub(super) agents: RedBlackTreeMapSync<Name, Arc<Agent>>,
    /// The names of the agents in each state: of many agents those in trouble are few, and asked for first.
    by_state: RedBlackTreeMapSync<AgentState, RedBlackTreeSetSync<Name>>,
    pub(super) leases: HashTrieMapSync<RecordHash, Slot>,
    /// All leases, in the order in which they were logged.
    pub(super) lease_order: RedBlackTreeMapSync<u64, RecordHash>,
    /// Those that are over, by when they ended, and by their index.
    pub(super) over: RedBlackTreeSetSync<(u64, u64)>,
    /// Agents by the time when one of their causes can next apply.
    pub(super) deadlines: RedBlackTreeSetSync<(u64, Name)>,
    pub(super) pulses: u64,
    pub(super) last_pulse_ms: Option<u64>,
    /// The size of the newest head that a pulse has shown to be witnessed.
    pub(super) witnessed_size: u64,
    pub(super) owed: Owed,
    /// The state as a tree, if anybody has asked for it.
    tree: OnceLock<Arc<StateTree>>,
    /// As of the last call: what has not changed since is not hashed again.
    last_tree: Option<Arc<StateTree>>,
}

/// A key, and the agent that has or had it, if it is an agent's.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) key: PublicKey,
    pub(super) owner: Option<Name>,
}

impl State {
    /// The state of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records were applied.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// When the last record was received, in milliseconds since the epoch; 0 in an empty log.
    pub const fn last_received_ms(&self) -> u64 {
        self.last_received_ms
    }

    /// The identity of the log: the record hash of charter 1.
    pub fn log(&self) -> Option<RecordHash> {
        self.constitution
            .as_ref()
            .map(|constitution| constitution.log)
    }

    /// The charter in force.
    pub fn charter(&self) -> Option<&Charter> {
        self.constitution
            .as_ref()
            .map(|constitution| &constitution.charter)
    }

    /// The record hash of the charter in force.
    pub fn charter_hash(&self) -> Option<RecordHash> {
        self.constitution
            .as_ref()
            .map(|constitution| constitution.hash)
    }

    /// The number of the last pulse; 0 for none.
    pub const fn pulses(&self) -> u64 {
        self.pulses
    }

    /// When the last pulse was received, in milliseconds since the epoch.
    pub const fn last_pulse_ms(&self) -> Option<u64> {
        self.last_pulse_ms
    }

    /// A key that a charter or a manifest has brought.
    pub fn key(&self, id: &KeyId) -> Option<PublicKey> {
        self.keys.get(id).map(|known| known.key)
    }

    /// All of these.
    pub(crate) fn keys(&self) -> impl Iterator<Item = PublicKey> {
        self.keys.values().map(|known| known.key)
    }

    /// The agent that has or had a key.
    pub fn owner(&self, id: &KeyId) -> Option<&Name> {
        self.keys.get(id)?.owner.as_ref()
    }

    /// The agents, by name.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values().map(Arc::as_ref)
    }

    /// The agents whose names come after `after`, by name.
    pub fn agents_after<'a>(&'a self, after: &'a Name) -> impl Iterator<Item = &'a Agent> {
        use std::ops::Bound::{Excluded, Unbounded};
        let later = self.agents.range::<Name, _>((Excluded(after), Unbounded));
        later.map(|(_, agent)| agent.as_ref())
    }

    /// The agents in a state whose names come after `after`, by name.
    pub fn agents_in<'a>(
        &'a self,
        state: AgentState,
        after: Option<&'a Name>,
    ) -> impl Iterator<Item = &'a Agent> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let names = self.by_state.get(&state).into_iter();
        let names = names.flat_map(move |names| names.range::<Name, _>((from, Unbounded)));
        names.filter_map(|name| self.agent(name))
    }

    /// How many agents are in a state.
    pub fn count_in(&self, state: AgentState) -> u64 {
        self.by_state
            .get(&state)
            .map_or(0, |names| names.size() as u64)
    }

    /// Whether a key was ever one of a charter's people.
    pub(super) fn was_charter_key(&self, id: &KeyId) -> bool {
        self.keys.get(id).is_some_and(|known| known.owner.is_none())
    }

    /// How many agents were ever registered.
    pub fn agent_count(&self) -> u64 {
        self.agents.size() as u64
    }

    /// An agent.
    pub fn agent(&self, name: &Name) -> Option<&Agent> {
        self.agents.get(name).map(Arc::as_ref)
    }

    /// A lease.
    pub fn lease(&self, hash: &RecordHash) -> Option<&LeaseState> {
        match self.leases.get(hash)? {
            Slot::Held(lease) => Some(lease),
            Slot::Over(_) => None,
        }
    }

    /// A lease that ended within the last day and that nothing is under.
    pub fn over(&self, hash: &RecordHash) -> Option<&Over> {
        match self.leases.get(hash)? {
            Slot::Held(_) => None,
            Slot::Over(over) => Some(over),
        }
    }

    /// Why a lease ended before its time, if it did; `None` if there is no such lease.
    pub fn lease_end(&self, hash: &RecordHash) -> Option<Option<Ended>> {
        match self.leases.get(hash)? {
            Slot::Held(lease) => Some(lease.ended),
            Slot::Over(over) => Some(Some(over.why)),
        }
    }

    /// The agent that a lease was granted to.
    pub(super) fn holder(&self, hash: &RecordHash) -> Option<&Name> {
        match self.leases.get(hash)? {
            Slot::Held(lease) => Some(&lease.terms.agent),
            Slot::Over(over) => Some(&over.agent),
        }
    }

    /// Every lease that something may be under, in no order.
    pub(super) fn leases(&self) -> impl Iterator<Item = &LeaseState> {
        self.leases.values().filter_map(|slot| match slot {
            Slot::Held(lease) => Some(lease.as_ref()),
            Slot::Over(_) => None,
        })
    }

    /// The state as a tree of its entries. What it costs is what changed since it was asked for last.
    pub fn tree(&self) -> &Arc<StateTree> {
        let make = || Arc::new(StateTree::of(self, self.last_tree.as_deref()));
        self.tree.get_or_init(make)
    }

    /// The root over the entries of the state, and how many these are.
    pub fn root(&self) -> StateRoot {
        self.tree().root()
    }

    /// The root over the entries, and how many leaves led to it.
    pub fn at(&self) -> StateAt {
        let (size, state) = (self.size, self.root());
        StateAt { size, state }
    }

    /// The state is about to change.
    fn leave_tree(&mut self) {
        if let Some(tree) = self.tree.take() {
            self.last_tree = Some(tree);
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.charter().map_or(Mode::Enforce, |charter| charter.mode)
    }

    /// Takes the next record of the log. It must be one that [`State::admit`] lets in at this
    /// time, or one that a log holds all the same: then it does what it can.
    pub fn apply(&mut self, index: LeafIndex, received_ms: u64, record: &CheckedRecord) {
        let touched = self.touched(record);
        let after_gap = self.pass_time(index, received_ms);
        self.apply_body(index, received_ms, record);
        self.end_leaf(received_ms, after_gap);
        self.settle(touched, Effect::of(record));
    }

    /// Takes the next leaf of the log when it holds nothing that can be relied on: it changes no
    /// state, but it was logged, and the time is what it says.
    pub fn skip(&mut self, index: LeafIndex, received_ms: u64) {
        let after_gap = self.pass_time(index, received_ms);
        self.end_leaf(received_ms, after_gap);
        self.settle(None, Effect::OneAgent);
    }

    /// Takes an agent, and the leases that it acts under, as they are in another state of the same
    /// log.
    pub(crate) fn adopt(&mut self, name: &Name, other: &Self) {
        let Some(agent) = other.agents.get(name) else {
            return;
        };
        self.leave_tree();
        let lineage = agent.lease.map(|lease| other.lineage(lease));
        for lease in lineage.into_iter().flatten() {
            self.insert_lease(lease.clone());
        }
        let agent = Agent::clone(agent);
        let before = self.agent(name).and_then(Agent::lease);
        let replaced = before.filter(|before| agent.lease != Some(*before));
        self.change_agent(name, |here| {
            let (deadline_ms, owed) = (here.deadline_ms, std::mem::take(&mut here.owed));
            *here = agent;
            (here.deadline_ms, here.owed) = (deadline_ms, owed);
        });
        if let Some(replaced) = replaced {
            self.end_lease(replaced, Ended::Superseded);
        }
    }

    /// Goes on to a leaf, and says whether it ends a gap.
    fn pass_time(&mut self, index: LeafIndex, received_ms: u64) -> bool {
        self.leave_tree();
        self.advance(received_ms);
        self.take_unfinished(received_ms);
        let after_gap = self.size > 0 && self.is_gap(received_ms);
        if after_gap {
            self.gaps_ms += received_ms - self.last_received_ms;
        }
        self.size = index.get() + 1;
        self.last_received_ms = self.last_received_ms.max(received_ms);
        after_gap
    }

    fn end_leaf(&mut self, received_ms: u64, after_gap: bool) {
        if after_gap {
            self.gap_end_ms = received_ms;
            self.requeue_all();
        }
        self.forget_leases();
    }

    /// Changes one agent and puts it where it now belongs in the deadline queue.
    pub(super) fn change_agent(&mut self, name: &Name, change: impl FnOnce(&mut Agent)) {
        let Some(agent) = self.agents.get(name) else {
            return;
        };
        let (mut agent, before) = (Arc::clone(agent), agent.state);
        let leases = [agent.lease, agent.epoch_lease];
        change(Arc::make_mut(&mut agent));
        self.move_between_states(name, Some(before), agent.state);
        let left = [agent.lease, agent.epoch_lease] != leases;
        self.agents.insert_mut(name.clone(), agent);
        self.requeue(name);
        if left {
            let leases = leases.into_iter().flatten();
            leases.for_each(|lease| self.retire(lease));
        }
    }

    pub(super) fn move_between_states(
        &mut self,
        name: &Name,
        from: Option<AgentState>,
        to: AgentState,
    ) {
        if from == Some(to) {
            return;
        }
        if let Some(names) = from.and_then(|from| self.by_state.get_mut(&from)) {
            names.remove_mut(name);
        }
        let mut names = self.by_state.get(&to).cloned().unwrap_or_default();
        names.insert_mut(name.clone());
        self.by_state.insert_mut(to, names);
    }

    pub(super) fn change_lease(&mut self, hash: RecordHash, change: impl FnOnce(&mut LeaseState)) {
        let Some(Slot::Held(lease)) = self.leases.get(&hash) else {
            return;
        };
        let mut lease = Arc::clone(lease);
        change(Arc::make_mut(&mut lease));
        self.leases.insert_mut(hash, Slot::Held(lease));
    }

    pub(super) fn requeue(&mut self, name: &Name) {
        let Some(agent) = self.agents.get(name) else {
            return;
        };
        let (before, after) = (agent.deadline_ms, self.deadline_ms(agent));
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.deadlines.remove_mut(&(before, name.clone()));
        }
        if let Some(after) = after {
            self.deadlines.insert_mut((after, name.clone()));
        }
        let mut agent = Arc::clone(agent);
        Arc::make_mut(&mut agent).deadline_ms = after;
        self.agents.insert_mut(name.clone(), agent);
    }

    /// Moves the holder of a lease, and those of its sub-leases, in the deadline queue.
    pub(super) fn requeue_holders(&mut self, lease: RecordHash) {
        let mut below = vec![lease];
        while let Some(lease) = below.pop() {
            let Some(state) = self.lease(&lease) else {
                continue;
            };
            let holder = state.terms().agent.clone();
            below.extend(state.children.iter().copied());
            self.requeue(&holder);
        }
    }

    pub(super) fn requeue_all(&mut self) {
        let names: Vec<Name> = self.agents.keys().cloned().collect();
        for name in names {
            self.requeue(&name);
        }
    }
}
