//! The clocks, and the causes of transitions.

use super::agent::{Agent, Opener};
use super::recent::counts;
use super::state::State;
use crate::record::{AgentState, Liveness, Mode, Rule, Transition};
use crate::text::Name;

impl State {
    /// The next transition that is due at `now_ms`. Sign it with the control key, admit it,
    /// apply it, and ask again: several that are due come in the order of [`Rule::ALL`].
    /// The cost is that of what is due, not of how many agents there are.
    pub fn next_duty(&self, now_ms: u64) -> Option<Transition> {
        self.duties(now_ms).next()
    }

    /// The transitions that are due at `now_ms`: of each agent the first.
    pub fn duties(&self, now_ms: u64) -> impl Iterator<Item = Transition> {
        let due = self
            .deadlines
            .iter()
            .take_while(move |(deadline, _)| *deadline <= now_ms);
        due.filter_map(|(_, name)| self.agent(name))
            .filter_map(move |agent| self.due(agent, now_ms))
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

    /// The agents to whom a cause came, or comes, at a time from `from_ms` to `to_ms`, if nothing
    /// of theirs is logged until then.
    pub(crate) fn agents_due(&self, from_ms: u64, to_ms: u64) -> impl Iterator<Item = &Agent> {
        use std::ops::Bound::{Excluded, Unbounded};
        let before = from_ms.checked_sub(1);
        // There is no least name to begin a range with, so it begins behind the millisecond before.
        let start = before.map_or(Unbounded, |before| Excluded((before, Name::last())));
        let due = self.deadlines.range((start, Unbounded));
        due.take_while(move |(deadline, _)| *deadline <= to_ms)
            .filter_map(|(_, name)| self.agent(name))
    }

    /// The rule by which a transition of the agent is due at `now_ms`: of several causes the first, for
    /// the transition may well end the others.
    pub(crate) fn rule_due(&self, agent: &Agent, now_ms: u64) -> Option<Rule> {
        agent.deadline_ms.filter(|at| *at <= now_ms)?;
        let moment = self.moment(agent, now_ms);
        let holds = |rule: &&Rule| self.cause_at(agent, **rule, &moment).is_some();
        Rule::ALL.iter().find(holds).copied()
    }

    /// The transition of the agent that is due at `now_ms`, by the rule that comes first.
    pub(super) fn due(&self, agent: &Agent, now_ms: u64) -> Option<Transition> {
        let moment = self.moment(agent, now_ms);
        let to = |rule: &Rule| self.cause_at(agent, *rule, &moment).map(|to| (*rule, to));
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

    /// Where the rule leads the agent, if its cause is there.
    fn cause_at(&self, agent: &Agent, rule: Rule, moment: &Moment) -> Option<AgentState> {
        use AgentState::{Autohealing, Degraded, Quarantined, Running, Stopped};
        let charter = self.charter()?;
        let clocks = &charter.liveness;
        let state = agent.state;
        let Moment {
            now_ms,
            pulse_age,
            progress_age,
            attempt_age,
            leased,
        } = *moment;
        let oldest = pulse_age.max(progress_age);
        let active = matches!(state, Running | Degraded | Autohealing);
        let timed_out = attempt_age >= clocks.heal_timeout_ms;
        let last_attempt = agent.healing.attempt >= clocks.heal_attempts;
        let (holds, to) = match rule {
            Rule::ManifestDrift => (active && agent.causes.drift, Quarantined),
            Rule::Denials => (
                active
                    && agent
                        .denials
                        .reach(charter.limits.denials_max.max(1), now_ms),
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
            Rule::Restarted => (agent.may_be_restarted() && agent.causes.restarted, Running),
            Rule::Started => (state == Stopped && leased && agent.causes.started, Running),
        };
        holds.then_some(to)
    }

    /// How long the agent has been silent, in milliseconds: since its last heartbeat, the
    /// opening of its epoch, or the end of the last gap, whichever is latest.
    pub fn pulse_age_ms(&self, agent: &Agent, now_ms: u64) -> u64 {
        self.moment(agent, now_ms).pulse_age
    }

    /// How long the agent has stood still, in milliseconds; 0 while it has no open goal. A call
    /// in flight is not a standstill until the time that its manifest gives it is over.
    pub fn progress_age_ms(&self, agent: &Agent, now_ms: u64) -> u64 {
        self.moment(agent, now_ms).progress_age
    }

    /// How an agent stands at a time, when nothing has been logged since: a gap that lasts until
    /// then is laid to nobody.
    fn moment(&self, agent: &Agent, now_ms: u64) -> Moment {
        let gap_end_ms = if self.is_gap(now_ms) {
            now_ms
        } else {
            self.gap_end_ms
        };
        self.moment_after(agent, now_ms, gap_end_ms)
    }

    /// The state of an agent at a time, if the log goes on until then without a record about it.
    fn moment_in_a_live_log(&self, agent: &Agent, now_ms: u64) -> Moment {
        self.moment_after(agent, now_ms, self.gap_end_ms)
    }

    fn moment_after(&self, agent: &Agent, now_ms: u64, gap_end_ms: u64) -> Moment {
        let silent_since = silent_since_ms(agent, gap_end_ms);
        let still_since = still_since_ms(agent, gap_end_ms);
        let in_force = |lease| self.in_force(lease, now_ms).is_ok();
        Moment {
            now_ms,
            pulse_age: now_ms.saturating_sub(silent_since),
            progress_age: still_since.map_or(0, |since| now_ms.saturating_sub(since)),
            attempt_age: now_ms.saturating_sub(attempt_since_ms(agent, gap_end_ms)),
            leased: agent.lease.is_some_and(in_force),
        }
    }

    /// Whether nothing at all was logged for so long before `now_ms` that no agent is blamed.
    pub(crate) fn is_gap(&self, now_ms: u64) -> bool {
        let clocks = self.charter().map(|charter| &charter.liveness);
        let longest = clocks.map_or(u64::MAX, |clocks| clocks.pulse_ms + clocks.tolerance_ms);
        now_ms.saturating_sub(self.last_received_ms) > longest
    }

    /// The first time at which some cause of the agent holds, if nothing of it is logged until
    /// then. It is exact: an agent whose deadline came too early would stay due with no cause,
    /// be looked at forever, and hide its next deadline.
    pub(super) fn deadline_ms(&self, agent: &Agent) -> Option<u64> {
        let has_cause = |at_ms: &u64| {
            let moment = self.moment_in_a_live_log(agent, *at_ms);
            let holds = |rule: &Rule| self.cause_at(agent, *rule, &moment).is_some();
            Rule::ALL.iter().any(holds)
        };
        let now = self.last_received_ms;
        if has_cause(&now) {
            return Some(now);
        }
        let mut turns: Vec<u64> = self.clocks_run_out_ms(agent);
        turns.extend(self.lease_turns_ms(agent));
        turns.retain(|turn| *turn > now);
        turns.sort_unstable();
        turns.into_iter().find(has_cause)
    }

    /// When silence, lack of progress or an attempt at healing will have lasted too long.
    fn clocks_run_out_ms(&self, agent: &Agent) -> Vec<u64> {
        let Some(charter) = self.charter() else {
            return Vec::new();
        };
        let clocks = &charter.liveness;
        let silent = silent_since_ms(agent, self.gap_end_ms);
        let still = still_since_ms(agent, self.gap_end_ms);
        let after = |wait: u64| {
            [Some(silent), still]
                .into_iter()
                .flatten()
                .map(move |since| since + wait)
        };
        match agent.state {
            AgentState::Running => after(clocks.degraded_after_ms).collect(),
            AgentState::Degraded => after(clocks.autoheal_after_ms).collect(),
            AgentState::Autohealing => {
                vec![attempt_since_ms(agent, self.gap_end_ms) + clocks.heal_timeout_ms]
            }
            AgentState::Quarantined | AgentState::Stopped => Vec::new(),
        }
    }

    /// When the agent's lease, or one above it, begins or ends.
    fn lease_turns_ms(&self, agent: &Agent) -> impl Iterator<Item = u64> {
        let lineage = agent.lease.map(|lease| self.lineage(lease));
        let lineage = lineage.into_iter().flatten();
        lineage.flat_map(|lease| [lease.terms().not_before_ms, lease.expires_ms])
    }
}

/// The state of an agent at one time.
struct Moment {
    now_ms: u64,
    /// How long it has been silent.
    pulse_age: u64,
    /// How long it has stood still.
    progress_age: u64,
    /// How long its attempt at healing has lasted.
    attempt_age: u64,
    /// Whether its lease is in force.
    leased: bool,
}

/// Since when both ages count at least: the opening of the epoch, or the end of a gap.
fn ages_since_ms(agent: &Agent, gap_end_ms: u64) -> u64 {
    let opened = agent.opening.map_or(0, |opening| opening.received_ms);
    opened.max(gap_end_ms)
}

fn silent_since_ms(agent: &Agent, gap_end_ms: u64) -> u64 {
    ages_since_ms(agent, gap_end_ms).max(agent.beat_ms)
}

/// Nobody could beat in a gap, so an attempt at healing has its time after it.
fn attempt_since_ms(agent: &Agent, gap_end_ms: u64) -> u64 {
    agent.healing.since_ms.max(gap_end_ms)
}

/// `None` while the agent has no open goal.
fn still_since_ms(agent: &Agent, gap_end_ms: u64) -> Option<u64> {
    let lapses = agent.intents.values().map(|intent| intent.lapses_ms);
    let still = ages_since_ms(agent, gap_end_ms)
        .max(agent.progress_ms)
        .max(lapses.max().unwrap_or(0));
    (!agent.goals.is_empty()).then_some(still)
}

/// More heals within a day than one healing has attempts.
fn too_many_heals(agent: &Agent, clocks: &Liveness, now_ms: u64) -> bool {
    let recent = |at: &&u64| counts(**at, now_ms);
    agent.heals_ms.iter().filter(recent).count() as u64 > clocks.heal_attempts
}

impl Agent {
    /// Counts one more entry into autohealing, and forgets those that no longer count. One more
    /// than the attempts is too many, so no log can make it count further.
    pub(super) fn count_heal(&mut self, now_ms: u64, attempts: u64) {
        self.heals_ms.retain(|at| counts(*at, now_ms));
        if self.heals_ms.len() as u64 > attempts {
            self.heals_ms.remove(0);
        }
        self.heals_ms.push(now_ms);
    }

    /// Whether the agent can leave its state by restarting itself.
    pub(super) const fn may_be_restarted(&self) -> bool {
        use AgentState::{Degraded, Running, Stopped};
        matches!(self.state, Stopped | Running | Degraded)
    }

    /// Whether the epoch in force was opened by a lease and has not begun.
    pub(super) fn awaits_start(&self) -> bool {
        let by_lease = self
            .opening
            .is_some_and(|opening| opening.by == Opener::Lease);
        by_lease && self.instance.is_none()
    }
}
