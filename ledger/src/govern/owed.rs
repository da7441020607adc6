//! What is owed: by the control plane the transitions and pulses that are due and not logged, by agents the results of
//! what they began.
//!
//! A transition is due from the first leaf before which its cause is there. It is *missed* if a leaf
//! comes more than `tolerance_ms` later and the cause is still there; each is missed once. What it costs
//! to look is what is due, and what the last leaf was about, not how many agents there are.

use std::sync::Arc;

use rpds::RedBlackTreeSetSync;

use super::agent::OpenIntent;
use super::state::State;
use crate::digest::RecordHash;
use crate::record::{Body, CheckedRecord, Rule};
use crate::text::Name;

/// Something that control has to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Its own sign of life.
    Pulse,
    /// A transition of an agent.
    Transition(Name, Rule),
}

/// A duty that was not done in time.
#[derive(Clone, Debug)]
pub(crate) struct Missed {
    pub(crate) duty: Duty,
    pub(crate) since_ms: u64,
}

/// A transition that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) rule: Rule,
    pub(super) since_ms: u64,
    pub(super) end_ms: u64,
}

/// The transitions that an agent is owed: one of a rule.
#[derive(Clone, Debug, Default)]
pub(super) struct OwedTransitions {
    /// Those that are due.
    pub(super) waiting: Vec<Waiting>,
    /// Those that were missed and are owed still.
    pub(super) missed: Vec<Rule>,
}

/// What is owed in all.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    /// The agents with transitions that are due, by the last millisecond at which these are in time. What lapsed may
    /// stand here still.
    by_end: RedBlackTreeSetSync<(u64, Name)>,
    /// The open intents whose results are not late, by when they are due, on a clock that stands still in gaps.
    results: RedBlackTreeSetSync<(u64, RecordHash, Name)>,
    pub(super) missed_pulse: bool,
    pub(super) began_ms: Option<u64>,
    /// Whom the last leaf was about.
    touched: Option<Name>,
    /// Whether it may have made transitions due of others too.
    was_wide: bool,
    /// Until when was looked.
    looked_ms: u64,
}

impl Owed {
    /// What is owed when so much of it was known at this time.
    pub(super) fn restored(began_ms: Option<u64>, missed_pulse: bool, now_ms: u64) -> Self {
        Self {
            missed_pulse,
            began_ms,
            was_wide: true,
            looked_ms: now_ms,
            ..Self::default()
        }
    }

    /// Takes up what an agent is owed, and owes.
    pub(super) fn take_up(&mut self, agent: &super::Agent) {
        let name = agent.name();
        for waiting in &agent.owed.waiting {
            self.by_end.insert_mut((waiting.end_ms, name.clone()));
        }
        for (intent, open) in agent.intents.iter() {
            self.begin(*intent, open, name);
        }
    }

    /// An intent was logged.
    pub(super) fn begin(&mut self, intent: RecordHash, open: &OpenIntent, agent: &Name) {
        if let Some(due_ms) = open.due_ms {
            self.results.insert_mut((due_ms, intent, agent.clone()));
        }
    }

    /// Its result was logged.
    pub(super) fn end(&mut self, intent: RecordHash, open: &OpenIntent, agent: &Name) {
        if let Some(due_ms) = open.due_ms {
            self.results.remove_mut(&(due_ms, intent, agent.clone()));
        }
    }
}

impl State {
    /// Goes on to the next leaf, received at `now_ms`, which is not yet in the state. Gives what has
    /// become too late; asked again, nothing. A root that was worked out before stays that of the last leaf.
    pub(crate) fn advance(&mut self, now_ms: u64) -> Vec<Missed> {
        let Some(tolerance_ms) = self.charter().map(|it| it.liveness.tolerance_ms) else {
            return Vec::new();
        };
        let last_ms = self.last_received_ms();
        self.owed.began_ms.get_or_insert(last_ms);
        let is_first_look = now_ms > self.owed.looked_ms;
        if is_first_look && self.is_gap(now_ms) {
            self.begin_anew(now_ms, tolerance_ms);
        }
        let mut missed = self.take_overdue(now_ms);
        missed.extend(self.check_pulse(now_ms));
        self.find_due(now_ms, tolerance_ms);
        missed
    }

    /// Whether the duty was missed and is owed still.
    pub(crate) fn has_missed(&self, duty: &Duty) -> bool {
        match duty {
            Duty::Pulse => self.owed.missed_pulse,
            Duty::Transition(name, rule) => {
                let agent = self.agent(name);
                agent.is_some_and(|agent| agent.owed.missed.contains(rule))
            }
        }
    }

    /// Gives, and forgets, the intents that should have had a result before `now_ms`. In a gap nothing could be logged,
    /// so it does not count: everything has that much longer.
    pub(crate) fn take_unfinished(&mut self, now_ms: u64) -> Vec<(RecordHash, Name)> {
        let mut gaps_ms = self.gaps_ms;
        if self.is_gap(now_ms) {
            gaps_ms += now_ms - self.last_received_ms();
        }
        let mut unfinished = Vec::new();
        while let Some((due_ms, intent, name)) = self.owed.results.first().cloned() {
            if due_ms + gaps_ms >= now_ms {
                break;
            }
            self.forget_result(due_ms, intent, &name);
            unfinished.push((intent, name));
        }
        unfinished
    }

    /// Counts nothing that was begun until now as late.
    pub(crate) fn forget_results(&mut self) {
        while let Some((due_ms, intent, name)) = self.owed.results.first().cloned() {
            self.forget_result(due_ms, intent, &name);
        }
    }

    fn forget_result(&mut self, due_ms: u64, intent: RecordHash, name: &Name) {
        self.owed
            .results
            .remove_mut(&(due_ms, intent, name.clone()));
        self.change_unqueued(name, |agent| {
            if let Some(open) = agent.intents.get_mut(&intent) {
                open.due_ms = None;
            }
        });
    }

    /// Takes up what the leaf did, now that it is in the state.
    pub(super) fn settle(&mut self, touched: Option<Name>, effect: Effect) {
        match effect {
            Effect::Pulse => self.owed.missed_pulse = false,
            Effect::Everybody => {
                let names: Vec<Name> = self.agents().map(|agent| agent.name().clone()).collect();
                names.iter().for_each(|name| self.lapse(name));
            }
            Effect::Others | Effect::OneAgent => {}
        }
        if let Some(name) = &touched {
            self.lapse(name);
        }
        self.owed.touched = touched;
        self.owed.was_wide = matches!(effect, Effect::Others | Effect::Everybody);
    }

    /// While nothing was logged nothing could be: after a gap, what is due is due from then on.
    fn begin_anew(&mut self, now_ms: u64, tolerance_ms: u64) {
        let owed = std::mem::take(&mut self.owed.by_end);
        for (_, name) in owed.iter() {
            let is_owed = |agent: &super::Agent| !agent.owed.waiting.is_empty();
            if self.agent(name).is_some_and(is_owed) {
                self.change_unqueued(name, |agent| agent.owed.waiting.clear());
                self.expect(name, now_ms, tolerance_ms);
            }
        }
        self.owed.was_wide = true;
    }

    fn take_overdue(&mut self, now_ms: u64) -> Vec<Missed> {
        let mut missed = Vec::new();
        while let Some((end_ms, name)) = self.owed.by_end.first().cloned() {
            if end_ms >= now_ms {
                break;
            }
            self.owed.by_end.remove_mut(&(end_ms, name.clone()));
            let rule_due = |agent| self.rule_due(agent, now_ms);
            let due = self.agent(&name).and_then(rule_due);
            self.change_unqueued(&name, |agent| {
                let owed = &mut agent.owed;
                let over = |it: &Waiting| it.end_ms == end_ms;
                for it in owed.waiting.iter().filter(|it| over(it)) {
                    if due == Some(it.rule) {
                        owed.missed.push(it.rule);
                        let duty = Duty::Transition(name.clone(), it.rule);
                        missed.push(Missed {
                            duty,
                            since_ms: it.since_ms,
                        });
                    }
                }
                owed.waiting.retain(|it| !over(it));
            });
        }
        missed
    }

    fn check_pulse(&mut self, now_ms: u64) -> Option<Missed> {
        let clocks = self.charter()?.liveness;
        let last_ms = self.last_pulse_ms().or(self.owed.began_ms)?;
        let gap_end_ms = match self.is_gap(now_ms) {
            true => now_ms,
            false => self.gap_end_ms,
        };
        let since_ms = last_ms.max(gap_end_ms) + clocks.pulse_ms;
        let is_late = now_ms > since_ms + clocks.tolerance_ms;
        let is_new = is_late && !self.owed.missed_pulse;
        self.owed.missed_pulse |= is_late;
        is_new.then_some(Missed {
            duty: Duty::Pulse,
            since_ms,
        })
    }

    /// Finds the agents to whom a cause has come with the last leaf or since.
    fn find_due(&mut self, now_ms: u64, tolerance_ms: u64) {
        if let Some(name) = self.owed.touched.take() {
            self.expect(&name, now_ms, tolerance_ms);
        }
        let (looked_ms, was_wide) = (self.owed.looked_ms, self.owed.was_wide);
        if was_wide || now_ms > looked_ms {
            let due = self.agents_due(looked_ms, now_ms);
            let due: Vec<Name> = due.map(|agent| agent.name().clone()).collect();
            due.iter()
                .for_each(|name| self.expect(name, now_ms, tolerance_ms));
        }
        (self.owed.looked_ms, self.owed.was_wide) = (now_ms, false);
    }

    fn expect(&mut self, name: &Name, now_ms: u64, tolerance_ms: u64) {
        let agent = self.agent(name);
        let rule = agent.and_then(|agent| self.rule_due(agent, now_ms).map(|rule| (agent, rule)));
        let Some((_, rule)) = rule.filter(|(agent, rule)| !agent.owed.has(*rule)) else {
            return;
        };
        let (since_ms, end_ms) = (now_ms, now_ms + tolerance_ms);
        self.change_unqueued(name, |agent| {
            agent.owed.waiting.push(Waiting {
                rule,
                since_ms,
                end_ms,
            });
        });
        self.owed.by_end.insert_mut((end_ms, name.clone()));
    }

    /// Drops what an agent is owed no more.
    fn lapse(&mut self, name: &Name) {
        let Some(agent) = self.agent(name) else {
            return;
        };
        if agent.owed.waiting.is_empty() && agent.owed.missed.is_empty() {
            return;
        }
        let due = self.rule_due(agent, self.last_received_ms());
        self.change_unqueued(name, |agent| {
            agent.owed.waiting.retain(|it| due == Some(it.rule));
            agent.owed.missed.retain(|rule| due == Some(*rule));
        });
    }

    /// Changes what has nothing to do with an agent's place in the deadline queue.
    fn change_unqueued(&mut self, name: &Name, change: impl FnOnce(&mut super::Agent)) {
        if let Some(agent) = self.agents.get(name) {
            let mut agent = Arc::clone(agent);
            change(Arc::make_mut(&mut agent));
            self.agents.insert_mut(name.clone(), agent);
        }
    }

    /// The agent that a record is about, before it is applied or by its own word.
    pub(crate) fn touched(&self, record: &CheckedRecord) -> Option<Name> {
        let known = self.agent_of(record).map(|agent| agent.name().clone());
        known.or_else(|| record.record().agent().cloned())
    }
}

impl OwedTransitions {
    fn has(&self, rule: Rule) -> bool {
        self.missed.contains(&rule) || self.waiting.iter().any(|it| it.rule == rule)
    }
}

/// Whose duties a leaf can have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Those of the agent that it is about, if it is about one.
    OneAgent,
    /// Those of the holders of sub-leases too.
    Others,
    /// Those of all.
    Everybody,
    /// That of the next pulse.
    Pulse,
}

impl Effect {
    pub(super) fn of(record: &CheckedRecord) -> Self {
        match &record.record().body {
            Body::Charter(_) => Self::Everybody,
            Body::Pulse(_) => Self::Pulse,
            Body::Lease(_) | Body::LeaseRenewal(_) | Body::LeaseRevocation(_) | Body::Order(_) => {
                Self::Others
            }
            _ => Self::OneAgent,
        }
    }
}
