//! The state that the log implies, and how a record changes it.

use std::sync::{Arc, OnceLock};

use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};
use tlog::LeafIndex;
use tlog::checkpoint::SignedCheckpoint;

use super::agent::{Agent, AgentKey, MAX_OPEN, OpenIntent, Opener, Opening, Version};
use super::charter::Approval;
use super::heads::LogKeys;
use super::lease::{Ended, LeaseState, Over, Slot, Spent};
use super::owed::{Effect, Owed};
use super::recent::{DAY_MS, Denials};
use super::tree::StateTree;
use crate::digest::RecordHash;
use crate::key::{KeyId, PublicKey};
use crate::record::{
    AgentState, Body, Charter, CheckedRecord, Heartbeat, Lease, LeaseRenewal, LeaseRevocation,
    Mode, Order, Phase, Pulse, Receipt, Refused, Registration, Rule, StateRoot, Transition,
};
use crate::text::Name;

/// The charter in force, and the names that hang on it.
#[derive(Debug)]
pub(super) struct Constitution {
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
    pub(super) constitution: Option<Arc<Constitution>>,
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
    /// Agents by the time at which a cause of theirs can next come to hold.
    pub(super) deadlines: RedBlackTreeSetSync<(u64, Name)>,
    pub(super) pulses: u64,
    pub(super) last_pulse_ms: Option<u64>,
    /// The size of the newest head that a pulse has shown to be witnessed.
    pub(super) witnessed_size: u64,
    pub(super) owed: Owed,
    /// The state as a tree, if anybody has asked for it.
    tree: OnceLock<Arc<StateTree>>,
    /// As it was when somebody asked last: what did not change since is not hashed again.
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

    fn apply_body(&mut self, index: LeafIndex, received_ms: u64, checked: &CheckedRecord) {
        let (hash, record) = (checked.hash(), checked.record());
        match &record.body {
            Body::Charter(charter) => self.apply_charter(index, hash, record.log, charter),
            Body::Manifest(registration) => self.apply_registration(checked, registration),
            Body::Lease(lease) => self.apply_lease(checked, (index.get(), received_ms), lease),
            Body::LeaseRenewal(renewal) => self.apply_renewal(renewal),
            Body::LeaseRevocation(revocation) => self.apply_revocation(hash, revocation),
            Body::Order(order) => self.apply_order(hash, received_ms, order),
            Body::Heartbeat(_) | Body::Receipt(_) if !self.is_in_its_own_name(checked) => {}
            Body::Heartbeat(beat) => self.apply_heartbeat(hash, received_ms, record.at_ms, beat),
            Body::Receipt(receipt) => self.apply_receipt(hash, received_ms, record.at_ms, receipt),
            Body::Transition(transition) => self.apply_transition(hash, received_ms, transition),
            Body::Refusal(refused) => self.apply_refusal(refused, received_ms),
            Body::Pulse(pulse) => self.apply_pulse(pulse, received_ms),
            Body::Observation(_) => {}
        }
    }

    /// Whether a record that names an agent is signed by keys that the agent has or had. What others
    /// say in its name, in a log that holds it all the same, is not its doing and moves nothing of it.
    fn is_in_its_own_name(&self, checked: &CheckedRecord) -> bool {
        let agent = self.agent_of(checked);
        let mut signers = checked.signatures().iter();
        agent.is_some_and(|agent| signers.all(|by| agent.has_key(&by.keyid)))
    }

    fn apply_charter(
        &mut self,
        index: LeafIndex,
        hash: RecordHash,
        log: Option<RecordHash>,
        charter: &Charter,
    ) {
        let log = log.unwrap_or(hash);
        let charter = charter.clone();
        if !self
            .log_keys
            .last()
            .is_some_and(|held| held.are_of(&charter))
        {
            Arc::make_mut(&mut self.log_keys).push(LogKeys::of(&charter, index.get()));
        }
        for held in &charter.keys {
            let (id, key, owner) = (held.key.id(), held.key, None);
            if !self.keys.contains_key(&id) {
                self.keys.insert_mut(id, Known { key, owner });
                Arc::make_mut(&mut self.charter_keys).push(key);
            }
        }
        self.constitution = Some(Arc::new(Constitution { log, hash, charter }));
        self.end_what_is_distrusted();
        // Its clocks are others, so are all deadlines.
        self.requeue_all();
    }

    fn apply_registration(&mut self, record: &CheckedRecord, registration: &Registration) {
        let Some(charter) = self.charter() else {
            return;
        };
        let version = Arc::new(Version {
            registration: record.hash(),
            key: registration.key.id(),
            manifest_hash: registration.manifest_hash,
            capabilities: registration.manifest.capabilities.clone(),
            max_inflight_ms: registration.manifest.max_inflight_ms,
            approval: Approval::of(charter, record.signatures()),
        });
        let name = registration.agent.clone();
        let (id, key, owner) = (version.key, registration.key, Some(name.clone()));
        if !self.keys.contains_key(&id) {
            self.keys.insert_mut(id, Known { key, owner });
        }
        let is_own = self.owner(&id) == Some(&name);
        let key = AgentKey { id, key, is_own };
        if self.agents.contains_key(&name) {
            self.change_agent(&name, |agent| agent.register(version, key));
        } else {
            let agent = Agent::new(name.clone(), version, vec![key]);
            self.move_between_states(&name, None, agent.state());
            self.agents.insert_mut(name, Arc::new(agent));
        }
    }

    fn apply_lease(&mut self, record: &CheckedRecord, logged: (u64, u64), lease: &Lease) {
        let (Some(agent), Some(charter)) = (self.agent(&lease.agent), self.charter()) else {
            return;
        };
        let hash = record.hash();
        let (version, before) = (Arc::clone(&agent.version), agent.lease);
        let approval = Approval::of(charter, record.signatures());
        let mut granted = LeaseState::new(hash, logged, lease.clone(), version, approval);
        if let Some(over) = lease.parent.and_then(|parent| self.over(&parent)) {
            // Nothing is granted under what is over.
            (granted.ended, granted.ended_ms) = (Some(over.why), over.ended_ms);
        }
        let opens = !agent.is_held(self.mode());
        self.insert_lease(granted);
        if let Some(parent) = lease.parent {
            self.change_lease(parent, |parent| parent.children.insert_mut(hash));
        }
        if let Some(before) = before {
            self.end_lease(before, Ended::Superseded);
        }
        let opening = Opening {
            record: hash,
            received_ms: logged.1,
            by: Opener::Lease,
        };
        self.change_agent(&lease.agent, |agent| {
            agent.lease = Some(hash);
            agent.after = Some(hash);
            if opens {
                agent.open_epoch(opening);
            }
        });
    }

    fn apply_renewal(&mut self, renewal: &LeaseRenewal) {
        self.change_lease(renewal.lease, |lease| {
            lease.expires_ms = renewal.expires_ms;
            lease.earned = false;
        });
        self.requeue_holders(renewal.lease);
    }

    fn apply_revocation(&mut self, hash: RecordHash, revocation: &LeaseRevocation) {
        self.end_lease(revocation.lease, Ended::Revoked);
        if let Some(holder) = self.holder(&revocation.lease).cloned() {
            self.change_agent(&holder, |agent| agent.after = Some(hash));
        }
    }

    /// Ends a lease before its time. What ended it first stays the reason.
    pub(super) fn end_lease(&mut self, lease: RecordHash, why: Ended) {
        let now_ms = self.last_received_ms;
        self.change_lease(lease, |lease| {
            if lease.ended.is_none() {
                (lease.ended, lease.ended_ms) = (Some(why), now_ms);
            }
        });
        self.requeue_holders(lease);
        self.retire(lease);
    }

    /// Keeps of a lease that has ended, and that nothing is under any more, what tells that it has ended; and likewise
    /// of those above it.
    fn retire(&mut self, lease: RecordHash) {
        let mut next = Some(lease);
        while let Some(hash) = next {
            let lease = self.lease(&hash).filter(|lease| !self.matters(lease));
            let Some((lease, why)) = lease.and_then(|lease| Some((lease, lease.ended?))) else {
                return;
            };
            let (index, ended_ms, parent) = (lease.index, lease.ended_ms, lease.terms.parent);
            let agent = lease.terms.agent.clone();
            let over = Over {
                hash,
                index,
                agent,
                why,
                ended_ms,
            };
            self.leases.insert_mut(hash, Slot::Over(Arc::new(over)));
            self.over.insert_mut((ended_ms, index));
            if let Some(parent) = parent {
                self.change_lease(parent, |parent| {
                    parent.children.remove_mut(&hash);
                });
            }
            next = parent;
        }
    }

    /// Whether its agent names a lease, or another is under it.
    fn matters(&self, lease: &LeaseState) -> bool {
        let agent = self.agent(&lease.terms.agent);
        !lease.children.is_empty() || agent.is_some_and(|agent| agent.names_lease(lease.hash))
    }

    /// Forgets the leases that have been over for a day.
    fn forget_leases(&mut self) {
        while let Some((ended_ms, index)) = self.over.first().copied() {
            if ended_ms + DAY_MS > self.last_received_ms {
                return;
            }
            self.over.remove_mut(&(ended_ms, index));
            if let Some(hash) = self.lease_order.get(&index) {
                self.leases.remove_mut(hash);
            }
            self.lease_order.remove_mut(&index);
        }
    }

    pub(super) fn insert_lease(&mut self, lease: LeaseState) {
        if let Some(before) = self.leases.get(&lease.hash) {
            self.lease_order.remove_mut(&before.index());
        }
        self.lease_order.insert_mut(lease.index, lease.hash);
        self.leases
            .insert_mut(lease.hash, Slot::Held(Arc::new(lease)));
    }

    fn apply_order(&mut self, hash: RecordHash, received_ms: u64, order: &Order) {
        if order.to == AgentState::Stopped
            && let Some(lease) = self.agent(&order.agent).and_then(Agent::lease)
        {
            self.end_lease(lease, Ended::Stopped);
        }
        let opening = Opening {
            record: hash,
            received_ms,
            by: Opener::Control,
        };
        self.change_agent(&order.agent, |agent| {
            agent.enter(order.to, agent.transitions + 1);
            agent.after = Some(hash);
            if order.to == AgentState::Autohealing {
                agent.open_epoch(opening);
                agent.heals_ms.clear();
                agent.denials = Denials::default();
                agent.begin_healing(1, received_ms);
            }
        });
    }

    fn apply_transition(&mut self, hash: RecordHash, received_ms: u64, transition: &Transition) {
        let opens = self.opens_epoch(transition.rule);
        let opening = Opening {
            record: hash,
            received_ms,
            by: Opener::Control,
        };
        let attempts = self
            .charter()
            .map_or(1, |charter| charter.liveness.heal_attempts);
        self.change_agent(&transition.agent, |agent| {
            agent.follow(transition);
            match transition.rule {
                Rule::HealDue => {
                    agent.count_heal(received_ms, attempts);
                    agent.begin_healing(1, received_ms);
                }
                Rule::HealRetry => agent.begin_healing(agent.healing.attempt + 1, received_ms),
                _ => {}
            }
            if opens {
                agent.open_epoch(opening);
            }
        });
    }

    fn apply_heartbeat(
        &mut self,
        hash: RecordHash,
        received_ms: u64,
        at_ms: u64,
        beat: &Heartbeat,
    ) {
        let name = &beat.chain.agent;
        let Some(agent) = self.agent(name) else {
            return;
        };
        let lease = agent.lease;
        // Who restarts does so under the newest lease.
        let restarts = agent.is_restarted_by(&beat.chain);
        let spoken = if restarts { lease } else { agent.epoch_lease };
        let version = spoken
            .and_then(|lease| self.lease(&lease))
            .map(|lease| &lease.version);
        let drifted = version.is_some_and(|version| version.manifest_hash != beat.manifest_hash);
        let starts =
            beat.chain.seq == 0 && agent.state == AgentState::Stopped && agent.awaits_start();
        if !restarts && !agent.is_spoken_for_by(&beat.chain) {
            // A fenced process is not a sign of life of the one that took over.
            return;
        }
        // The counter of an epoch starts at 0: to restart is not progress in itself.
        let rose = beat.progress > if restarts { 0 } else { agent.progress };
        let spacing_ms = self
            .charter()
            .map_or(0, |charter| charter.liveness.heartbeat_ms / 2);
        self.change_agent(name, |agent| {
            if let Some(record) = lease.filter(|_| restarts) {
                agent.open_epoch(Opening {
                    record,
                    received_ms,
                    by: Opener::Agent,
                });
                agent.causes.restarted = agent.may_be_restarted();
            }
            agent.extend_chain(&beat.chain, hash, at_ms, received_ms);
            agent.beat(beat, received_ms, spacing_ms);
            agent.causes.drift |= drifted;
            agent.causes.started |= starts;
        });
        self.earn(lease.filter(|_| rose));
    }

    /// The agent has made progress under a lease.
    fn earn(&mut self, lease: Option<RecordHash>) {
        let earns = |lease: &RecordHash| self.lease(lease).is_some_and(|lease| !lease.earned);
        if let Some(lease) = lease.filter(earns) {
            self.change_lease(lease, |lease| lease.earned = true);
        }
    }

    fn apply_receipt(&mut self, hash: RecordHash, received_ms: u64, at_ms: u64, receipt: &Receipt) {
        let name = &receipt.chain.agent;
        let Some(agent) = self.agent(name) else {
            return;
        };
        let lease = agent.lease;
        let change = self.work_of(agent, received_ms, &receipt.phase);
        let in_epoch = agent.is_spoken_for_by(&receipt.chain);
        self.change_agent(name, |agent| {
            if in_epoch {
                agent.extend_chain(&receipt.chain, hash, at_ms, received_ms);
                agent.made_progress(received_ms);
            }
            match change {
                Work::GoalOpened if agent.goals.len() < MAX_OPEN => {
                    agent.goals.insert(hash, ());
                }
                Work::IntentOpened(intent) if agent.intents.len() < MAX_OPEN => {
                    agent.intents.insert(hash, intent);
                }
                Work::IntentClosed { intent, .. } => {
                    agent.intents.remove(&intent);
                }
                Work::GoalClosed(goal) => {
                    agent.goals.remove(&goal);
                }
                Work::GoalOpened | Work::IntentOpened(_) | Work::Nothing => {}
            }
        });
        self.charge(change, receipt);
        self.earn(lease.filter(|_| in_epoch));
        self.follow_result(hash, change, name);
    }

    /// An open intent is owed its result, and keeps its lease.
    fn follow_result(&mut self, record: RecordHash, work: Work, agent: &Name) {
        match work {
            Work::IntentOpened(open)
                if self
                    .agents
                    .get(agent)
                    .is_some_and(|it| it.intents.contains_key(&record)) =>
            {
                self.owed.begin(record, &open, agent);
            }
            Work::IntentClosed { intent, open } => {
                self.owed.end(intent, &open, agent);
                self.retire(open.lease);
            }
            _ => {}
        }
    }

    /// What a receipt does to the agent's open work.
    fn work_of(&self, agent: &Agent, received_ms: u64, phase: &Phase) -> Work {
        match phase {
            Phase::Goal(_) => Work::GoalOpened,
            Phase::Intent(intent) => {
                let Some(lease) = agent.lease.and_then(|lease| self.lease(&lease)) else {
                    return Work::Nothing;
                };
                Work::IntentOpened(OpenIntent {
                    lapses_ms: received_ms + lease.version.max_inflight_ms,
                    reserve: intent.reserve,
                    lease: lease.hash(),
                    due_ms: Some(
                        (received_ms + lease.version.max_inflight_ms).saturating_sub(self.gaps_ms),
                    ),
                })
            }
            Phase::Result(result) => match agent.intents.get(&result.intent) {
                Some(open) => Work::IntentClosed {
                    intent: result.intent,
                    open: *open,
                },
                None => Work::Nothing,
            },
            Phase::Outcome(outcome) => Work::GoalClosed(outcome.goal),
        }
    }

    /// Charges the lease that an intent was made under, and with what that passes up the leases above it.
    fn charge(&mut self, work: Work, receipt: &Receipt) {
        let (lease, open) = match work {
            Work::IntentOpened(open) | Work::IntentClosed { open, .. } => (open.lease, open),
            _ => return,
        };
        let used = match &receipt.phase {
            Phase::Result(result) => Some(result.usage),
            _ => None,
        };
        let passed_up = self.passed_up(lease);
        self.change_lease(lease, |lease| match &used {
            None => lease.own.reserve(&open.reserve),
            Some(used) => lease.own.commit(&open.reserve, used),
        });
        self.pass_up(lease, passed_up);
    }

    /// Takes up into the leases above one what it passes up now, in place of what it passed up before.
    fn pass_up(&mut self, lease: RecordHash, before: Spent) {
        let lineage: Vec<RecordHash> = self.lineage(lease).map(LeaseState::hash).collect();
        let (mut below, mut before) = (lease, before);
        for above in lineage.into_iter().skip(1) {
            let (now, was) = (self.passed_up(below), self.passed_up(above));
            self.change_lease(above, |lease| lease.from_below.replace(&before, &now));
            (below, before) = (above, was);
        }
    }

    fn apply_refusal(&mut self, refused: &Refused, received_ms: u64) {
        let of_this_epoch = |agent: &Agent| agent.epoch == refused.epoch;
        let counts = refused.is_of_an_intent()
            && refused.envelope.is_some()
            && super::action::is_denial_code(refused.code);
        if counts && self.agent(&refused.agent).is_some_and(of_this_epoch) {
            self.change_agent(&refused.agent, |agent| {
                agent.denials.count(refused.refused, received_ms);
            });
        }
    }

    fn apply_pulse(&mut self, pulse: &Pulse, received_ms: u64) {
        self.pulses = pulse.n;
        self.last_pulse_ms = Some(received_ms);
        let witnessed = pulse.witnessed.as_deref();
        let head = witnessed.and_then(|text| SignedCheckpoint::parse(text).ok());
        if let Some(head) = head.filter(|head| self.signed_in_force(head).is_ok()) {
            self.witnessed_size = self.witnessed_size.max(head.unverified().size.get());
        }
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

    fn requeue(&mut self, name: &Name) {
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
    fn requeue_holders(&mut self, lease: RecordHash) {
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

    fn requeue_all(&mut self) {
        let names: Vec<Name> = self.agents.keys().cloned().collect();
        for name in names {
            self.requeue(&name);
        }
    }
}

/// What a receipt does to open work.
#[derive(Clone, Copy)]
enum Work {
    GoalOpened,
    IntentOpened(OpenIntent),
    IntentClosed {
        intent: RecordHash,
        open: OpenIntent,
    },
    GoalClosed(RecordHash),
    Nothing,
}
