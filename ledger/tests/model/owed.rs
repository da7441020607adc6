//! What control owes, told leaf by leaf: the one thing of the model that depends on when somebody looked.
//!
//! Before each leaf it is asked of each agent what is due at that leaf's time, in a log that ends with the leaf before it.
//! What is due is owed from then on. It is missed if a leaf comes more than the tolerance later and it is due still. It is
//! owed no more when a leaf about the agent, or a charter, has come behind which it is not due.

use ledger::record::{Body, Rule};
use ledger::text::Name;
use serde_json::{Map, Value, json};

use crate::history::{History, Leaf};

/// What one agent is owed.
#[derive(Clone, Debug, Default)]
struct ToOne {
    /// Of which rule, since when, and until when it is in time.
    waiting: Vec<(Rule, u64, u64)>,
    missed: Vec<Rule>,
}

/// What all are owed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owed {
    agents: Vec<(Name, ToOne)>,
    missed_pulse: bool,
}

impl Owed {
    /// What the entry of an agent has of it.
    pub(crate) fn to(&self, agent: &Name) -> Map<String, Value> {
        let owed = self.agents.iter().find(|(name, _)| name == agent);
        let ToOne { waiting, missed } = owed.map(|(_, owed)| owed.clone()).unwrap_or_default();
        let waiting = waiting.into_iter().map(|(rule, since_ms, end_ms)| {
            json!({"rule": rule.as_str(), "since_ms": since_ms, "end_ms": end_ms})
        });
        let missed = missed.into_iter().map(Rule::as_str);
        Map::from_iter([
            ("waiting".to_owned(), waiting.collect()),
            ("missed".to_owned(), missed.collect()),
        ])
    }

    pub(crate) const fn missed_pulse(&self) -> bool {
        self.missed_pulse
    }

    /// A leaf has come: the last of this history.
    pub(crate) fn take(&mut self, history: History<'_>, agents: &[Name]) {
        let at = history.0.len() - 1;
        let (leaf, before) = (&history.0[at], history.before(at));
        if at > 0 {
            self.missed_pulse |= before.is_pulse_late(leaf.received_ms);
            agents
                .iter()
                .for_each(|agent| self.look(before, agent, leaf.received_ms));
        }
        self.missed_pulse &= !matches!(leaf.record.body, Body::Pulse(_));
        for (name, owed) in &mut self.agents {
            let is_charter = matches!(leaf.record.body, Body::Charter(_));
            if is_charter || before.agent_of(leaf).as_ref() == Some(name) {
                let due = first_due(history, name, leaf.received_ms);
                owed.waiting.retain(|(rule, ..)| due == Some(*rule));
                owed.missed.retain(|rule| due == Some(*rule));
            }
        }
    }

    /// What is due when the next leaf comes, before anything of it counts.
    fn look(&mut self, before: History<'_>, agent: &Name, now_ms: u64) {
        if before.registration(agent).is_none() {
            return;
        }
        if !self.agents.iter().any(|(name, _)| name == agent) {
            self.agents.push((agent.clone(), ToOne::default()));
        }
        let owed = self.agents.iter_mut().find(|(name, _)| name == agent);
        let (_, owed) = owed.expect("it is there now");
        if before.is_gap(now_ms) {
            owed.waiting.clear();
        }
        let due = first_due(before, agent, now_ms);
        let is_over = |(_, _, end_ms): &(Rule, u64, u64)| *end_ms < now_ms;
        let over = owed.waiting.iter().filter(|it| is_over(it));
        let missed: Vec<Rule> = over.map(|(rule, ..)| *rule).collect();
        owed.missed
            .extend(missed.into_iter().filter(|rule| due == Some(*rule)));
        owed.waiting.retain(|it| !is_over(it));
        let is_owed = |due| owed.missed.contains(&due) || owed.waiting.iter().any(|it| it.0 == due);
        if let Some(rule) = due.filter(|due| !is_owed(*due)) {
            let end_ms = now_ms + before.charter().liveness.tolerance_ms;
            owed.waiting.push((rule, now_ms, end_ms));
        }
    }
}

fn first_due(history: History<'_>, agent: &Name, now_ms: u64) -> Option<Rule> {
    let due = history.due(agent, now_ms);
    due.first().map(|(rule, _)| *rule)
}

impl History<'_> {
    /// Whether a pulse should have come before a leaf of this time.
    fn is_pulse_late(self, now_ms: u64) -> bool {
        let clocks = &self.charter().liveness;
        let mut pulses = self.0.iter().rev();
        let last = pulses.find(|leaf| matches!(leaf.record.body, Body::Pulse(_)));
        let last_ms = last.or(self.0.first()).map_or(0, |leaf| leaf.received_ms);
        let since_ms = last_ms.max(self.gap_end(now_ms)) + clocks.pulse_ms;
        now_ms > since_ms + clocks.tolerance_ms
    }

    /// The agent that a leaf is about: by its own word, or by the lease that it names.
    fn agent_of(self, leaf: &Leaf) -> Option<Name> {
        let lease = match &leaf.record.body {
            Body::LeaseRenewal(renewal) => renewal.lease,
            Body::LeaseRevocation(revocation) => revocation.lease,
            _ => return leaf.record.agent().cloned(),
        };
        self.lease(lease).map(|lease| lease.agent.clone())
    }
}
