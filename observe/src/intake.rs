//! From messages to what they say of agents: which spans and events count, what became of each tool, whose it was.
//!
//! Attributes are read and let go: what leaves here are the normal form, the labels that some rule asks for, and names.

mod attributes;
mod events;
mod spans;

use std::collections::BTreeSet;

use ledger::record::SeenStatus;
use ledger::text::Name;
use serde::{Deserialize, Serialize};
use watchdogs::alert::{Labels, Notice};
use watchdogs::rules::Rules;

use crate::otlp::body::Batch;

/// The longest value of a label: what a rule compares is a name, and not a prompt.
const MAX_LABEL_BYTES: usize = 512;

/// Labels that are kept for the list of what no rule matched, besides those that rules ask for.
const SHOWN: [&str; 4] = ["service.name", "agent", "conversation", "profile"];

/// A span of a trace.
pub(crate) type SpanKey = (Vec<u8>, Vec<u8>);

/// How something was seen. One action that is seen in two ways is one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// As a span.
    Span,
    /// As a log record.
    Event,
    /// As a webhook's body or a file.
    Alert,
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// What.
    pub notice: Notice,
    /// How.
    pub way: Way,
    /// The span that it was, so that a child that comes later finds it.
    pub(crate) span: Option<SpanKey>,
}

/// What a child span says about its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub(crate) parent: SpanKey,
    pub(crate) status: SeenStatus,
}

/// A number of a source's own counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Whose counter.
    pub source: Name,
    /// Within what it counts: the program and a conversation.
    pub stream: String,
    /// The number.
    pub number: u64,
    /// When it was counted: milliseconds since the epoch.
    pub at_ms: u64,
    /// Whose it is.
    pub labels: Labels,
}

/// What a request said.
#[derive(Debug, Default)]
pub struct Found {
    /// What was seen, in its order.
    pub sightings: Vec<Sighting>,
    /// What children said of parents that are not in the request.
    pub verdicts: Vec<Verdict>,
    /// The numbers of counters.
    pub counts: Vec<Count>,
    /// How many spans or records there were.
    pub items: u64,
    /// How many of them could not be read.
    pub rejected: u64,
}

/// Reads messages of one source.
#[derive(Clone, Debug)]
pub struct Intake {
    source: Name,
    wanted: BTreeSet<String>,
}

impl Intake {
    /// For a source, with the labels that rules ask for.
    #[must_use]
    pub fn new(source: Name, rules: &Rules) -> Self {
        let shown = SHOWN.iter().copied();
        Self {
            source,
            wanted: rules.labels().chain(shown).map(ToOwned::to_owned).collect(),
        }
    }

    /// Whose messages it reads.
    #[must_use]
    pub const fn source(&self) -> &Name {
        &self.source
    }

    /// What a batch says.
    #[must_use]
    pub fn read(&self, batch: &Batch) -> Found {
        match batch {
            Batch::Traces(traces) => spans::read(self, traces),
            Batch::Logs(logs) => events::read(self, logs),
            Batch::Dropped => Found::default(),
        }
    }
}
