//! What entries tell: goals with their actions and outcomes, what happened around them, and what a verifier found, each
//! finding beside the record that it concerns.

pub(crate) mod text;

use anyhow::Result;
use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::pack::Header;
use ledger::record::Body;
use ledger::text::Name;
use ledger::verify::{Finding, Report};
use serde_json::{Map, Value, json};
use timeline::entry::{Entry, Line};
use timeline::goal::{GoalStory, Goals};
use tlog::LeafIndex;

use crate::holders::Holders;
use crate::pack_items::PackItem;

/// What is wanted of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// Show only this agent.
    pub(crate) agent: Option<Name>,
    /// Show only this goal.
    pub(crate) goal: Option<RecordHash>,
    /// Nothing that was received before.
    pub(crate) from_ms: u64,
    /// Nothing that was received then or later.
    pub(crate) to_ms: Option<u64>,
}

/// A story that is being heard.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    wish: Wish,
    header: Option<Header>,
    goals: Goals,
    events: Vec<Line>,
    holders: Holders,
    unreadable: Vec<(LeafIndex, Refusal)>,
}

/// What was heard.
#[derive(Debug)]
pub(crate) struct Story {
    /// What it was heard from.
    pub(crate) header: Option<Header>,
    /// The goals, in the order in which they were set.
    pub(crate) goals: Vec<GoalStory>,
    /// What happened around them, oldest first: authority, states, refusals.
    pub(crate) events: Vec<Line>,
    /// What people call the holders of keys.
    pub(crate) holders: Holders,
    /// Leaves that are not records.
    pub(crate) unreadable: Vec<(LeafIndex, Refusal)>,
    /// What the verifier found; `None` if nobody verified.
    pub(crate) report: Option<Report>,
}

impl Hearing {
    /// Begins.
    pub(crate) fn of(wish: Wish) -> Self {
        Self {
            wish,
            ..Self::default()
        }
    }

    /// Hears the next part of a pack.
    pub(crate) fn hear(&mut self, told: PackItem) {
        match told {
            PackItem::Header(header) => self.header = Some(*header),
            PackItem::Entry(entry) => self.hear_entry(&entry),
            PackItem::Unreadable(index, refusal) => self.unreadable.push((index, refusal)),
        }
    }

    /// Ends.
    pub(crate) fn told(self, report: Option<Report>) -> Story {
        let wish = self.wish;
        let goals = self.goals.told().into_iter();
        Story {
            header: self.header,
            goals: goals.filter(|goal| wish.is_for_goal(goal)).collect(),
            events: self.events,
            holders: self.holders,
            unreadable: self.unreadable,
            report,
        }
    }

    fn hear_entry(&mut self, entry: &Entry) {
        self.holders.hear(entry);
        self.goals.hear(entry);
        if is_event(entry.body()) && self.wish.is_for_event(entry) {
            self.events.push(entry.line());
        }
    }
}

/// Heartbeats, pulses and observations show only by their absence; receipts are with their goals.
fn is_event(body: &Body) -> bool {
    !matches!(
        body,
        Body::Heartbeat(_) | Body::Pulse(_) | Body::Observation(_) | Body::Receipt(_)
    )
}

impl Wish {
    fn is_within(&self, received_ms: u64) -> bool {
        received_ms >= self.from_ms && self.to_ms.is_none_or(|to_ms| received_ms < to_ms)
    }

    fn is_for_goal(&self, story: &GoalStory) -> bool {
        let is_agents = |agent: &Name| {
            story.agent == *agent || story.actions.iter().any(|action| action.agent == *agent)
        };
        let mut times = std::iter::once(story.received_ms)
            .chain(story.actions.iter().map(|action| action.received_ms))
            .chain(story.outcomes.iter().map(|outcome| outcome.received_ms));
        self.goal.is_none_or(|goal| story.goal == goal)
            && self.agent.as_ref().is_none_or(is_agents)
            && times.any(|ms| self.is_within(ms))
    }

    /// What names no agent, such as a charter or the renewal of a lease, is for all.
    fn is_for_event(&self, entry: &Entry) -> bool {
        let of = entry.record.record().agent();
        let is_agents = |agent: &Name| of.is_none_or(|of| of == agent);
        self.goal.is_none()
            && self.agent.as_ref().is_none_or(is_agents)
            && self.is_within(entry.received_ms)
    }
}

impl Story {
    /// What was found at an entry.
    pub(crate) fn findings_at(&self, index: LeafIndex) -> impl Iterator<Item = &Finding> {
        self.findings()
            .filter(move |finding| finding.index == Some(index))
    }

    /// What was found, at an entry that is not told or at none.
    pub(crate) fn other_findings(&self) -> Vec<&Finding> {
        let told = self.told_indices();
        let is_told = |finding: &&Finding| finding.index.is_some_and(|index| told.contains(&index));
        self.findings()
            .filter(|finding| !is_told(finding))
            .collect()
    }

    /// It as one document: each entry with its findings beside it.
    ///
    /// # Errors
    ///
    /// If it cannot be written as JSON, which should not happen.
    pub(crate) fn to_json(&self) -> Result<Value> {
        let report = self.report.as_ref().map(|report| report.to_json());
        let report: Value = report.map_or(Ok(Value::Null), |json| serde_json::from_str(&json))?;
        let unreadable = self.unreadable.iter();
        let mut document = json!({
            "replay": "dragons.replay/v1",
            "verdict": report.get("verdict"),
            "origin": self.header.as_ref().map(|header| header.origin.to_string()),
            "size": self.header.as_ref().map(|header| header.size.get()),
            "selection": self.header.as_ref().map(|header| header.selection.to_string()),
            "goals": self.goals,
            "events": self.events,
            "unreadable": unreadable.map(|(index, refusal)| json!({
                "index": index.get(), "code": refusal.code.as_str(), "detail": refusal.detail,
            })).collect::<Vec<_>>(),
        });
        let findings = report.get("findings").cloned().unwrap_or_default();
        annotate(
            &mut document,
            findings.as_array().map_or(&[], Vec::as_slice),
        );
        if let Value::Object(members) = &mut document {
            members.insert("findings".to_owned(), findings);
        }
        Ok(document)
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.report.iter().flat_map(|report| &report.findings)
    }

    fn told_indices(&self) -> std::collections::BTreeSet<LeafIndex> {
        let of_goal = |goal: &GoalStory| {
            let actions = goal.actions.iter().flat_map(|action| {
                let result = action.result.as_ref().map(|result| result.index);
                std::iter::once(action.index).chain(result)
            });
            let outcomes = goal.outcomes.iter().map(|outcome| outcome.index);
            let refusals = goal.refusals.iter().map(|refusal| refusal.index);
            let indices = std::iter::once(goal.index).chain(actions);
            indices.chain(outcomes).chain(refusals).collect::<Vec<_>>()
        };
        let events = self.events.iter().map(|event| event.index);
        let unreadable = self.unreadable.iter().map(|(index, _)| *index);
        let goals = self.goals.iter().flat_map(of_goal);
        goals.chain(events).chain(unreadable).collect()
    }
}

/// Puts the findings at an entry into every object that has its index.
fn annotate(value: &mut Value, findings: &[Value]) {
    match value {
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| annotate(value, findings)),
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|value| annotate(value, findings));
            let here = at(members, findings);
            if !here.is_empty() {
                members.insert("findings".to_owned(), here.into());
            }
        }
        _ => {}
    }
}

fn at(members: &Map<String, Value>, findings: &[Value]) -> Vec<Value> {
    let Some(index) = members.get("index") else {
        return Vec::new();
    };
    let here = findings
        .iter()
        .filter(|finding| finding.get("index") == Some(index));
    here.cloned().collect()
}
