//! One agent: its identity, the chain that it writes, its signs of life, its open work.

use std::sync::Arc;

use super::charter::Approval;
use super::owed::OwedTransitions;
use super::recent::{Denials, PastInstances};
use crate::digest::{Digest, RecordHash};
use crate::key::{KeyId, PublicKey};
use crate::record::{
    AgentState, Amounts, Chain, Heartbeat, Instance, Mode, Rule, Transition, words,
};
use crate::scope::Pattern;
use crate::text::Name;
use litemap::LiteMap;

/// The most goals, and the most intents, that an agent may have open at once.
pub const MAX_OPEN: usize = 64;

/// A registered version of an agent, as far as the rules need it. Leases keep the one that
/// they name, so a new registration takes nothing from a lease that runs.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) registration: RecordHash,
    pub(super) key: KeyId,
    pub(super) manifest_hash: Digest,
    pub(super) capabilities: Vec<Pattern>,
    pub(super) max_inflight_ms: u64,
    pub(super) approval: Approval,
}

/// A key that an agent has or had.
#[derive(Clone, Copy, Debug)]
pub(super) struct AgentKey {
    pub(super) id: KeyId,
    pub(super) key: PublicKey,
    /// Whether it was the first to bring it: a log that should not hold it may have given the key of somebody else.
    pub(super) is_own: bool,
}

words! {
    /// What opened an epoch.
    Opener, "opener" {
        /// A lease.
        Lease = "lease",
        /// A transition into or within autohealing, or an order.
        Control = "control",
        /// The agent itself, by restarting.
        Agent = "agent",
    }
}

/// The record that opened the epoch in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) record: RecordHash,
    pub(super) received_ms: u64,
    pub(super) by: Opener,
}

/// An action that was logged before its effect and has no result yet.
#[derive(Clone, Copy, Debug)]
pub struct OpenIntent {
    pub(super) lapses_ms: u64,
    pub(super) reserve: Amounts,
    pub(super) lease: RecordHash,
    /// When its result is due, on a clock that stops in gaps; `None` once that time is over.
    pub(super) due_ms: Option<u64>,
}

impl OpenIntent {
    /// When the permit lapses: the receipt of the intent and the manifest's `max_inflight_ms`.
    pub const fn lapses_ms(&self) -> u64 {
        self.lapses_ms
    }
}

/// Causes of transitions that a record of the agent has set, until the transition is logged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Causes {
    pub(super) drift: bool,
    pub(super) finished: bool,
    pub(super) started: bool,
    pub(super) restarted: bool,
}

/// Signs of life since the agent was degraded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SinceDegraded {
    pub(super) beat: bool,
    pub(super) progress: bool,
}

/// An attempt at healing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Healing {
    pub(super) attempt: u64,
    pub(super) since_ms: u64,
    pub(super) beats: u64,
    pub(super) counted_ms: Option<u64>,
}

/// An agent, as the log so far implies it.
#[derive(Clone, Debug)]
pub struct Agent {
    name: Name,
    pub(super) version: Arc<Version>,
    /// Whether the active registration still has the operators' trust.
    pub(super) is_registered: bool,
    /// The keys that the agent has or had, oldest first.
    pub(super) keys: Vec<AgentKey>,
    pub(super) state: AgentState,
    /// Whether the last stop was the agent's own goodbye, from which it may restart itself.
    pub(super) said_goodbye: bool,
    pub(super) transitions: u64,
    pub(super) epoch: u64,
    pub(super) opening: Option<Opening>,
    /// Bit i tells whether a lease opened the epoch `epoch - i`: enough to tell *superseded*
    /// from *fenced* for the last 64 epochs.
    pub(super) opened_by_lease: u64,
    pub(super) instance: Option<Instance>,
    /// The process that had the epoch before, if it may go on in this one: only leases opened
    /// epochs since, and a lease fences nobody.
    pub(super) goes_on: Option<Instance>,
    pub(super) past_instances: PastInstances,
    pub(super) next_seq: u64,
    pub(super) head: Option<RecordHash>,
    pub(super) last: Option<RecordHash>,
    pub(super) chain_at_ms: u64,
    /// The newest lease: what the agent may do.
    pub(super) lease: Option<RecordHash>,
    /// The lease of the epoch: with which key and as which version the agent speaks. It is the newest but for an agent
    /// in quarantine, whose new lease opens no epoch.
    pub(super) epoch_lease: Option<RecordHash>,
    /// The newest lease, revocation or order about the agent.
    pub(super) after: Option<RecordHash>,
    pub(super) progress: u64,
    pub(super) beat_ms: u64,
    pub(super) progress_ms: u64,
    pub(super) seen_size: u64,
    pub(super) goals: LiteMap<RecordHash, ()>,
    pub(super) intents: LiteMap<RecordHash, OpenIntent>,
    pub(super) causes: Causes,
    pub(super) since_degraded: SinceDegraded,
    pub(super) healing: Healing,
    /// When the agent entered autohealing by itself, within the last 24 hours.
    pub(super) heals_ms: Vec<u64>,
    /// Refused intents that count as denials.
    pub(super) denials: Denials,
    /// Where the agent is in the deadline queue.
    pub(super) deadline_ms: Option<u64>,
    /// Its transitions that were due and are not logged.
    pub(super) owed: OwedTransitions,
}

impl Agent {
    pub(super) fn new(name: Name, version: Arc<Version>, keys: Vec<AgentKey>) -> Self {
        Self {
            name,
            keys,
            version,
            is_registered: true,
            state: AgentState::Stopped,
            said_goodbye: false,
            transitions: 0,
            epoch: 0,
            opening: None,
            opened_by_lease: 0,
            instance: None,
            goes_on: None,
            past_instances: PastInstances::default(),
            next_seq: 0,
            head: None,
            last: None,
            chain_at_ms: 0,
            lease: None,
            epoch_lease: None,
            after: None,
            progress: 0,
            beat_ms: 0,
            progress_ms: 0,
            seen_size: 0,
            goals: LiteMap::new(),
            intents: LiteMap::new(),
            causes: Causes::default(),
            since_degraded: SinceDegraded::default(),
            healing: Healing::default(),
            heals_ms: Vec::new(),
            denials: Denials::default(),
            deadline_ms: None,
            owed: OwedTransitions::default(),
        }
    }

    /// Whether the agent has or had a key.
    pub(super) fn has_key(&self, id: &KeyId) -> bool {
        self.keys.iter().any(|held| held.id == *id)
    }

    /// Whether a lease is its newest, that of its epoch, or that of an open intent.
    pub(super) fn names_lease(&self, lease: RecordHash) -> bool {
        let named = [self.lease, self.epoch_lease].contains(&Some(lease));
        named || self.intents.values().any(|open| open.lease == lease)
    }

    /// The agent's name.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Its state.
    pub const fn state(&self) -> AgentState {
        self.state
    }

    /// The epoch in force; 0 before the first lease.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The record that opened the epoch in force; the lease, where the agent opened it itself.
    pub fn opening(&self) -> Option<RecordHash> {
        self.opening.map(|opening| opening.record)
    }

    /// The `seq` of its next record in this epoch.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The `prev` of its next record in this epoch; `None` before the first lease.
    pub const fn head(&self) -> Option<RecordHash> {
        self.head
    }

    /// Its last record of any epoch.
    pub const fn last(&self) -> Option<RecordHash> {
        self.last
    }

    /// The process that speaks in this epoch; `None` until its first heartbeat.
    pub const fn instance(&self) -> Option<Instance> {
        self.instance
    }

    /// The lease in force or the last one.
    pub const fn lease(&self) -> Option<RecordHash> {
        self.lease
    }

    /// The newest lease, lease revocation or order about it: what the next lease or order names in `after`.
    pub const fn after(&self) -> Option<RecordHash> {
        self.after
    }

    /// The key that the active manifest names.
    pub fn key(&self) -> KeyId {
        self.version.key
    }

    /// The hash of the active manifest.
    pub fn manifest_hash(&self) -> Digest {
        self.version.manifest_hash
    }

    /// The registration of the active manifest: what the next one's `replaces` names.
    pub fn registration(&self) -> RecordHash {
        self.version.registration
    }

    /// When the cause of its next transition applies, if nothing about it is logged before;
    /// in the past, since when that transition is due.
    pub const fn deadline_ms(&self) -> Option<u64> {
        self.deadline_ms
    }

    /// How many transitions and orders it has been through.
    pub const fn transitions(&self) -> u64 {
        self.transitions
    }

    /// When its last heartbeat was received, in milliseconds since the epoch; 0 for never.
    pub const fn last_beat_ms(&self) -> u64 {
        self.beat_ms
    }

    /// Its open goals.
    pub fn open_goals(&self) -> impl Iterator<Item = &RecordHash> {
        self.goals.keys()
    }

    /// Its open intents.
    pub fn open_intents(&self) -> impl Iterator<Item = (&RecordHash, &OpenIntent)> {
        self.intents.iter()
    }

    /// Takes a new version; its key is the agent's from now on.
    pub(super) fn register(&mut self, version: Arc<Version>, key: AgentKey) {
        if !self.has_key(&key.id) {
            self.keys.push(key);
        }
        self.version = version;
        self.is_registered = true;
    }

    /// Begins the next epoch, in which no process speaks yet.
    pub(super) fn open_epoch(&mut self, opening: Opening) {
        self.epoch += 1;
        self.opened_by_lease = self.opened_by_lease << 1 | u64::from(opening.by == Opener::Lease);
        self.opening = Some(opening);
        if let Some(instance) = self.instance {
            self.past_instances.remember(instance, opening.received_ms);
        }
        let last = self.instance.take().or(self.goes_on);
        self.goes_on = last.filter(|_| opening.by == Opener::Lease);
        self.next_seq = 0;
        self.head = Some(opening.record);
        self.chain_at_ms = 0;
        self.progress = 0;
        self.epoch_lease = self.lease;
        self.causes = Causes::default();
    }

    /// Whether it is in quarantine, and new authority waits for its release. In observe mode a state holds nothing up.
    pub(super) fn is_held(&self, mode: Mode) -> bool {
        self.state == AgentState::Quarantined && mode == Mode::Enforce
    }

    /// Whether the epoch after this one was opened by a lease.
    pub(super) fn was_superseded(&self, epoch: u64) -> bool {
        let age = self.epoch.saturating_sub(epoch).saturating_sub(1);
        u32::try_from(age)
            .ok()
            .and_then(|age| self.opened_by_lease.checked_shr(age))
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// Whether the instance has spoken for this agent before.
    pub(super) fn has_spoken(&self, instance: Instance) -> bool {
        self.past_instances.contains(instance)
    }

    /// Whether a heartbeat here is one by which the agent opens its next epoch itself.
    pub(super) fn is_restarted_by(&self, chain: &Chain) -> bool {
        chain.seq == 0 && self.epoch > 0 && chain.epoch == self.epoch + 1
    }

    /// Whether a record is of the process that speaks, or may begin to speak, in this epoch.
    pub(super) fn is_spoken_for_by(&self, chain: &Chain) -> bool {
        let speaks = |instance| instance == chain.instance;
        chain.epoch == self.epoch && self.instance.is_none_or(speaks)
    }

    /// Adds one of the agent's records to its chain.
    pub(super) fn extend_chain(
        &mut self,
        chain: &Chain,
        hash: RecordHash,
        at_ms: u64,
        received_ms: u64,
    ) {
        if self.instance.is_none() {
            self.instance = Some(chain.instance);
            self.past_instances.remember(chain.instance, received_ms);
        }
        self.next_seq = chain.seq + 1;
        self.head = Some(hash);
        self.last = Some(hash);
        self.chain_at_ms = at_ms;
    }

    /// Takes a heartbeat as a sign of life. `spacing_ms` is how far apart beats count as healing.
    pub(super) fn beat(&mut self, beat: &Heartbeat, received_ms: u64, spacing_ms: u64) {
        let rose = beat.progress > self.progress;
        self.beat_ms = received_ms;
        self.since_degraded.beat = true;
        self.progress = self.progress.max(beat.progress);
        if rose {
            self.made_progress(received_ms);
        }
        if let Some(seen) = &beat.seen {
            self.seen_size = seen.size;
        }
        let healing = &mut self.healing;
        let apart = healing
            .counted_ms
            .is_none_or(|last| received_ms >= last + spacing_ms);
        if self.state == AgentState::Autohealing && rose && apart {
            healing.beats += 1;
            healing.counted_ms = Some(received_ms);
        }
        self.causes.finished = beat.r#final && self.intents.is_empty();
    }

    /// Takes a receipt, or a rise of the progress counter.
    pub(super) fn made_progress(&mut self, received_ms: u64) {
        self.progress_ms = received_ms;
        self.since_degraded.progress = true;
    }

    /// Enters a state, by an order or a transition, which is the `n`th of the agent.
    pub(super) fn enter(&mut self, state: AgentState, n: u64) {
        self.state = state;
        self.said_goodbye = false;
        self.transitions = n;
        self.causes = Causes::default();
        self.since_degraded = SinceDegraded::default();
    }

    /// Enters a state by a transition. What its record caused besides stands when the agent runs:
    /// the heartbeat that started it may show that it drifted, or say goodbye.
    pub(super) fn follow(&mut self, transition: &Transition) {
        let (rule, to) = (transition.rule, transition.to);
        let caused = self.causes;
        // Its own number counts, so that one wrong number does not make all that follow wrong.
        self.enter(to, transition.n);
        self.said_goodbye = rule == Rule::Finished;
        if to == AgentState::Running {
            self.causes = Causes {
                started: false,
                restarted: caused.restarted && rule != Rule::Restarted,
                ..caused
            };
        }
    }

    /// Begins an attempt at healing.
    pub(super) fn begin_healing(&mut self, attempt: u64, since_ms: u64) {
        self.healing = Healing {
            attempt,
            since_ms,
            ..Healing::default()
        };
    }
}
