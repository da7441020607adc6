//! The clocks, and the causes of transitions.

use super::agent::{Agent, Opener};
use super::state::State;
use crate::record::{AgentState, Liveness, Mode, Rule, Transition};

/// The span in which heals are counted towards quarantine.
const HEAL_WINDOW_MS: u64 = 24 * 60 * 60 * 1000;

impl State {
    /// The next transition that is due at `now_ms`. Sign it with the control key, admit it,
    /// apply it, and ask again: several that are due come in the order of [`Rule::ALL`].
    /// The cost is that of what is due, not of how many agents there are.
    pub fn next_duty(&self, now_ms: u64) -> Option<Transition> {
        let due = self
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now_ms);
        due.filter_map(|(_, name)| self.agent(name))
            .find_map(|agent| self.due(agent, now_ms))
    }

    /// The first deadline after `now_ms`, for a timer that has just looked.
    pub fn next_deadline_after(&self, now_ms: u64) -> Option<u64> {
        let mut deadlines = self.deadlines.iter().map(|(deadline, _)| *deadline);
        deadlines.find(|deadline| *deadline > now_ms)
    }

    /// When the control plane's next pulse is due.
    pub fn next_pulse_ms(&self) -> Option<u64> {
        let every = self.charter()?.liveness.pulse_ms;
        Some(self.last_pulse_ms.map_or(0, |last| last + every))
    }

    fn due(&self, agent: &Agent, now_ms: u64) -> Option<Transition> {
        let to = |rule: &Rule| self.cause(agent, *rule, now_ms).map(|to| (*rule, to));
        let (rule, to) = Rule::ALL.iter().find_map(to)?;
        Some(Transition {
            agent: agent.name().clone(),
            n: agent.transitions + 1,
            from: agent.state,
            to,
            rule,
            epoch: agent.epoch + u64::from(self.opens_epoch(rule)),
        })
    }

    /// Whether a transition by this rule opens an epoch. In observe mode none does.
    pub(super) fn opens_epoch(&self, rule: Rule) -> bool {
        self.mode() == Mode::Enforce && matches!(rule, Rule::HealDue | Rule::HealRetry)
    }

    /// Where the rule leads the agent, if its cause is there at `now_ms`.
    pub(super) fn cause(&self, agent: &Agent, rule: Rule, now_ms: u64) -> Option<AgentState> {
        use AgentState::{Autohealing, Degraded, Quarantined, Running, Stopped};
        let charter = self.charter()?;
        let clocks = &charter.liveness;
        let state = agent.state;
        let pulse_age = self.pulse_age_ms(agent, now_ms);
        let progress_age = self.progress_age_ms(agent, now_ms);
        let oldest = pulse_age.max(progress_age);
        let leased = agent
            .lease
            .is_some_and(|lease| self.in_force(lease, now_ms).is_ok());
        let active = matches!(state, Running | Degraded | Autohealing);
        let timed_out = now_ms.saturating_sub(agent.healing.since_ms) >= clocks.heal_timeout_ms;
        let last_attempt = agent.healing.attempt >= clocks.heal_attempts;
        let (holds, to) = match rule {
            Rule::ManifestDrift => (active && agent.causes.drift, Quarantined),
            Rule::Denials => (
                active && agent.denials.len() as u64 >= charter.limits.denials_max.max(1),
                Quarantined,
            ),
            Rule::Finished => (
                matches!(state, Running | Degraded) && agent.causes.finished,
                Stopped,
            ),
            Rule::LeaseEnded if state == Degraded => {
                (!leased && pulse_age >= clocks.autoheal_after_ms, Stopped)
            }
            Rule::LeaseEnded => (matches!(state, Running | Autohealing) && !leased, Degraded),
            Rule::PulseLost => (
                state == Running && pulse_age >= clocks.degraded_after_ms,
                Degraded,
            ),
            Rule::ProgressLost => (
                state == Running && progress_age >= clocks.degraded_after_ms,
                Degraded,
            ),
            Rule::HealDue => (
                state == Degraded && leased && oldest >= clocks.autoheal_after_ms,
                Autohealing,
            ),
            Rule::HealExhausted => (
                state == Autohealing
                    && (timed_out && last_attempt || too_many_heals(agent, clocks, now_ms)),
                Quarantined,
            ),
            Rule::HealRetry => (
                state == Autohealing && timed_out && !last_attempt,
                Autohealing,
            ),
            Rule::Healed => (
                state == Autohealing && agent.healing.beats >= clocks.heal_beats,
                Running,
            ),
            Rule::Recovered => (
                state == Degraded
                    && leased
                    && agent.since_degraded.beat
                    && (agent.goals.is_empty() || agent.since_degraded.progress),
                Running,
            ),
            Rule::Restarted => (
                matches!(state, Stopped | Running | Degraded) && agent.causes.restarted,
                Running,
            ),
            Rule::Started => (state == Stopped && leased && agent.causes.started, Running),
        };
        holds.then_some(to)
    }

    /// How long the agent has been silent, in milliseconds: since its last heartbeat, the
    /// opening of its epoch, or the end of the last gap, whichever is latest.
    pub fn pulse_age_ms(&self, agent: &Agent, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.base_ms(agent, now_ms).max(agent.beat_ms))
    }

    /// How long the agent has stood still, in milliseconds; 0 while it has no open goal. A call
    /// in flight is no standstill until the time that its manifest gives it is over.
    pub fn progress_age_ms(&self, agent: &Agent, now_ms: u64) -> u64 {
        if agent.goals.is_empty() {
            return 0;
        }
        let base = self.progress_base_ms(agent, now_ms);
        now_ms.saturating_sub(base.min(now_ms))
    }

    fn progress_base_ms(&self, agent: &Agent, now_ms: u64) -> u64 {
        let in_flight = agent
            .intents
            .values()
            .map(|intent| intent.lapses_ms)
            .max()
            .unwrap_or(0);
        self.base_ms(agent, now_ms)
            .max(agent.progress_ms)
            .max(in_flight)
    }

    fn base_ms(&self, agent: &Agent, now_ms: u64) -> u64 {
        let opened = agent.opening.map_or(0, |opening| opening.received_ms);
        let gap_end = if self.is_gap(now_ms) {
            now_ms
        } else {
            self.gap_end_ms
        };
        opened.max(gap_end)
    }

    /// Whether nothing at all was logged for so long before `now_ms` that no agent is blamed.
    pub(super) fn is_gap(&self, now_ms: u64) -> bool {
        let clocks = self.charter().map(|charter| &charter.liveness);
        let longest = clocks.map_or(u64::MAX, |clocks| clocks.pulse_ms + clocks.tolerance_ms);
        now_ms.saturating_sub(self.last_received_ms) > longest
    }

    /// The earliest time at which some cause of the agent can come to hold, if nothing is
    /// logged until then. It may be too early, never too late.
    pub(super) fn deadline_ms(&self, agent: &Agent) -> Option<u64> {
        let now = self.last_received_ms;
        if Rule::ALL
            .iter()
            .any(|rule| self.cause(agent, *rule, now).is_some())
        {
            return Some(now);
        }
        let by_clock = self.clock_deadline_ms(agent)?;
        Some(
            self.lease_turns_ms(agent)
                .map_or(by_clock, |turn| turn.min(by_clock)),
        )
    }

    /// When silence, standstill or an attempt at healing will have lasted too long.
    fn clock_deadline_ms(&self, agent: &Agent) -> Option<u64> {
        let clocks = &self.charter()?.liveness;
        let now = self.last_received_ms;
        let silent = self.base_ms(agent, now).max(agent.beat_ms);
        let moves = !agent.goals.is_empty();
        let idle = if moves {
            silent.min(self.progress_base_ms(agent, now))
        } else {
            silent
        };
        let leased = agent
            .lease
            .is_some_and(|lease| self.in_force(lease, now).is_ok());
        match agent.state {
            AgentState::Running => Some(idle + clocks.degraded_after_ms),
            AgentState::Degraded if leased => Some(idle + clocks.autoheal_after_ms),
            AgentState::Degraded => Some(silent + clocks.autoheal_after_ms),
            AgentState::Autohealing => Some(agent.healing.since_ms + clocks.heal_timeout_ms),
            AgentState::Quarantined | AgentState::Stopped => None,
        }
    }

    /// When the agent's lease next begins or ends to be in force.
    fn lease_turns_ms(&self, agent: &Agent) -> Option<u64> {
        let running_on = self
            .lineage(agent.lease?)
            .filter(|lease| lease.ended.is_none());
        let turns = running_on.flat_map(|lease| [lease.terms().not_before_ms, lease.expires_ms]);
        turns.filter(|turn| *turn > self.last_received_ms).min()
    }
}

/// More heals within a day than one healing has attempts.
fn too_many_heals(agent: &Agent, clocks: &Liveness, now_ms: u64) -> bool {
    let recent = |at: &&u64| now_ms.saturating_sub(**at) < HEAL_WINDOW_MS;
    agent.heals_ms.iter().filter(recent).count() as u64 > clocks.heal_attempts
}

impl Agent {
    /// Counts one more entry into autohealing, and forgets those that no longer count.
    pub(super) fn count_heal(&mut self, now_ms: u64) {
        self.heals_ms
            .retain(|at| now_ms.saturating_sub(*at) < HEAL_WINDOW_MS);
        self.heals_ms.push(now_ms);
    }

    /// Whether the epoch in force was opened by a lease and has not begun.
    pub(super) fn awaits_start(&self) -> bool {
        let by_lease = self
            .opening
            .is_some_and(|opening| opening.by == Opener::Lease);
        by_lease && self.instance.is_none()
    }
}
