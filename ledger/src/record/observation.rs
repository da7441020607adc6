//! Observations: what another tool saw of an agent.

use crate::codes::Refusal;
use crate::json::Members;
use crate::record::Fields;
use crate::text::{Name, Text};

/// What another tool saw: a watchdog's alert, a span, a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The tool.
    pub source: Name,
    /// The tool's own name for what it saw.
    pub source_id: Text,
    /// The agent that it is about.
    pub agent: Name,
    /// What kind of thing happened.
    pub event: Text,
    /// In words.
    pub detail: Text,
}

impl Observation {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        Ok(Self {
            source: members.required("source", Name::read)?,
            source_id: members.required("source_id", Text::read)?,
            agent: members.required("agent", Name::read)?,
            event: members.required("event", Text::read)?,
            detail: members.required("detail", Text::read)?,
        })
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("source", &self.source);
        out.put("source_id", &self.source_id);
        out.put("agent", &self.agent);
        out.put("event", &self.event);
        out.put("detail", &self.detail);
    }
}
