//! Receipts: what an agent set out to do, was about to do, did, and reached.

use crate::codes::Refusal;
use crate::digest::{Digest, RecordHash};
use crate::json::{Members, Value, integer, object, parsed};
use crate::record::{Chain, Fields, words};
use crate::scope::Scope;
use crate::text::{Name, Text};

/// A step of an agent's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Where it is in the agent's chain.
    pub chain: Chain,
    /// Which step, and its members.
    pub phase: Phase,
}

/// The four steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// What the agent sets out to do.
    Goal(Goal),
    /// An action that is about to happen: logged before its effect.
    Intent(Box<Intent>),
    /// The result of the action.
    Result(ResultOf),
    /// The outcome of the goal.
    Outcome(Outcome),
}

/// What the agent sets out to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// In words.
    pub title: Text,
    /// Who asked for it.
    pub requester: Text,
}

/// An action that is about to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The goal that it serves.
    pub goal: RecordHash,
    /// What it touches.
    pub scope: Scope,
    /// With which tool.
    pub tool: ToolUse,
    /// Commitments to the values that go in.
    pub inputs: Vec<(Name, Digest)>,
    /// Records that it follows from, also of other agents.
    pub parents: Vec<RecordHash>,
    /// What it may use up.
    pub reserve: Amounts,
}

/// A tool and the digest of its definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolUse {
    /// What it is called.
    pub name: Name,
    /// The digest of its definition.
    pub digest: Digest,
}

/// What an action may use up, or has used up, beside itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Tokens of a model.
    pub tokens: u64,
    /// Millionths of the unit of money.
    pub cost_micros: u64,
}

words! {
    /// How an action ended.
    Status, "status" {
        /// As it should.
        Ok = "ok",
        /// With an error.
        Error = "error",
        /// Not in its time.
        Timeout = "timeout",
        /// It was called off.
        Cancelled = "cancelled",
    }
}

/// The result of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultOf {
    /// The intent.
    pub intent: RecordHash,
    /// How it ended.
    pub status: Status,
    /// Commitments to the values that came out.
    pub outputs: Vec<(Name, Digest)>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it used up.
    pub usage: Amounts,
    /// Where else to look: trace ids, job ids.
    pub refs: Vec<(Name, Text)>,
}

words! {
    /// The verdict on a goal's outcome.
    Verdict, "verdict" {
        /// The goal was reached.
        Accepted = "accepted",
        /// It was not.
        Rejected = "rejected",
        /// In part.
        Partial = "partial",
        /// It was given up.
        Abandoned = "abandoned",
    }
}

/// The outcome of a goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The goal.
    pub goal: RecordHash,
    /// The verdict.
    pub verdict: Verdict,
    /// On which grounds.
    pub checks: Vec<Check>,
}

/// A ground for a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: Text,
    /// The digest of the check's own record, wherever that is kept.
    pub digest: Digest,
    /// A record of this log that it rests on.
    pub record: Option<RecordHash>,
}

impl Phase {
    /// The word in the record.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Goal(_) => "goal",
            Self::Intent(_) => "intent",
            Self::Result(_) => "result",
            Self::Outcome(_) => "outcome",
        }
    }

    fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(
            match members.required("phase", crate::json::string)?.as_str() {
                "goal" => Self::Goal(Goal::read(members)?),
                "intent" => Self::Intent(Box::new(Intent::read(members)?)),
                "result" => Self::Result(ResultOf::read(members)?),
                "outcome" => Self::Outcome(Outcome::read(members)?),
                _ => {
                    return Err(crate::json::expected(
                        "phase",
                        "goal, intent, result or outcome",
                    ));
                }
            },
        )
    }
}

impl Receipt {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            chain: Chain::read(members)?,
            phase: Phase::read(members)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        self.chain.write(out);
        out.put("phase", self.phase.as_str());
        match &self.phase {
            Phase::Goal(goal) => goal.write(out),
            Phase::Intent(intent) => intent.write(out),
            Phase::Result(result) => result.write(out),
            Phase::Outcome(outcome) => outcome.write(out),
        }
    }
}

impl Goal {
    fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            title: members.required("title", Text::read)?,
            requester: members.required("requester", Text::read)?,
        })
    }

    fn write(&self, out: &mut Fields) {
        out.put("title", &self.title);
        out.put("requester", &self.requester);
    }
}

impl Intent {
    fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            goal: members.required("goal", parsed)?,
            scope: members.required("scope", parsed)?,
            tool: members.required("tool", ToolUse::read)?,
            inputs: members.map("inputs", parsed)?,
            parents: members.list("parents", parsed)?,
            reserve: members.required("reserve", Amounts::read)?,
        })
    }

    fn write(&self, out: &mut Fields) {
        out.put("goal", self.goal);
        out.put("scope", self.scope.to_string());
        let tool = &self.tool;
        out.put(
            "tool",
            object([
                ("name", (&tool.name).into()),
                ("digest", tool.digest.into()),
            ]),
        );
        out.put("inputs", commitments(&self.inputs));
        out.put("parents", Value::from_iter(self.parents.iter().copied()));
        out.put("reserve", self.reserve.to_value());
    }
}

impl ToolUse {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let tool = Self {
            name: members.required("name", Name::read)?,
            digest: members.required("digest", parsed)?,
        };
        members.finish().map(|()| tool)
    }
}

impl Amounts {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let reserve = Self {
            tokens: members.required("tokens", integer)?,
            cost_micros: members.required("cost_micros", integer)?,
        };
        members.finish().map(|()| reserve)
    }

    fn to_value(self) -> Value {
        object([
            ("tokens", self.tokens.into()),
            ("cost_micros", self.cost_micros.into()),
        ])
    }
}

impl ResultOf {
    fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            intent: members.required("intent", parsed)?,
            status: members.required("status", parsed)?,
            outputs: members.map("outputs", parsed)?,
            duration_ms: members.required("duration_ms", integer)?,
            usage: members.required("usage", Amounts::read)?,
            refs: members.map("refs", Text::read)?,
        })
    }

    fn write(&self, out: &mut Fields) {
        out.put("intent", self.intent);
        out.put("status", self.status);
        out.put("outputs", commitments(&self.outputs));
        out.put("duration_ms", self.duration_ms);
        out.put("usage", self.usage.to_value());
        let refs = self
            .refs
            .iter()
            .map(|(name, text)| (name.to_string(), text.into()));
        out.put("refs", Value::Object(refs.collect()));
    }
}

impl Outcome {
    fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            goal: members.required("goal", parsed)?,
            verdict: members.required("verdict", parsed)?,
            checks: members.list("checks", Check::read)?,
        })
    }

    fn write(&self, out: &mut Fields) {
        out.put("goal", self.goal);
        out.put("verdict", self.verdict);
        out.put(
            "checks",
            Value::from_iter(self.checks.iter().map(Check::to_value)),
        );
    }
}

impl Check {
    fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let check = Self {
            name: members.required("name", Text::read)?,
            digest: members.required("digest", parsed)?,
            record: members.nullable("record", parsed)?,
        };
        members.finish().map(|()| check)
    }

    fn to_value(&self) -> Value {
        object([
            ("name", (&self.name).into()),
            ("digest", self.digest.into()),
            ("record", self.record.into()),
        ])
    }
}

fn commitments(named: &[(Name, Digest)]) -> Value {
    Value::Object(
        named
            .iter()
            .map(|(name, digest)| (name.to_string(), (*digest).into()))
            .collect(),
    )
}
