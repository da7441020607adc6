//! What was done, and which part of it anybody can show: governed by receipts, observed by others, or only counted.

use std::collections::BTreeMap;
use std::ops::Range;

use ledger::json::Value;
use ledger::record::{Body, Event, Observation, Phase, Record};
use ledger::text::Name;
use timeline::entry::Entry;

use crate::inputs::{self, Seen};
use crate::skew::{Clocks, Stamps};
use crate::watch::Gap;

/// The member of `ext` by which a heartbeat says how many actions of its agent reached no log, and when.
const UNLOGGED: &str = "unlogged";

/// A time in which an agent acted without a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unlogged {
    /// The agent.
    pub(crate) agent: Name,
    /// The entry that says so.
    pub(crate) entry: u64,
    /// When the agent was heard of before.
    pub(crate) from_ms: u64,
    /// When it said so.
    pub(crate) to_ms: u64,
    /// How many actions.
    pub(crate) count: u64,
}

/// How many actions of an agent there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Actions {
    /// With an intent in the log.
    pub(crate) governed: u64,
    /// Seen by another tool, with no receipt.
    pub(crate) observed: u64,
    /// Only counted: the agent's own speaker says that they reached no log.
    pub(crate) counted: u64,
}

/// Hears entries and counts.
#[derive(Debug)]
pub(crate) struct Acts {
    span: Range<u64>,
    governed: BTreeMap<Name, u64>,
    /// The host's own names for actions, by which an observation finds its receipt.
    stamps: BTreeMap<(Name, String), Stamps>,
    intents: BTreeMap<ledger::digest::RecordHash, u64>,
    /// Actions that another tool saw, and whether they are within the report's time.
    tools: Vec<(Seen, bool)>,
    clocks: BTreeMap<String, Clocks>,
    last_beat_ms: BTreeMap<Name, u64>,
    pub(crate) unlogged: Vec<Unlogged>,
    pub(crate) gaps: Vec<Gap>,
    /// The observations, but for alerts.
    pub(crate) observations: BTreeMap<String, u64>,
}

/// What it came to.
#[derive(Debug)]
pub(crate) struct ActsView {
    pub(crate) actions: BTreeMap<Name, Actions>,
    pub(crate) clocks: BTreeMap<String, Clocks>,
    pub(crate) unlogged: Vec<Unlogged>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) observations: BTreeMap<String, u64>,
}

impl Acts {
    pub(crate) const fn new(span: Range<u64>) -> Self {
        Self {
            span,
            governed: BTreeMap::new(),
            stamps: BTreeMap::new(),
            intents: BTreeMap::new(),
            tools: Vec::new(),
            clocks: BTreeMap::new(),
            last_beat_ms: BTreeMap::new(),
            unlogged: Vec::new(),
            gaps: Vec::new(),
            observations: BTreeMap::new(),
        }
    }

    /// Hears the next entry.
    pub(crate) fn hear(&mut self, entry: &Entry) {
        match entry.body() {
            Body::Receipt(receipt) => self.receipt(entry, &receipt.chain.agent, &receipt.phase),
            Body::Heartbeat(beat) => {
                let agent = beat.chain.agent.clone();
                self.beat(entry, &agent);
                self.last_beat_ms.insert(agent, entry.received_ms);
            }
            Body::Observation(seen) => self.observation(entry, seen),
            _ => {}
        }
    }

    fn receipt(&mut self, entry: &Entry, agent: &Name, phase: &Phase) {
        match phase {
            Phase::Intent(_) => {
                let hash = entry.record.hash();
                self.intents.insert(hash, entry.received_ms);
                let count = self.governed.entry(agent.clone()).or_default();
                *count += u64::from(self.span.contains(&entry.received_ms));
            }
            Phase::Result(result) => {
                let Some(began_ms) = self.intents.remove(&result.intent) else {
                    return;
                };
                let stamps = Stamps {
                    began_ms,
                    ended_ms: entry.received_ms,
                };
                let joins = |name: &Name| matches!(name.as_str(), "call" | "span");
                let names = result.refs.iter().filter(|(name, _)| joins(name));
                let keys = names.map(|(_, name)| (agent.clone(), name.as_str().to_owned()));
                self.stamps.extend(keys.map(|key| (key, stamps)));
            }
            Phase::Goal(_) | Phase::Outcome(_) => {}
        }
    }

    fn beat(&mut self, entry: &Entry, agent: &Name) {
        let Some(told) = told_unlogged(entry.record.record()) else {
            return;
        };
        let before_ms = self.last_beat_ms.get(agent).copied();
        let to_ms = told.to_ms.unwrap_or(entry.received_ms);
        let from_ms = told.from_ms.or(before_ms).unwrap_or(to_ms);
        self.unlogged.push(Unlogged {
            agent: agent.clone(),
            entry: entry.index.get(),
            from_ms: from_ms.min(to_ms),
            to_ms,
            count: told.count,
        });
    }

    fn observation(&mut self, entry: &Entry, seen: &Observation) {
        let source = seen.source.to_string();
        let newest = seen.ended_ms.or(seen.began_ms);
        let clocks = self.clocks.entry(source.clone()).or_default();
        clocks.delivered(newest, entry.received_ms);
        let call = seen.call.as_ref().map(|call| call.as_str());
        let event = Seen {
            source,
            agent: seen.agent.clone(),
            event: seen.event,
            names: inputs::names(call, seen.source_id.as_str()),
            began_ms: seen.began_ms,
            ended_ms: seen.ended_ms,
            detail: seen.detail.as_str().to_owned(),
        };
        self.seen(event, entry.received_ms, Some(entry.index.get()));
    }

    /// What a file tells of, by the time that it gives.
    pub(crate) fn told_by_file(&mut self, event: &Seen) {
        let at_ms = event.ended_ms.or(event.began_ms).unwrap_or(0);
        self.seen(event.clone(), at_ms, None);
    }

    fn seen(&mut self, seen: Seen, at_ms: u64, entry: Option<u64>) {
        let is_within = self.span.contains(&at_ms);
        if !matches!(seen.event, Event::AlertOpened | Event::AlertClosed) {
            let count = self.observations.entry(seen.source.clone()).or_default();
            *count += u64::from(is_within);
        }
        match seen.event {
            Event::ToolEnded | Event::ToolDenied => self.tools.push((seen, is_within)),
            Event::SourceGap | Event::SourceLost => {
                let to_ms = seen.ended_ms.or(seen.began_ms).unwrap_or(at_ms);
                let detail = format!("{} {}", seen.event, seen.detail);
                self.gaps.push(Gap {
                    source: seen.source,
                    from_ms: seen.began_ms.unwrap_or(to_ms),
                    to_ms,
                    detail: detail.trim_end().to_owned(),
                    entry,
                });
            }
            _ => {}
        }
    }

    /// What it comes to, once everything was heard: a receipt may come before or after what others saw of it.
    pub(crate) fn told(mut self) -> ActsView {
        let mut actions: BTreeMap<Name, Actions> = BTreeMap::new();
        for (agent, governed) in &self.governed {
            actions.entry(agent.clone()).or_default().governed = *governed;
        }
        for (tool, is_within) in &self.tools {
            let names = tool.names.iter();
            let mut keys = names.map(|name| (tool.agent.clone(), name.clone()));
            match keys.find_map(|key| self.stamps.get(&key)) {
                Some(stamps) => {
                    let clocks = self.clocks.entry(tool.source.clone()).or_default();
                    clocks.joined(tool.began_ms, tool.ended_ms, *stamps);
                }
                None if *is_within => {
                    actions.entry(tool.agent.clone()).or_default().observed += 1;
                }
                None => {}
            }
        }
        for it in &self.unlogged {
            if self.span.contains(&it.to_ms) {
                actions.entry(it.agent.clone()).or_default().counted += it.count;
            }
        }
        ActsView {
            actions,
            clocks: self.clocks,
            unlogged: self.unlogged,
            gaps: self.gaps,
            observations: self.observations,
        }
    }
}

/// What a heartbeat tells of actions that reached no log: how many, and the time of the first and the last.
struct ToldUnlogged {
    count: u64,
    from_ms: Option<u64>,
    to_ms: Option<u64>,
}

fn told_unlogged(record: &Record) -> Option<ToldUnlogged> {
    let told = member(record.ext.as_ref()?, UNLOGGED)?;
    let number = |name| match member(told, name) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    };
    let told = ToldUnlogged {
        count: number("count")?,
        from_ms: number("from_ms"),
        to_ms: number("to_ms"),
    };
    (told.count > 0).then_some(told)
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Object(members) = value else {
        return None;
    };
    let mut members = members.iter();
    members.find_map(|(key, value)| (key == name).then_some(value))
}
