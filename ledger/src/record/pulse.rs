//! Pulses: the control plane's own sign of life.

use crate::codes::Refusal;
use crate::json::{Members, Value, integer, object, parsed};
use crate::record::Fields;
use tlog::checkpoint::SignedCheckpoint;

/// The control plane's own sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Its number, from 1.
    pub n: u64,
    /// How many agents were ever registered.
    pub agents: u64,
    /// The governance state in front of this leaf, or `None` where it is not told.
    pub state: Option<StateRoot>,
    /// The text of the newest cosigned checkpoint, which bounds the log's clock.
    pub witnessed: Option<String>,
}

/// The governance state, in short: what it comes to is a list of entries under one root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRoot {
    /// How many entries it has.
    pub entries: u64,
    /// The root over them.
    pub root: tlog::Hash,
}

impl std::fmt::Display for StateRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with {} entries", self.root, self.entries)
    }
}

impl StateRoot {
    pub(crate) fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let state = Self {
            entries: members.required("entries", integer)?,
            root: members.required("root", parsed)?,
        };
        members.finish().map(|()| state)
    }

    pub(crate) fn to_value(self) -> Value {
        let (entries, root) = (self.entries.into(), self.root.to_string().into());
        object([("entries", entries), ("root", root)])
    }
}

/// The governance state that so many leaves of a log lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateAt {
    /// How many leaves.
    pub size: u64,
    /// What they lead to.
    pub state: StateRoot,
}

impl StateAt {
    pub(crate) fn read(path: &str, value: Value) -> Result<Self, Refusal> {
        let mut members = Members::open(path, value)?;
        let at = Self {
            size: members.required("size", integer)?,
            state: StateRoot {
                entries: members.required("entries", integer)?,
                root: members.required("root", parsed)?,
            },
        };
        members.finish().map(|()| at)
    }

    /// As it is in a trust file, a pack and a report.
    pub fn to_value(self) -> Value {
        let StateRoot { entries, root } = self.state;
        object([
            ("size", self.size.into()),
            ("entries", entries.into()),
            ("root", root.to_string().into()),
        ])
    }
}

impl Pulse {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            n: members.required("n", integer)?,
            agents: members.required("agents", integer)?,
            state: members.nullable("state", StateRoot::read)?,
            witnessed: members.nullable("witnessed", read_checkpoint)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("n", self.n);
        out.put("agents", self.agents);
        out.put("state", self.state.map(StateRoot::to_value));
        out.put("witnessed", self.witnessed.as_deref());
    }
}

/// The text of a signed checkpoint: it must at least parse as one.
fn read_checkpoint(path: &str, value: Value) -> Result<String, Refusal> {
    let text = crate::json::string(path, value)?;
    SignedCheckpoint::parse(&text)
        .map(|_| text)
        .map_err(|error| crate::codes::Code::Malformed.because(format!("{path}: {error}")))
}
