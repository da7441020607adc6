//! What each kind of record does to the state.

use std::sync::Arc;

use tlog::LeafIndex;
use tlog::checkpoint::SignedCheckpoint;

use super::agent::{Agent, AgentKey, MAX_OPEN, OpenIntent, Opener, Opening, Version};
use super::charter::Approval;
use super::heads::LogKeys;
use super::lease::{Ended, LeaseState, Spent};
use super::recent::Denials;
use super::state::{CharterInForce, Known, State};
use crate::digest::RecordHash;
use crate::record::{
    AgentState, Body, Charter, CheckedRecord, Heartbeat, Lease, LeaseRenewal, LeaseRevocation,
    Order, Phase, Pulse, Receipt, Refused, Registration, Rule, Transition,
};
use crate::text::Name;

impl State {
    pub(super) fn apply_body(
        &mut self,
        index: LeafIndex,
        received_ms: u64,
        checked: &CheckedRecord,
    ) {
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
        self.constitution = Some(Arc::new(CharterInForce { log, hash, charter }));
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
