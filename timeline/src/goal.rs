//! A goal from its start through its actions to its outcome, and under whose authority each step was taken.

use std::collections::BTreeMap;

use ledger::codes::Code;
use ledger::digest::{Digest, RecordHash};
use ledger::record::{
    Amounts, Body, Goal, Intent, Outcome, Phase, Receipt, Record, Refused, ResultOf, Status,
    Verdict,
};
use ledger::scope::Scope;
use ledger::text::{Name, Text};
use serde::{Serialize, Serializer};
use tlog::LeafIndex;

use crate::entry::Entry;
use crate::json;
use crate::leases::{Authority, Leases};

/// A goal and what was done for it.
#[derive(Clone, Debug, Serialize)]
pub struct GoalStory {
    /// The record that set it.
    #[serde(serialize_with = "json::text")]
    pub goal: RecordHash,
    /// Where that stands.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it.
    pub received_ms: u64,
    /// The agent that set out to it.
    #[serde(serialize_with = "json::text")]
    pub agent: Name,
    /// In words.
    #[serde(serialize_with = "json::text")]
    pub title: Text,
    /// Who asked for it.
    #[serde(serialize_with = "json::text")]
    pub requester: Text,
    /// Under whose authority.
    pub authority: Authority,
    /// What was done, in the order in which it was announced; by other agents too.
    pub actions: Vec<Action>,
    /// What was refused, if the refusal shows that it was for this goal.
    pub refusals: Vec<Refusal>,
    /// The outcomes, oldest first. The first by the agent itself ends the goal.
    pub outcomes: Vec<OutcomeView>,
}

/// An action: announced, then done.
#[derive(Clone, Debug, Serialize)]
pub struct Action {
    /// The record of the intent.
    #[serde(serialize_with = "json::text")]
    pub intent: RecordHash,
    /// Where that stands.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it.
    pub received_ms: u64,
    /// Who does it.
    #[serde(serialize_with = "json::text")]
    pub agent: Name,
    /// For which goal.
    #[serde(serialize_with = "json::text")]
    pub goal: RecordHash,
    /// What it touches.
    #[serde(serialize_with = "json::text")]
    pub scope: Scope,
    /// With which tool.
    #[serde(serialize_with = "json::text")]
    pub tool: Name,
    /// What the tool was: the digest of its file, or of its definition.
    #[serde(skip)]
    pub digest: Digest,
    /// Under whose authority.
    pub authority: Authority,
    /// The result; `None` if none came.
    pub result: Option<ActionResult>,
}

/// What came of an action.
#[derive(Clone, Debug, Serialize)]
pub struct ActionResult {
    /// The record.
    #[serde(serialize_with = "json::text")]
    pub record: RecordHash,
    /// Where it stands.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it.
    pub received_ms: u64,
    /// The epoch in which it was logged, which may be a later one than the intent's.
    pub epoch: u64,
    /// How it ended.
    #[serde(serialize_with = "json::text")]
    pub status: Status,
    /// How long it took, by the agent's word.
    pub duration_ms: u64,
    /// What it used up, by the agent's word.
    #[serde(serialize_with = "amounts")]
    pub usage: Amounts,
}

/// What came of a goal.
#[derive(Clone, Debug, Serialize)]
pub struct OutcomeView {
    /// The record.
    #[serde(serialize_with = "json::text")]
    pub record: RecordHash,
    /// Where it stands.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When the log received it.
    pub received_ms: u64,
    /// Who says so.
    #[serde(serialize_with = "json::text")]
    pub agent: Name,
    /// What is thought of it.
    #[serde(serialize_with = "json::text")]
    pub verdict: Verdict,
    /// On which grounds.
    pub checks: Vec<CheckView>,
    /// Under whose authority.
    pub authority: Authority,
}

/// A ground for a verdict.
#[derive(Clone, Debug, Serialize)]
pub struct CheckView {
    /// What was checked.
    #[serde(serialize_with = "json::text")]
    pub name: Text,
    /// The digest of the check's own record, wherever that is kept.
    #[serde(serialize_with = "json::text")]
    pub digest: Digest,
    /// A record of the log that it rests on.
    #[serde(serialize_with = "json::text_or_null")]
    pub record: Option<RecordHash>,
}

/// Something that was not let into the log.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// The record that says so.
    #[serde(serialize_with = "json::index")]
    pub index: LeafIndex,
    /// When it was logged.
    pub received_ms: u64,
    /// Whose record was refused.
    #[serde(serialize_with = "json::text")]
    pub agent: Name,
    /// The agent's epoch at the time.
    pub epoch: u64,
    /// The kind of what was refused; of a receipt its phase.
    pub kind: String,
    /// Why.
    #[serde(serialize_with = "json::text")]
    pub code: Code,
    /// How many are counted here.
    pub count: u64,
    /// The refused record, the last of them where several are counted.
    #[serde(serialize_with = "json::text")]
    pub refused: RecordHash,
    /// Whether it is a denial: an intent out of bounds, kept whole so that anybody can judge it again.
    pub is_denial: bool,
    /// Whether it is only control's claim: nothing of the agent's is there that could be judged.
    pub is_claim: bool,
    /// What a denied intent was about to touch.
    #[serde(serialize_with = "json::text_or_null")]
    pub scope: Option<Scope>,
    /// The goal that a denied intent was for.
    #[serde(serialize_with = "json::text_or_null")]
    pub goal: Option<RecordHash>,
}

/// The goals of which entries tell, all in one pass.
#[derive(Clone, Debug, Default)]
pub struct Goals {
    leases: Leases,
    stories: Vec<GoalStory>,
    goals: BTreeMap<RecordHash, usize>,
    /// The intents, by the place of their goal and their place in it.
    intents: BTreeMap<RecordHash, (usize, usize)>,
}

impl Goals {
    /// Nothing was heard yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears the next entry. What serves a goal whose start was not heard is not told.
    pub fn hear(&mut self, entry: &Entry) {
        self.leases.hear(entry);
        match entry.body() {
            Body::Receipt(receipt) => self.hear_receipt(entry, receipt),
            Body::Refusal(refused) => {
                let refusal = Refusal::of(entry, refused);
                let story = refusal.goal.and_then(|goal| self.story(&goal));
                story
                    .into_iter()
                    .for_each(|story| story.refusals.push(refusal.clone()));
            }
            _ => {}
        }
    }

    /// What was heard of the goals, in the order in which they were set.
    pub fn told(self) -> Vec<GoalStory> {
        self.stories
    }

    fn hear_receipt(&mut self, entry: &Entry, receipt: &Receipt) {
        match &receipt.phase {
            Phase::Goal(goal) => {
                self.goals.insert(entry.record.hash(), self.stories.len());
                let story = GoalStory::of(entry, receipt, goal, &self.leases);
                self.stories.push(story);
            }
            Phase::Intent(intent) => {
                let action = Action::of(entry, receipt, intent, &self.leases);
                let place = self.goals.get(&intent.goal).copied();
                let story = place.and_then(|at| Some((at, self.stories.get_mut(at)?)));
                if let Some((at, story)) = story {
                    self.intents
                        .insert(action.intent, (at, story.actions.len()));
                    story.actions.push(action);
                }
            }
            Phase::Result(result) => {
                let place = self.intents.get(&result.intent).copied();
                let action = place.and_then(|(goal, at)| {
                    let story = self.stories.get_mut(goal)?;
                    story.actions.get_mut(at)
                });
                if let Some(action) = action {
                    action.finish(entry, receipt, result);
                }
            }
            Phase::Outcome(outcome) => {
                let told = OutcomeView::of(entry, receipt, outcome, &self.leases);
                if let Some(story) = self.story(&outcome.goal) {
                    story.outcomes.push(told);
                }
            }
        }
    }

    fn story(&mut self, goal: &RecordHash) -> Option<&mut GoalStory> {
        let at = self.goals.get(goal).copied()?;
        self.stories.get_mut(at)
    }
}

impl GoalStory {
    fn of(entry: &Entry, receipt: &Receipt, goal: &Goal, leases: &Leases) -> Self {
        Self {
            goal: entry.record.hash(),
            index: entry.index,
            received_ms: entry.received_ms,
            agent: receipt.chain.agent.clone(),
            title: goal.title.clone(),
            requester: goal.requester.clone(),
            authority: authority(receipt, leases),
            actions: Vec::new(),
            refusals: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// The outcome that ended it: the first by the agent itself.
    pub fn outcome(&self) -> Option<&OutcomeView> {
        self.outcomes.iter().find(|told| told.agent == self.agent)
    }
}

impl Action {
    pub(crate) fn of(entry: &Entry, receipt: &Receipt, intent: &Intent, leases: &Leases) -> Self {
        Self {
            intent: entry.record.hash(),
            index: entry.index,
            received_ms: entry.received_ms,
            agent: receipt.chain.agent.clone(),
            goal: intent.goal,
            scope: intent.scope.clone(),
            tool: intent.tool.name.clone(),
            digest: intent.tool.digest,
            authority: authority(receipt, leases),
            result: None,
        }
    }

    /// Hears of its result. The first that is logged counts.
    pub(crate) fn finish(&mut self, entry: &Entry, receipt: &Receipt, result: &ResultOf) {
        self.result.get_or_insert(ActionResult {
            record: entry.record.hash(),
            index: entry.index,
            received_ms: entry.received_ms,
            epoch: receipt.chain.epoch,
            status: result.status,
            duration_ms: result.duration_ms,
            usage: result.usage,
        });
    }
}

impl OutcomeView {
    fn of(entry: &Entry, receipt: &Receipt, outcome: &Outcome, leases: &Leases) -> Self {
        let checks = outcome.checks.iter().map(|check| CheckView {
            name: check.name.clone(),
            digest: check.digest,
            record: check.record,
        });
        Self {
            record: entry.record.hash(),
            index: entry.index,
            received_ms: entry.received_ms,
            agent: receipt.chain.agent.clone(),
            verdict: outcome.verdict,
            checks: checks.collect(),
            authority: authority(receipt, leases),
        }
    }
}

impl Refusal {
    pub(crate) fn of(entry: &Entry, refused: &Refused) -> Self {
        let kind = refused.kind.as_str();
        let intent = refused.envelope.as_ref().and_then(|envelope| {
            let record = Record::parse(envelope.kind(), envelope.payload()).ok()?;
            match record.body {
                Body::Receipt(receipt) => match receipt.phase {
                    Phase::Intent(intent) => Some(intent),
                    _ => None,
                },
                _ => None,
            }
        });
        Self {
            index: entry.index,
            received_ms: entry.received_ms,
            agent: refused.agent.clone(),
            epoch: refused.epoch,
            kind: refused.phase.as_deref().unwrap_or(kind).to_owned(),
            code: refused.code,
            count: refused.count,
            refused: refused.refused,
            is_denial: refused.envelope.is_some(),
            is_claim: refused.envelope.is_none(),
            goal: intent.as_ref().map(|intent| intent.goal),
            scope: intent.map(|intent| intent.scope),
        }
    }
}

impl Refusal {
    /// What was refused, in words. What control says without the record is its claim, not an action of the agent.
    pub fn what(&self) -> String {
        let scope = self.scope.as_ref().map(|scope| format!(" {scope}"));
        let claim = claim(self.is_claim);
        format!("{claim}{}{}", self.kind, scope.unwrap_or_default())
    }
}

/// What is in front of what only control says.
pub(crate) const fn claim(is_claim: bool) -> &'static str {
    match is_claim {
        true => "control's claim: ",
        false => "",
    }
}

fn authority(receipt: &Receipt, leases: &Leases) -> Authority {
    leases.authority(&receipt.chain.agent, receipt.chain.epoch)
}

fn amounts<S: Serializer>(amounts: &Amounts, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown {
        tokens: u64,
        cost_micros: u64,
    }
    let Amounts {
        tokens,
        cost_micros,
    } = *amounts;
    let shown = Shown {
        tokens,
        cost_micros,
    };
    shown.serialize(to)
}
