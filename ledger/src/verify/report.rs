//! The report: what every verification gives, wherever it runs.
//!
//! ```text
//! {"report":"dragons.report/v1","verdict":…,"as_of":{…},"state":null,"checks":[…],"findings":[…],"summary":{…},
//!  "trace":[…]|null}
//! ```
//!
//! `state` is the governance state behind the last leaf, where everything up to it was judged as a whole: what the trust of
//! the next verification can begin with.

use std::fmt;

use litemap::LiteMap;
use tlog::{Hash, LeafIndex, Side, Step, TreeSize};

use crate::codes::{Class, Party, Refusal};
use crate::json::{Value, object};
use crate::record::{Kind, StateAt, words};
use crate::text::Name;
use crate::verify::heads::Growth;
use crate::verify::reading::Reading;

/// The name of this form of report.
const FORMAT: &str = "dragons.report/v1";

words! {
    /// The verdict of a verification.
    Verdict, "verdict" {
        /// There is no problem, and nothing was skipped that the trust demands.
        Verified = "verified",
        /// There is a problem.
        Failed = "failed",
        /// There is no problem, but what the evidence holds is not enough.
        Incomplete = "incomplete",
    }
}

words! {
    /// What was checked, in the order in which it is.
    CheckId, "check" {
        /// The evidence reads as what it says it is.
        Form = "form",
        /// The log signed the checkpoint.
        Checkpoint = "checkpoint",
        /// As many witnesses cosigned it as the trust asks for.
        Witnesses = "witnesses",
        /// The leaves are in the tree of the checkpoint.
        Inclusion = "inclusion",
        /// The tree extends an earlier one.
        Consistency = "consistency",
        /// The leaves are records of the log that the trust names.
        Leaves = "leaves",
        /// The records are signed by keys that count for them.
        Signatures = "signatures",
        /// The records of each agent follow one another without a gap.
        Chains = "chains",
        /// Everybody was allowed to do what they did.
        Authority = "authority",
        /// The control plane did what was due.
        Liveness = "liveness",
        /// What was begun was finished, and what was accepted was checked.
        Outcomes = "outcomes",
        /// The disclosed values open their commitments.
        Disclosures = "disclosures",
        /// The last leaf that was judged is as new as it should be.
        Freshness = "freshness",
    }
}

words! {
    /// What a check came to.
    Status, "status" {
        /// It holds.
        Pass = "pass",
        /// It does not.
        Fail = "fail",
        /// It could not be made, or was not asked for.
        Skipped = "skipped",
    }
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it comes to.
    pub verdict: Verdict,
    /// The time and size that it speaks of.
    pub as_of: AsOf,
    /// The governance state that the leaves lead to, if all of them were judged as a whole.
    pub state: Option<StateAt>,
    /// What was checked, in the order of [`CheckId`].
    pub checks: Vec<Check>,
    /// What was found, by index and then code.
    pub findings: Vec<Finding>,
    /// How much of everything.
    pub summary: Summary,
    /// The way from the one leaf to the root, if that was what the evidence is about.
    pub trace: Option<Vec<TraceStep>>,
    /// How the newer of two checkpoints grew out of the older, if that was what the evidence is about. The report's JSON does
    /// not have it.
    pub growth: Option<Growth>,
    /// What people ask about that the report's JSON leaves to its words.
    pub aside: Aside,
}

/// What the answers to people's questions rest on beside the checks. The JSON of a report does not have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// How the file read.
    pub reading: Reading,
    /// Whether it is older than a log that lives lets it be, by the time that the verifier was given.
    pub is_old: bool,
    /// Whether the evidence is two checkpoints.
    pub is_of_heads: bool,
    /// Whether the evidence says itself that it lacks entries of the log.
    pub lacks_entries: bool,
    /// Whether everybody is judged from a state that the trust does not name.
    pub rests_on_a_state: bool,
}

/// When a report speaks of. What is `None` nobody vouched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsOf {
    /// The size of the tree whose checkpoint was verified.
    pub size: Option<TreeSize>,
    /// How many leaves from the first on were shown without a hole, and so can be judged one after another.
    pub judged_to: Option<TreeSize>,
    /// When the log received the newest leaf of the evidence, by its own word: milliseconds since the epoch.
    pub received_ms: Option<u64>,
    /// When the last of the witnesses saw the checkpoint: milliseconds since the epoch.
    pub witnessed_ms: Option<u64>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which.
    pub id: CheckId,
    /// What it came to.
    pub status: Status,
    /// What was seen, in a sentence for people.
    pub detail: String,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What, and the numbers.
    pub refusal: Refusal,
    /// Whether it spoils the record, or shows somebody out of bounds.
    pub class: Class,
    /// At whose fault.
    pub by: Party,
    /// The leaf that it was found at; `None` if it is about none.
    pub index: Option<LeafIndex>,
    /// The agent that it is about, if it is about one.
    pub agent: Option<Name>,
}

/// Sums over what was read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many records of each kind.
    pub records: LiteMap<Kind, u64>,
    /// How many agents they name.
    pub agents: u64,
    /// How much was found of each class, listed or not.
    pub found: LiteMap<Class, u64>,
}

/// A step of the way from a leaf to the root. The first is the leaf itself, which nothing was joined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceStep {
    /// The hash of the leaf's bytes.
    Leaf(Hash),
    /// Two hashes joined.
    Join(Step),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "entry {index}: {}", self.refusal),
            None => write!(f, "{}", self.refusal),
        }
    }
}

impl Finding {
    fn to_value(&self) -> Value {
        object([
            ("code", self.refusal.code.as_str().into()),
            ("class", self.class.as_str().into()),
            ("by", self.by.as_str().into()),
            ("index", self.index.map(LeafIndex::get).into()),
            ("agent", self.agent.as_ref().into()),
            ("detail", self.refusal.detail.as_str().into()),
        ])
    }
}

impl Report {
    /// How much was found of a class, listed or not.
    pub fn count(&self, class: Class) -> u64 {
        self.summary.found.get(&class).copied().unwrap_or(0)
    }

    /// The report as JSON: always the same bytes for the same report.
    pub fn to_json(&self) -> String {
        self.to_value().to_json()
    }

    fn to_value(&self) -> Value {
        let steps = |trace: &Vec<TraceStep>| {
            Value::from_iter(trace.iter().copied().map(TraceStep::to_value))
        };
        object([
            ("report", FORMAT.into()),
            ("verdict", self.verdict.into()),
            ("as_of", self.as_of.to_value()),
            ("state", self.state.map(StateAt::to_value).into()),
            ("checks", self.checks.iter().map(Check::to_value).collect()),
            (
                "findings",
                self.findings.iter().map(Finding::to_value).collect(),
            ),
            ("summary", self.summary_value()),
            ("trace", self.trace.as_ref().map(steps).into()),
        ])
    }

    fn summary_value(&self) -> Value {
        let records = self.summary.records.iter();
        let records = records.map(|(kind, count)| (kind.to_string(), (*count).into()));
        object([
            ("records", Value::Object(records.collect())),
            ("agents", self.summary.agents.into()),
            ("problems", self.count(Class::Problem).into()),
            ("breaches", self.count(Class::Breach).into()),
            ("late", self.count(Class::Late).into()),
        ])
    }
}

impl AsOf {
    fn to_value(self) -> Value {
        object([
            ("size", self.size.map(TreeSize::get).into()),
            ("judged_to", self.judged_to.map(TreeSize::get).into()),
            ("received_ms", self.received_ms.into()),
            ("witnessed_ms", self.witnessed_ms.into()),
        ])
    }
}

impl Check {
    fn to_value(&self) -> Value {
        object([
            ("id", self.id.into()),
            ("status", self.status.into()),
            ("detail", self.detail.as_str().into()),
        ])
    }
}

impl TraceStep {
    /// The hash that the way has reached with this step.
    pub const fn hash(&self) -> Hash {
        match self {
            Self::Leaf(hash) => *hash,
            Self::Join(step) => step.parent,
        }
    }

    /// As it is in a report. Both variants have the same members, so that a page can draw them by one rule.
    pub fn to_value(self) -> Value {
        let joined = match &self {
            Self::Leaf(_) => None,
            Self::Join(step) => Some(step),
        };
        let side = |step: &Step| match step.sibling {
            Side::Left => "left",
            Side::Right => "right",
        };
        object([
            (
                "level",
                joined.map_or(0, |step| u64::from(step.level)).into(),
            ),
            ("left", joined.map(|step| step.left.to_string()).into()),
            ("right", joined.map(|step| step.right.to_string()).into()),
            ("sibling", joined.map(side).into()),
            ("hash", self.hash().to_string().into()),
        ])
    }
}
