//! What an agent may log: its place in the chain, and what its lease and state allow.

use super::agent::{Agent, MAX_OPEN};
use super::state::State;
use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::envelope::{Checked, Validity};
use crate::key::KeyId;
use crate::record::{
    AgentState, Body, Chain, CheckedRecord, Heartbeat, Instance, Intent, Mode, Outcome, Phase,
    Receipt, Seen, Verdict,
};

/// How far an agent's clock may be ahead of the log's.
pub const MAX_AHEAD_MS: u64 = 2 * 60 * 1000;

/// How old a heartbeat or an intent may be when it arrives: it speaks of now.
pub const MAX_AGE_MS: u64 = 5 * 60 * 1000;

/// How many heartbeat intervals of silence let an agent restart itself.
const RESTART_SILENCE_BEATS: u64 = 2;

/// Refusals of intents that count towards quarantine.
pub(super) const fn is_denial_code(code: Code) -> bool {
    matches!(
        code,
        Code::ScopeDenied | Code::CapabilityMissing | Code::BudgetExceeded
    )
}

/// An agent's record whose signature and place in the chain are right.
pub(super) struct Place<'a> {
    agent: &'a Agent,
    /// Whether it opens the agent's next epoch.
    restarts: bool,
}

impl State {
    /// Whether a refusal by this code of this record is a *denial*, which counts towards
    /// quarantine: of an intent in the epoch in force, each record once. That there is no budget left is one only where
    /// the agent used it up itself.
    pub fn is_denial(&self, record: &CheckedRecord, code: Code) -> bool {
        let Body::Receipt(receipt) = &record.record().body else {
            return false;
        };
        let Some(agent) = self.agent(&receipt.chain.agent) else {
            return false;
        };
        let Phase::Intent(intent) = &receipt.phase else {
            return false;
        };
        is_denial_code(code)
            && receipt.chain.epoch == agent.epoch
            && !agent.denials.contains(&record.hash())
            && (code != Code::BudgetExceeded || self.is_spent_by_itself(agent, intent))
    }

    /// Whether a refusal of this record is in the log as one that counts, so that it is not told again.
    pub fn is_denied_already(&self, record: &CheckedRecord) -> bool {
        let agent = record.record().agent().and_then(|name| self.agent(name));
        agent.is_some_and(|agent| agent.denials.contains(&record.hash()))
    }

    fn is_spent_by_itself(&self, agent: &Agent, intent: &Intent) -> bool {
        let lease = agent.lease;
        lease.is_some_and(|lease| !self.affords_alone(lease, &intent.reserve))
    }

    /// Checks agent, key, signature and chain of a heartbeat.
    pub(super) fn place_of_beat(
        &self,
        record: &CheckedRecord,
        beat: &Heartbeat,
        received_ms: u64,
    ) -> Result<Place<'_>, Refusal> {
        let chain = &beat.chain;
        let agent = self.known_agent(&chain.agent)?;
        let restarts = agent.is_restarted_by(chain);
        let spoken = if restarts {
            agent.lease
        } else {
            agent.epoch_lease
        };
        self.is_signed_by(
            record,
            agent,
            spoken,
            restarts || chain.epoch == agent.epoch,
        )?;
        if restarts {
            is_new_instance(agent, chain.instance)?;
            let lease = agent
                .lease
                .ok_or_else(|| Code::LeaseUnknown.because("no lease at all"))?;
            is_previous(chain, lease)?;
        } else {
            in_epoch(agent, chain)?;
            in_sequence(agent, chain)?;
        }
        let before = if chain.seq == 0 { agent.last } else { None };
        if beat.before != before {
            let want = before.map_or("null".to_owned(), |before| before.to_string());
            return Err(Code::BeforeMismatch.because(format!("want {want}")));
        }
        let last_ms = if restarts { 0 } else { agent.chain_at_ms };
        in_time(record.record().at_ms, last_ms, received_ms, true)?;
        beat.seen
            .as_ref()
            .map_or(Ok(()), |seen| self.is_sound(record, agent, seen))?;
        Ok(Place { agent, restarts })
    }

    /// Checks agent, key, signature and chain of a receipt.
    pub(super) fn place_of_receipt(
        &self,
        record: &CheckedRecord,
        receipt: &Receipt,
        received_ms: u64,
    ) -> Result<Place<'_>, Refusal> {
        let chain = &receipt.chain;
        let agent = self.known_agent(&chain.agent)?;
        self.is_signed_by(record, agent, agent.epoch_lease, chain.epoch == agent.epoch)?;
        in_epoch(agent, chain)?;
        if agent.next_seq == 0 {
            return Err(Code::SequenceGap.because("an epoch begins with a heartbeat"));
        }
        in_sequence(agent, chain)?;
        let speaks_of_now = matches!(receipt.phase, Phase::Intent(_));
        in_time(
            record.record().at_ms,
            agent.chain_at_ms,
            received_ms,
            speaks_of_now,
        )?;
        Ok(Place {
            agent,
            restarts: false,
        })
    }

    /// Lease and state, for a heartbeat; a beat that outlives its lease still shows life. In
    /// observe mode a state restricts nothing.
    pub(super) fn judge_beat(
        &self,
        place: &Place<'_>,
        beat: &Heartbeat,
        at_ms: u64,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        let agent = place.agent;
        let starts = beat.chain.seq == 0 && agent.state == AgentState::Stopped;
        if place.restarts || starts {
            self.lease_in_force(agent, at_ms, received_ms)?;
        }
        match agent.state {
            _ if place.restarts => self.may_restart(agent, received_ms)?,
            _ if self.mode() == Mode::Observe => {}
            AgentState::Stopped if !agent.awaits_start() => {
                return Err(forbids(agent, "a heartbeat"));
            }
            AgentState::Quarantined => return Err(forbids(agent, "a heartbeat")),
            _ => {}
        }
        let (got, last) = (beat.progress, agent.progress);
        if !place.restarts && got < last {
            return Err(Code::ProgressRegressed.because(format!("progress {got} after {last}")));
        }
        Ok(())
    }

    /// An agent restarts itself after its own goodbye, or when it has been silent for a while;
    /// never out of autohealing, quarantine or an ordered stop.
    fn may_restart(&self, agent: &Agent, received_ms: u64) -> Result<(), Refusal> {
        let every = self.charter_in_force()?.liveness.heartbeat_ms;
        let silence = self.pulse_age_ms(agent, received_ms);
        let need = every.saturating_mul(RESTART_SILENCE_BEATS);
        match agent.state {
            AgentState::Stopped if agent.said_goodbye => Ok(()),
            AgentState::Running | AgentState::Degraded if silence >= need => Ok(()),
            AgentState::Running | AgentState::Degraded => {
                let why = format!("silent for {silence} ms, a restart needs {need}");
                Err(Code::StateForbids.because(why))
            }
            _ => Err(forbids(agent, "a restart by the agent")),
        }
    }

    /// Lease, state, scope, budget and the rest, for a receipt.
    pub(super) fn judge_receipt(
        &self,
        place: &Place<'_>,
        receipt: &Receipt,
        at_ms: u64,
        received_ms: u64,
    ) -> Result<(), Refusal> {
        let agent = place.agent;
        match &receipt.phase {
            Phase::Goal(_) => {
                self.lease_in_force(agent, at_ms, received_ms)?;
                self.state_allows(agent, &receipt.phase)?;
                has_room("goals", agent.goals.len())
            }
            Phase::Intent(intent) => {
                self.lease_in_force(agent, at_ms, received_ms)?;
                self.state_allows(agent, &receipt.phase)?;
                self.authorizes(agent, intent)?;
                is_open_goal(agent, &intent.goal)?;
                has_room("intents", agent.intents.len())
            }
            Phase::Result(result) => {
                if !agent.intents.contains_key(&result.intent) {
                    return Err(Code::IntentUnknown.because(result.intent));
                }
                Ok(())
            }
            Phase::Outcome(outcome) => {
                self.state_allows(agent, &receipt.phase)?;
                is_open_goal(agent, &outcome.goal)?;
                is_backed(outcome)
            }
        }
    }

    /// In observe mode a record that was made while the lease was in force and came too late, or
    /// too early, is *late* and no breach.
    fn lease_in_force(&self, agent: &Agent, at_ms: u64, t: u64) -> Result<(), Refusal> {
        let lease = agent
            .lease
            .ok_or_else(|| Code::LeaseUnknown.because("no lease at all"))?;
        let Err(refusal) = self.in_force(lease, t) else {
            return Ok(());
        };
        // What is not in force for another reason is so at no time.
        let is_late = self.in_force(lease, at_ms).is_ok();
        if is_late && self.mode() == Mode::Observe {
            return Ok(());
        }
        Err(refusal)
    }

    /// *Running*: all. *Degraded*: no goals, and only intents that read. *Autohealing*: results
    /// and outcomes. *Quarantined* and *stopped*: results. In observe mode a state restricts
    /// nothing.
    fn state_allows(&self, agent: &Agent, phase: &Phase) -> Result<(), Refusal> {
        let allowed = match (agent.state, phase) {
            _ if self.mode() == Mode::Observe => true,
            (AgentState::Running, _) | (_, Phase::Result(_)) => true,
            (AgentState::Degraded, Phase::Intent(intent)) => intent.scope.verb() == "read",
            (AgentState::Degraded | AgentState::Autohealing, Phase::Outcome(_)) => true,
            _ => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(forbids(agent, phase.as_str()))
        }
    }

    /// An intent is permitted, and paid for, by its lease and every lease above it.
    fn authorizes(&self, agent: &Agent, intent: &Intent) -> Result<(), Refusal> {
        let lease = agent
            .lease
            .ok_or_else(|| Code::LeaseUnknown.because("no lease at all"))?;
        let lineage = || self.lineage(lease);
        let scope = &intent.scope;
        let capable = |lease: &super::LeaseState| {
            lease
                .version
                .capabilities
                .iter()
                .any(|held| held.permits(scope))
        };
        if !lineage().take(1).all(capable) {
            return Err(Code::CapabilityMissing.because(format!("no capability covers {scope}")));
        }
        lineage().try_for_each(|lease| lease.permits(scope))?;
        self.affords(lease, &intent.reserve)
    }

    /// Key and signature. In the epoch in force the key is that of the manifest that the epoch's
    /// lease names; of a record of another epoch it is asked only that the agent has or had it,
    /// for what is wrong with that record is its epoch.
    fn is_signed_by(
        &self,
        record: &CheckedRecord,
        agent: &Agent,
        lease: Option<RecordHash>,
        in_force: bool,
    ) -> Result<(), Refusal> {
        let unknown = |checked: &&Checked| self.validity(record, checked) == Validity::Unknown;
        if let Some(checked) = record.signatures().iter().find(unknown) {
            return Err(Code::KeyUnknown.because(checked.keyid));
        }
        let lease = lease.and_then(|lease| self.lease(&lease));
        let key = lease.map_or(agent.version.key, super::LeaseState::agent_key);
        let counts = |id: &KeyId| agent.has_key(id) && (!in_force || *id == key);
        match record.signatures().iter().find(|by| !counts(&by.keyid)) {
            None => self.signers(record, |_| true).map(drop),
            Some(by) => Err(Code::KeyNotAgents.because(format!("{}: want {key}", by.keyid))),
        }
    }

    /// The log's own signature on what an agent has seen, and no step back in size.
    fn is_sound(&self, record: &CheckedRecord, agent: &Agent, seen: &Seen) -> Result<(), Refusal> {
        self.is_signed_by_the_log(record, seen)?;
        let (size, last) = (seen.size, agent.seen_size);
        if size < last {
            return Err(Code::Malformed.because(format!("seen: size {size} after {last}")));
        }
        Ok(())
    }
}

/// Epoch and instance.
fn in_epoch(agent: &Agent, chain: &Chain) -> Result<(), Refusal> {
    let (got, want) = (chain.epoch, agent.epoch);
    if got > want || want == 0 {
        return Err(Code::EpochFuture.because(format!("epoch {got}, in force is {want}")));
    }
    if got < want {
        let why = format!("epoch {got}, in force is {want}");
        let superseded = agent.was_superseded(got);
        let code = if superseded {
            Code::EpochSuperseded
        } else {
            Code::EpochFenced
        };
        return Err(code.because(why));
    }
    match agent.instance {
        Some(instance) if instance == chain.instance => Ok(()),
        Some(instance) => {
            Err(Code::EpochFenced.because(format!("{instance} speaks in this epoch")))
        }
        None if agent.goes_on == Some(chain.instance) => Ok(()),
        None => is_new_instance(agent, chain.instance),
    }
}

/// An epoch is for a new process, unless its lease lets the one before go on: what was fenced
/// once is fenced for good.
fn is_new_instance(agent: &Agent, instance: Instance) -> Result<(), Refusal> {
    if agent.has_spoken(instance) {
        return Err(Code::EpochFenced.because(format!("{instance} was fenced")));
    }
    Ok(())
}

/// `seq` and `prev`.
fn in_sequence(agent: &Agent, chain: &Chain) -> Result<(), Refusal> {
    let (got, want) = (chain.seq, agent.next_seq);
    if got > want {
        return Err(Code::SequenceGap.because(format!("seq {got}, want {want}")));
    }
    if got < want {
        return Err(Code::SequenceRepeated.because(format!("seq {got}, want {want}")));
    }
    agent.head.map_or(Ok(()), |head| is_previous(chain, head))
}

fn is_previous(chain: &Chain, want: RecordHash) -> Result<(), Refusal> {
    if chain.prev != want {
        return Err(Code::PreviousMismatch.because(format!("prev {}, want {want}", chain.prev)));
    }
    Ok(())
}

fn in_time(at_ms: u64, last_ms: u64, now: u64, speaks_of_now: bool) -> Result<(), Refusal> {
    if at_ms > now + MAX_AHEAD_MS {
        return Err(Code::ClockAhead.because(format!("at_ms {at_ms}, the log's clock is {now}")));
    }
    if at_ms < last_ms {
        return Err(Code::ClockRegressed.because(format!("at_ms {at_ms} after {last_ms}")));
    }
    if speaks_of_now && at_ms + MAX_AGE_MS < now {
        return Err(Code::Stale.because(format!("at_ms {at_ms}, the log's clock is {now}")));
    }
    Ok(())
}

fn forbids(agent: &Agent, what: &str) -> Refusal {
    Code::StateForbids.because(format!("{} is {}: no {what}", agent.name(), agent.state()))
}

fn is_open_goal(agent: &Agent, goal: &RecordHash) -> Result<(), Refusal> {
    if agent.goals.contains_key(goal) {
        Ok(())
    } else {
        Err(Code::GoalUnknown.because(goal))
    }
}

fn has_room(what: &str, open: usize) -> Result<(), Refusal> {
    if open >= MAX_OPEN {
        return Err(Code::TooManyOpen.because(format!("{open} {what} are open")));
    }
    Ok(())
}

fn is_backed(outcome: &Outcome) -> Result<(), Refusal> {
    if outcome.verdict == Verdict::Accepted && outcome.checks.is_empty() {
        return Err(Code::OutcomeUnbacked.because("accepted with no check"));
    }
    Ok(())
}
