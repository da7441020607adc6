//! What the control plane owes: the transitions and pulses that are due and not logged.
//!
//! A transition is due from the first leaf before which its cause is there. It is *missed* if a leaf
//! comes more than `tolerance_ms` later and the cause is still there; each is missed once. What it costs
//! to look is what is due, and what the last leaf was about, not how many agents there are.

use rpds::RedBlackTreeSetSync;

use crate::govern::{Agent, State};
use crate::record::Rule;
use crate::table::Table;
use crate::text::Name;

/// Something that control has to log.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    rule: Rule,
    since_ms: u64,
    end_ms: u64,
}

/// The transitions of an agent: one of a rule.
#[derive(Clone, Debug, Default)]
struct Transitions {
    /// Those that are due.
    waiting: Vec<Waiting>,
    /// Those that were missed and are owed still.
    missed: Vec<Rule>,
}

/// What is owed in one history.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    transitions: Table<Name, Transitions>,
    /// The agents with transitions that are due, by the last millisecond at which these are in time. What lapsed may
    /// stand here still.
    by_end: RedBlackTreeSetSync<(u64, Name)>,
    missed_pulse: bool,
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
        match duty {
            Duty::Pulse => self.missed_pulse,
            Duty::Transition(name, rule) => {
                let transitions = self.transitions.get(name);
                transitions.is_some_and(|it| it.missed.contains(rule))
            }
        }
    }

    /// Takes up what the leaf did, now that it is in the state.
    pub(super) fn settle(&mut self, state: &State, touched: Option<&Name>, effect: Effect) {
        match effect {
            Effect::Pulse => self.missed_pulse = false,
            Effect::Everybody => {
                for (name, transitions) in self.transitions.iter_mut() {
                    transitions.lapse(state, name);
                }
            }
            Effect::Others | Effect::OneAgent => {}
        }
        let owed = touched.and_then(|name| Some((self.transitions.get_mut(name)?, name)));
        if let Some((transitions, name)) = owed {
            transitions.lapse(state, name);
        }
        self.touched = touched.cloned();
        self.was_wide = matches!(effect, Effect::Others | Effect::Everybody);
    }

    /// While nothing was logged nothing could be: after a gap, what is due is due from then on.
    fn begin_anew(&mut self, state: &State, now_ms: u64, tolerance_ms: u64) {
        self.gap_end_ms = now_ms;
        self.by_end = RedBlackTreeSetSync::default();
        let mut owed = Vec::new();
        for (name, transitions) in self.transitions.iter_mut() {
            if !transitions.waiting.is_empty() {
                transitions.waiting.clear();
                owed.push(name.clone());
            }
        }
        for agent in owed.iter().filter_map(|name| state.agent(name)) {
            self.expect(state, agent, now_ms, tolerance_ms);
        }
        self.was_wide = true;
    }

    fn take_overdue(&mut self, state: &State, now_ms: u64) -> Vec<Missed> {
        let mut missed = Vec::new();
        while let Some((end_ms, name)) = self.by_end.first().cloned() {
            if end_ms >= now_ms {
                break;
            }
            self.by_end.remove_mut(&(end_ms, name.clone()));
            let rule_due = |agent| state.rule_due(agent, now_ms);
            let due = state.agent(&name).and_then(rule_due);
            let Some(transitions) = self.transitions.get_mut(&name) else {
                continue;
            };
            for Waiting { rule, since_ms, .. } in transitions.take_until(end_ms) {
                if due == Some(rule) {
                    transitions.missed.push(rule);
                    let duty = Duty::Transition(name.clone(), rule);
                    missed.push(Missed { duty, since_ms });
                }
            }
        }
        missed
    }

    fn check_pulse(&mut self, state: &State, now_ms: u64) -> Option<Missed> {
        let clocks = state.charter()?.liveness;
        let last_ms = state.last_pulse_ms().or(self.began_ms)?;
        let since_ms = last_ms.max(self.gap_end_ms) + clocks.pulse_ms;
        let is_late = now_ms > since_ms + clocks.tolerance_ms;
        let is_new = is_late && !self.missed_pulse;
        self.missed_pulse |= is_late;
        is_new.then_some(Missed {
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
        let (since_ms, end_ms) = (now_ms, now_ms + tolerance_ms);
        self.transitions.change(name, |transitions| {
            if transitions.has(rule) {
                return;
            }
            transitions.waiting.push(Waiting {
                rule,
                since_ms,
                end_ms,
            });
            self.by_end.insert_mut((end_ms, name.clone()));
        });
    }
}

impl Transitions {
    fn has(&self, rule: Rule) -> bool {
        self.missed.contains(&rule) || self.waiting.iter().any(|it| it.rule == rule)
    }

    /// Drops what the agent is owed no more.
    fn lapse(&mut self, state: &State, name: &Name) {
        if self.waiting.is_empty() && self.missed.is_empty() {
            return;
        }
        let now_ms = state.last_received_ms();
        let agent = state.agent(name);
        let due = agent.and_then(|agent| state.rule_due(agent, now_ms));
        self.waiting.retain(|it| due == Some(it.rule));
        self.missed.retain(|rule| due == Some(*rule));
    }

    /// Takes out what was in time until then and no longer.
    fn take_until(&mut self, end_ms: u64) -> Vec<Waiting> {
        let is_over = |waiting: &&Waiting| waiting.end_ms == end_ms;
        let over = self.waiting.iter().filter(is_over).copied().collect();
        self.waiting.retain(|waiting| waiting.end_ms != end_ms);
        over
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
