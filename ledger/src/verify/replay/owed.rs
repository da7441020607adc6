//! What the control plane owes: the transitions and pulses that are due and not logged.
//!
//! A transition is due from the first leaf before which its cause is there. It is *missed* if a leaf
//! comes more than `tolerance_ms` later and the cause is still there; each is missed once. What it costs
//! to look is what is due, and what the last leaf was about, not how many agents there are.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::govern::{Agent, State};
use crate::record::Rule;
use crate::text::Name;

/// Something that control has to log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Duty {
    /// Its own sign of life.
    Pulse,
    /// A transition of an agent.
    Transition(Name, Rule),
}

/// A duty that was not done in time.
#[derive(Clone, Debug)]
pub(super) struct Missed {
    pub(super) duty: Duty,
    pub(super) since_ms: u64,
}

/// A transition that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    since_ms: u64,
    end_ms: u64,
}

/// What is owed in one history.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    /// Transitions that are due.
    waiting: BTreeMap<Name, BTreeMap<Rule, Waiting>>,
    /// The same, by the last millisecond at which they are in time. What lapsed may stand here still.
    by_end: BTreeSet<(u64, Name, Rule)>,
    missed: BTreeSet<Duty>,
    /// Whom the last leaf was about.
    touched: Option<Name>,
    /// Whether it may have made transitions due of others too.
    was_wide: bool,
    began_ms: Option<u64>,
    last_ms: u64,
    gap_end_ms: u64,
}

impl Owed {
    /// Goes on to the next leaf, received at `now_ms`, which is not yet in the state. Gives what has
    /// become too late.
    pub(super) fn advance(&mut self, state: &State, now_ms: u64) -> Vec<Missed> {
        let Some(tolerance_ms) = state.charter().map(|it| it.liveness.tolerance_ms) else {
            return Vec::new();
        };
        self.began_ms.get_or_insert(state.last_received_ms());
        if state.is_gap(now_ms) {
            self.begin_anew(state, now_ms, tolerance_ms);
        }
        let mut missed = self.take_overdue(state, now_ms);
        missed.extend(self.check_pulse(state, now_ms));
        self.find_due(state, now_ms, tolerance_ms);
        self.last_ms = now_ms;
        missed
    }

    /// Whether the duty was missed and is owed still.
    pub(super) fn has_missed(&self, duty: &Duty) -> bool {
        self.missed.contains(duty)
    }

    /// Takes up what the leaf did, now that it is in the state.
    pub(super) fn settle(&mut self, state: &State, touched: Option<&Name>, effect: Effect) {
        match effect {
            Effect::Pulse => {
                self.missed.remove(&Duty::Pulse);
            }
            Effect::Everybody => {
                let names: BTreeSet<Name> = self.waiting.keys().cloned().collect();
                names.iter().for_each(|name| self.lapse(state, name));
            }
            Effect::Others | Effect::OneAgent => {}
        }
        if let Some(name) = touched {
            self.lapse(state, name);
        }
        self.touched = touched.cloned();
        self.was_wide = matches!(effect, Effect::Others | Effect::Everybody);
    }

    /// While nothing was logged nothing could be: after a gap, what is due is due from then on.
    fn begin_anew(&mut self, state: &State, now_ms: u64, tolerance_ms: u64) {
        self.gap_end_ms = now_ms;
        let names: Vec<Name> = self.waiting.keys().cloned().collect();
        self.waiting.clear();
        self.by_end.clear();
        for agent in names.iter().filter_map(|name| state.agent(name)) {
            self.expect(state, agent, now_ms, tolerance_ms);
        }
        self.was_wide = true;
    }

    fn take_overdue(&mut self, state: &State, now_ms: u64) -> Vec<Missed> {
        let mut missed = Vec::new();
        while let Some((end_ms, name, rule)) = self.by_end.first().cloned() {
            if end_ms >= now_ms {
                break;
            }
            self.by_end.pop_first();
            let waiting = self.waiting.get(&name).and_then(|rules| rules.get(&rule));
            let Some(since_ms) = waiting
                .filter(|waiting| waiting.end_ms == end_ms)
                .map(|waiting| waiting.since_ms)
            else {
                continue;
            };
            self.forget(&name, rule);
            let is_due = |agent: &Agent| state.rule_due(agent, now_ms) == Some(rule);
            if state.agent(&name).is_some_and(is_due) {
                let duty = Duty::Transition(name, rule);
                self.missed.insert(duty.clone());
                missed.push(Missed { duty, since_ms });
            }
        }
        missed
    }

    fn check_pulse(&mut self, state: &State, now_ms: u64) -> Option<Missed> {
        let clocks = state.charter()?.liveness;
        let last_ms = state.last_pulse_ms().or(self.began_ms)?;
        let since_ms = last_ms.max(self.gap_end_ms) + clocks.pulse_ms;
        let is_late = now_ms > since_ms + clocks.tolerance_ms;
        (is_late && self.missed.insert(Duty::Pulse)).then_some(Missed {
            duty: Duty::Pulse,
            since_ms,
        })
    }

    /// Finds the agents to whom a cause has come with the last leaf or since.
    fn find_due(&mut self, state: &State, now_ms: u64, tolerance_ms: u64) {
        let touched = self.touched.take().and_then(|name| state.agent(&name));
        if let Some(agent) = touched {
            self.expect(state, agent, now_ms, tolerance_ms);
        }
        if self.was_wide || now_ms > self.last_ms {
            let due = state.agents_due(self.last_ms, now_ms);
            due.for_each(|agent| self.expect(state, agent, now_ms, tolerance_ms));
        }
    }

    fn expect(&mut self, state: &State, agent: &Agent, now_ms: u64, tolerance_ms: u64) {
        let (Some(rule), name) = (state.rule_due(agent, now_ms), agent.name()) else {
            return;
        };
        if self.missed.contains(&Duty::Transition(name.clone(), rule)) {
            return;
        }
        let rules = self.waiting.entry(name.clone()).or_default();
        if let Entry::Vacant(place) = rules.entry(rule) {
            let (since_ms, end_ms) = (now_ms, now_ms + tolerance_ms);
            place.insert(Waiting { since_ms, end_ms });
            self.by_end.insert((end_ms, name.clone(), rule));
        }
    }

    /// Drops what an agent is owed no more.
    fn lapse(&mut self, state: &State, name: &Name) {
        if !self.waiting.contains_key(name) && self.missed.is_empty() {
            return;
        }
        let now_ms = state.last_received_ms();
        let agent = state.agent(name);
        let due = agent.and_then(|agent| state.rule_due(agent, now_ms));
        for rule in Rule::ALL.iter().filter(|rule| due != Some(**rule)) {
            self.missed.remove(&Duty::Transition(name.clone(), *rule));
            self.forget(name, *rule);
        }
    }

    fn forget(&mut self, name: &Name, rule: Rule) {
        if let Some(rules) = self.waiting.get_mut(name) {
            rules.remove(&rule);
            if rules.is_empty() {
                self.waiting.remove(name);
            }
        }
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
