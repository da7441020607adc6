//! An agent over a span of time: its states, its leases, its heartbeats, its actions, and what it was refused.

use std::collections::BTreeMap;
use std::ops::Range;

use ledger::digest::{Digest, RecordHash};
use ledger::record::{AgentState, Body, Phase, Receipt, Rule};
use ledger::text::{Name, Text};
use serde::Serialize;
use tlog::LeafIndex;

use crate::entry::Entry;
use crate::goal::{Action, Refusal};
use crate::json;
use crate::leases::{LeaseSpan, Leases};
use crate::words::visible;

/// An agent over a span of time.
#[derive(Clone, Debug, Serialize)]
pub struct LifeView {
    /// The agent.
    #[serde(serialize_with = "json::text")]
    pub agent: Name,
    /// The first millisecond that this tells of.
    pub from_ms: u64,
    /// The first after it.
    pub to_ms: u64,
    /// Its states, without a gap from the beginning of the span to its end; or from its first registration, before which
    /// there was no such agent.
    pub states: Vec<StateSpan>,
    /// The leases that were in force within the span.
    pub leases: Vec<LeaseSpan>,
    /// When none was, though there was the agent.
    pub unleased: Vec<Span>,
    /// Its heartbeats.
    pub beats: Vec<Beat>,
    /// What it did: actions that were announced within the span, and those that it knows to have ended in it.
    pub actions: Vec<Action>,
    /// What it was refused.
    pub refusals: Vec<Refusal>,
    /// The versions that were registered.
    pub versions: Vec<VersionView>,
}

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The first millisecond.
    pub from_ms: u64,
    /// The first after it.
    pub to_ms: u64,
}

/// A state for as long as it lasted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateSpan {
    /// The first millisecond.
    pub from_ms: u64,
    /// The first after it.
    pub to_ms: u64,
    /// The state; `None` where the entries heard do not say.
    #[serde(serialize_with = "json::text_or_null")]
    pub state: Option<AgentState>,
    /// What brought it, if that was heard.
    pub cause: Option<Cause>,
}

/// What changed the state of an agent: a transition, an order, or its first registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The record.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it.
    pub received_ms: u64,
    /// The rule by which the control plane changed it, of a transition.
    #[serde(serialize_with = "json::text_or_null")]
    pub rule: Option<Rule>,
    /// The reason that an operator gave, of an order.
    #[serde(serialize_with = "json::text_or_null")]
    pub reason: Option<Text>,
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beat {
    /// Where it stands.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it.
    pub received_ms: u64,
    /// The epoch.
    pub epoch: u64,
    /// The steps that the agent had made in it.
    pub progress: u64,
    /// Whether the agent said goodbye.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// A version of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionView {
    /// Where its registration stands.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it.
    pub received_ms: u64,
    /// What people call it.
    #[serde(serialize_with = "json::text")]
    pub version: Text,
    /// Its hash.
    #[serde(serialize_with = "json::text")]
    pub manifest_hash: Digest,
}

impl Cause {
    /// What it was, in words in which nothing is hidden: the rule, or the operator's reason, or the registration.
    pub fn in_words(&self) -> String {
        match (&self.rule, &self.reason) {
            (Some(rule), _) => rule.to_string(),
            (None, Some(reason)) => format!("ordered: {}", visible(reason.as_str())),
            (None, None) => "registered".to_owned(),
        }
    }
}

/// A life that is being heard, entry by entry.
#[derive(Clone, Debug)]
pub struct Life {
    agent: Name,
    from_ms: u64,
    to_ms: u64,
    state: Option<AgentState>,
    cause: Option<Cause>,
    since_ms: u64,
    states: Vec<StateSpan>,
    leases: Leases,
    beats: Vec<Beat>,
    actions: Vec<Action>,
    places: BTreeMap<RecordHash, usize>,
    refusals: Vec<Refusal>,
    versions: Vec<VersionView>,
}

impl Life {
    /// The life of an agent from one time up to another, which is not in it.
    pub fn of(agent: Name, span: Range<u64>) -> Self {
        let from_ms = span.start;
        Self {
            agent,
            from_ms,
            to_ms: span.end.max(from_ms),
            state: None,
            cause: None,
            since_ms: from_ms,
            states: Vec::new(),
            leases: Leases::default(),
            beats: Vec::new(),
            actions: Vec::new(),
            places: BTreeMap::new(),
            refusals: Vec::new(),
            versions: Vec::new(),
        }
    }

    /// Hears the next entry. Those received before the span set the scene: the state and the lease that it begins with.
    /// Those after the span are passed over, and those of other agents.
    pub fn hear(&mut self, entry: &Entry) {
        let agent = entry.record.record().agent();
        let is_anothers = agent.is_some_and(|agent| *agent != self.agent);
        if is_anothers || entry.received_ms >= self.to_ms {
            return;
        }
        self.leases.hear(entry);
        self.hear_of_state(entry);
        match entry.body() {
            Body::Receipt(receipt) => self.hear_receipt(entry, receipt),
            _ if entry.received_ms < self.from_ms => {}
            Body::Heartbeat(beat) => self.beats.push(Beat {
                index: entry.index,
                received_ms: entry.received_ms,
                epoch: beat.chain.epoch,
                progress: beat.progress,
                is_final: beat.r#final,
            }),
            Body::Refusal(refused) => self.refusals.push(Refusal::of(entry, refused)),
            Body::Manifest(registration) => self.versions.push(VersionView {
                index: entry.index,
                received_ms: entry.received_ms,
                version: registration.manifest.version.clone(),
                manifest_hash: registration.manifest_hash,
            }),
            _ => {}
        }
    }

    /// What was heard.
    pub fn told(mut self) -> LifeView {
        let (from_ms, to_ms) = (self.from_ms, self.to_ms);
        self.turn(self.state, self.cause.clone(), to_ms);
        self.states.retain(|span| span.from_ms < span.to_ms);
        let begins_ms = self.states.first().map_or(to_ms, |span| span.from_ms);
        let ended_before = |action: &Action| ended_ms(action).is_some_and(|ended| ended < from_ms);
        self.actions.retain(|action| !ended_before(action));
        let overlaps = |span: &&LeaseSpan| span.from_ms < to_ms && span.to_ms > from_ms;
        let leases = self.leases.spans().iter().filter(overlaps);
        let leases: Vec<LeaseSpan> = leases.cloned().collect();
        LifeView {
            agent: self.agent,
            from_ms,
            to_ms,
            states: self.states,
            unleased: unleased(&leases, begins_ms, to_ms),
            leases,
            beats: self.beats,
            actions: self.actions,
            refusals: self.refusals,
            versions: self.versions,
        }
    }

    fn hear_of_state(&mut self, entry: &Entry) {
        let (next, rule, reason) = match entry.body() {
            // An agent begins as stopped, and before that there was none.
            Body::Manifest(registration) if registration.replaces.is_none() => {
                (AgentState::Stopped, None, None)
            }
            Body::Transition(transition) => {
                // It says what was before, too.
                self.assume(transition.from);
                (transition.to, Some(transition.rule), None)
            }
            Body::Order(order) => (order.to, None, Some(order.reason.clone())),
            _ => return,
        };
        let cause = Cause {
            index: entry.index,
            received_ms: entry.received_ms,
            rule,
            reason,
        };
        self.turn(Some(next), Some(cause), entry.received_ms);
        if matches!(entry.body(), Body::Manifest(_)) {
            self.states.clear();
        }
    }

    fn assume(&mut self, state: AgentState) {
        self.state.get_or_insert(state);
    }

    /// Ends the state that lasted so far and begins the next.
    fn turn(&mut self, next: Option<AgentState>, cause: Option<Cause>, at_ms: u64) {
        let at_ms = at_ms.max(self.from_ms);
        self.states.push(StateSpan {
            from_ms: self.since_ms,
            to_ms: at_ms,
            state: self.state,
            cause: self.cause.take(),
        });
        (self.state, self.cause, self.since_ms) = (next, cause, at_ms);
    }

    fn hear_receipt(&mut self, entry: &Entry, receipt: &Receipt) {
        match &receipt.phase {
            Phase::Intent(intent) => {
                let action = Action::of(entry, receipt, intent, &self.leases);
                self.places.insert(action.intent, self.actions.len());
                self.actions.push(action);
            }
            Phase::Result(result) => {
                let at = self.places.get(&result.intent).copied();
                if let Some(action) = at.and_then(|at| self.actions.get_mut(at)) {
                    action.finish(entry, receipt, result);
                }
            }
            Phase::Goal(_) | Phase::Outcome(_) => {}
        }
    }
}

fn ended_ms(action: &Action) -> Option<u64> {
    action.result.as_ref().map(|result| result.received_ms)
}

/// When none of the leases was in force.
fn unleased(leases: &[LeaseSpan], from_ms: u64, to_ms: u64) -> Vec<Span> {
    let mut spans: Vec<(u64, u64)> = leases.iter().map(|it| (it.from_ms, it.to_ms)).collect();
    spans.sort_unstable();
    spans.push((to_ms, to_ms));
    let (mut covered_ms, mut unleased) = (from_ms, Vec::new());
    for (begins_ms, ends_ms) in spans {
        if begins_ms > covered_ms {
            unleased.push(Span {
                from_ms: covered_ms,
                to_ms: begins_ms.min(to_ms),
            });
        }
        covered_ms = covered_ms.max(ends_ms);
    }
    unleased
}
