//! The log as a list, and what a look through all of it says. Nothing is remembered.

use std::collections::BTreeSet;

use ledger::digest::RecordHash;
use ledger::key::KeyId;
use ledger::record::{
    AgentState, Body, Chain, Charter, Heartbeat, Instance, Lease, Mode, Phase, Receipt, Record,
    Registration, Role, Rule,
};
use ledger::text::Name;

/// A record in the log, or one that would be in it next.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) received_ms: u64,
    pub(crate) hash: RecordHash,
    pub(crate) record: Record,
    /// Who signed, and whether the signature is that key's.
    pub(crate) signers: Vec<(KeyId, bool)>,
}

/// The log to some point.
#[derive(Clone, Copy)]
pub(crate) struct History<'a>(pub(crate) &'a [Leaf]);

/// Who opened an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    Lease,
    Control,
    Agent,
}

/// The record that opened an epoch.
#[derive(Clone, Copy)]
pub(crate) struct Opening<'a> {
    /// Its index.
    pub(crate) at: usize,
    pub(crate) leaf: &'a Leaf,
    pub(crate) by: Opener,
}

impl Leaf {
    /// The chain of a record that an agent made.
    pub(crate) fn chain(&self) -> Option<&Chain> {
        match &self.record.body {
            Body::Heartbeat(beat) => Some(&beat.chain),
            Body::Receipt(receipt) => Some(&receipt.chain),
            _ => None,
        }
    }

    pub(crate) fn is_by(&self, agent: &Name) -> bool {
        self.chain().is_some_and(|chain| chain.agent == *agent)
    }

    pub(crate) fn beat(&self) -> Option<&Heartbeat> {
        match &self.record.body {
            Body::Heartbeat(beat) => Some(beat),
            _ => None,
        }
    }

    pub(crate) fn receipt(&self) -> Option<&Receipt> {
        match &self.record.body {
            Body::Receipt(receipt) => Some(receipt),
            _ => None,
        }
    }

    pub(crate) fn lease(&self) -> Option<&Lease> {
        match &self.record.body {
            Body::Lease(lease) => Some(lease),
            _ => None,
        }
    }

    pub(crate) fn charter(&self) -> Option<&Charter> {
        match &self.record.body {
            Body::Charter(charter) => Some(charter),
            _ => None,
        }
    }

    pub(crate) fn registration(&self) -> Option<&Registration> {
        match &self.record.body {
            Body::Manifest(registration) => Some(registration),
            _ => None,
        }
    }

    /// Where a transition or an order leads an agent, and by which rule.
    pub(crate) fn moves(&self, agent: &Name) -> Option<(AgentState, Option<Rule>)> {
        match &self.record.body {
            Body::Transition(t) if t.agent == *agent => Some((t.to, Some(t.rule))),
            Body::Order(order) if order.agent == *agent => Some((order.to, None)),
            _ => None,
        }
    }
}

impl<'a> History<'a> {
    /// The log before an index.
    pub(crate) fn before(self, index: usize) -> Self {
        Self(&self.0[..index])
    }

    pub(crate) fn log(self) -> Option<RecordHash> {
        self.0.first().map(|leaf| leaf.hash)
    }

    /// How many agents were ever registered.
    pub(crate) fn agents(self) -> u64 {
        let registered = self.0.iter().filter_map(Leaf::registration);
        let names: BTreeSet<_> = registered.map(|version| &version.agent).collect();
        names.len() as u64
    }

    /// How many pulses there are.
    pub(crate) fn pulses(self) -> u64 {
        let is_pulse = |leaf: &&Leaf| matches!(leaf.record.body, Body::Pulse(_));
        self.0.iter().filter(is_pulse).count() as u64
    }

    /// The record of the charter in force.
    pub(crate) fn charter_hash(self) -> Option<RecordHash> {
        let is_charter = |leaf: &&Leaf| matches!(leaf.record.body, Body::Charter(_));
        self.0.iter().rev().find(is_charter).map(|leaf| leaf.hash)
    }

    /// The charter in force.
    pub(crate) fn charter(self) -> &'a Charter {
        let charters = self
            .0
            .iter()
            .rev()
            .find_map(|leaf| match &leaf.record.body {
                Body::Charter(charter) => Some(charter),
                _ => None,
            });
        charters.expect("a log begins with its charter")
    }

    pub(crate) fn enforces(self) -> bool {
        self.charter().mode == Mode::Enforce
    }

    /// Where a record lies.
    pub(crate) fn find(self, hash: RecordHash) -> Option<usize> {
        self.0.iter().position(|leaf| leaf.hash == hash)
    }

    /// Every key that a charter or a manifest ever named.
    pub(crate) fn knows_key(self, id: KeyId) -> bool {
        self.0.iter().any(|leaf| brings_key(&leaf.record, id))
    }

    /// The active registration: the newest.
    pub(crate) fn registration(self, agent: &Name) -> Option<(RecordHash, &'a Registration)> {
        self.0.iter().rev().find_map(|leaf| {
            let registration = leaf.registration()?;
            (registration.agent == *agent).then_some((leaf.hash, registration))
        })
    }

    /// The newest lease, revocation or order about the agent.
    pub(crate) fn newest_decision(self, agent: &Name) -> Option<RecordHash> {
        let is_about = |leaf: &&Leaf| match &leaf.record.body {
            Body::Lease(lease) => lease.agent == *agent,
            Body::Order(order) => order.agent == *agent,
            Body::LeaseRevocation(revocation) => self
                .lease(revocation.lease)
                .is_some_and(|lease| lease.agent == *agent),
            _ => false,
        };
        self.0.iter().rev().find(is_about).map(|leaf| leaf.hash)
    }

    /// The lease of the epoch in force: the newest when the epoch was opened.
    pub(crate) fn lease_of_epoch(self, agent: &Name) -> Option<RecordHash> {
        let opening = self.openings(agent).pop()?;
        self.before(opening.at + 1).lease_of(agent)
    }

    /// Whether a charter ever gave a key to people.
    pub(crate) fn was_in_a_charter(self, id: KeyId) -> bool {
        let mut charters = self.0.iter().filter_map(Leaf::charter);
        charters.any(|charter| charter.keys.iter().any(|key| key.key.id() == id))
    }

    /// Whether a charter ever named a key as the log's, by its bytes.
    pub(crate) fn was_the_logs(self, id: KeyId) -> bool {
        let mut charters = self.0.iter().filter_map(Leaf::charter);
        charters.any(|charter| is_log_key(charter, id))
    }

    /// Whether an agent ever had a key.
    pub(crate) fn was_an_agents(self, id: KeyId) -> bool {
        let mut registrations = self.0.iter().filter_map(Leaf::registration);
        registrations.any(|version| version.key.id() == id)
    }

    /// The lease that was granted last, in force or not.
    pub(crate) fn lease_of(self, agent: &Name) -> Option<RecordHash> {
        let granted = |leaf: &&Leaf| leaf.lease().is_some_and(|lease| lease.agent == *agent);
        self.0.iter().rev().find(granted).map(|leaf| leaf.hash)
    }

    /// The registration that a lease was granted for.
    pub(crate) fn version_of(self, lease: RecordHash) -> &'a Registration {
        let at = self.find(lease).expect("a lease that was logged");
        let agent = &self.0[at].lease().expect("a lease").agent;
        let (_, registration) = self.before(at).registration(agent).expect("registered");
        registration
    }

    /// Everything the agent signed, with its index.
    pub(crate) fn own(self, agent: &Name) -> Vec<(usize, &'a Leaf)> {
        let all = self.0.iter().enumerate();
        all.filter(|(_, leaf)| leaf.is_by(agent)).collect()
    }

    /// What opened an epoch, one after another: their count is the epoch.
    pub(crate) fn openings(self, agent: &Name) -> Vec<Opening<'a>> {
        let mut openings: Vec<Opening<'a>> = Vec::new();
        for (at, leaf) in self.0.iter().enumerate() {
            let next = openings.len() as u64 + 1;
            let by = match &leaf.record.body {
                Body::Lease(lease) if lease.agent == *agent => {
                    let then = self.before(at);
                    // It waits for the release.
                    if then.enforces() && then.state(agent) == AgentState::Quarantined {
                        continue;
                    }
                    Opener::Lease
                }
                Body::Order(o) if o.agent == *agent && o.to == AgentState::Autohealing => {
                    Opener::Control
                }
                Body::Transition(t) if t.agent == *agent && begins_healing(t.rule) => {
                    // In observe mode transitions open nothing.
                    if !self.before(at).enforces() {
                        continue;
                    }
                    Opener::Control
                }
                Body::Heartbeat(beat) if beat.chain.agent == *agent => {
                    if beat.chain.epoch != next {
                        continue;
                    }
                    Opener::Agent
                }
                _ => continue,
            };
            openings.push(Opening { at, leaf, by });
        }
        openings
    }

    pub(crate) fn epoch(self, agent: &Name) -> u64 {
        self.openings(agent).len() as u64
    }

    /// What the agent signed in the epoch in force.
    pub(crate) fn in_epoch(self, agent: &Name) -> Vec<(usize, &'a Leaf)> {
        let Some(opening) = self.openings(agent).pop() else {
            return Vec::new();
        };
        let own = self.own(agent).into_iter();
        own.filter(|(at, _)| *at >= opening.at).collect()
    }

    pub(crate) fn instance(self, agent: &Name) -> Option<Instance> {
        let first = self.in_epoch(agent).first()?.1;
        Some(first.chain()?.instance)
    }

    pub(crate) fn next_seq(self, agent: &Name) -> u64 {
        let last = self.in_epoch(agent).pop();
        last.and_then(|(_, leaf)| leaf.chain())
            .map_or(0, |chain| chain.seq + 1)
    }

    /// What the next record names as `prev`.
    pub(crate) fn head(self, agent: &Name) -> Option<RecordHash> {
        match self.in_epoch(agent).pop() {
            Some((_, leaf)) => Some(leaf.hash),
            None => self.openings(agent).pop().map(|opening| opening.leaf.hash),
        }
    }

    pub(crate) fn last(self, agent: &Name) -> Option<RecordHash> {
        self.own(agent).pop().map(|(_, leaf)| leaf.hash)
    }

    /// Transitions and orders of the agent, with their index.
    pub(crate) fn moves(self, agent: &Name) -> Vec<(usize, AgentState, Option<Rule>)> {
        let all = self.0.iter().enumerate();
        all.filter_map(|(at, leaf)| leaf.moves(agent).map(|(to, rule)| (at, to, rule)))
            .collect()
    }

    /// The state moves by logged transitions and orders only.
    pub(crate) fn state(self, agent: &Name) -> AgentState {
        let moves = self.moves(agent);
        moves.last().map_or(AgentState::Stopped, |(_, to, _)| *to)
    }

    /// The goals whose outcome is not told, in the order they were set.
    pub(crate) fn open_goals(self, agent: &Name) -> Vec<RecordHash> {
        let mut open = Vec::new();
        for (_, leaf) in self.own(agent) {
            match leaf.receipt().map(|receipt| &receipt.phase) {
                Some(Phase::Goal(_)) if open.len() < 64 => open.push(leaf.hash),
                Some(Phase::Outcome(outcome)) => open.retain(|goal| *goal != outcome.goal),
                _ => {}
            }
        }
        open
    }

    /// The intents without a result, in the order they were logged, with their index.
    pub(crate) fn open_intents(self, agent: &Name) -> Vec<(usize, &'a Leaf)> {
        let mut open: Vec<(usize, &Leaf)> = Vec::new();
        for (at, leaf) in self.own(agent) {
            match leaf.receipt().map(|receipt| &receipt.phase) {
                Some(Phase::Intent(_)) if open.len() < 64 => open.push((at, leaf)),
                Some(Phase::Result(result)) => open.retain(|(_, i)| i.hash != result.intent),
                _ => {}
            }
        }
        open
    }
}

pub(crate) fn begins_healing(rule: Rule) -> bool {
    matches!(rule, Rule::HealDue | Rule::HealRetry)
}

/// A key that the charter distrusts has no role in it.
pub(crate) fn has_role(charter: &Charter, id: KeyId, role: Role) -> bool {
    let mut keys = charter.keys.iter();
    keys.any(|key| key.key.id() == id && key.roles.contains(&role))
        && !charter.distrusted.contains(&id)
}

/// Whether a charter names a key as the log's, by its bytes.
pub(crate) fn is_log_key(charter: &Charter, id: KeyId) -> bool {
    let mut keys = charter.log_keys.iter();
    keys.any(|key| KeyId::of(key.key_bytes()) == id)
}

/// Whether a record certifies a key: charters and manifests do.
pub(crate) fn brings_key(record: &Record, id: KeyId) -> bool {
    match &record.body {
        Body::Charter(charter) => charter.keys.iter().any(|key| key.key.id() == id),
        Body::Manifest(registration) => registration.key.id() == id,
        _ => false,
    }
}
