//! Observations: what another tool saw of an agent.

use crate::codes::{Code, Refusal};
use crate::digest::Digest;
use crate::json::{Members, Value, integer, parsed, string};
use crate::record::{Fields, words};
use crate::text::{Name, Text};

/// The longest name that a host gives to an action of its own, in bytes.
pub const MAX_CALL_BYTES: usize = 128;

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
    pub event: Event,
    /// The host's own name for the action, where there is one.
    pub call: Option<Text>,
    /// How it went, where it has ended.
    pub status: Option<SeenStatus>,
    /// When it began: milliseconds since the epoch.
    pub began_ms: Option<u64>,
    /// When it ended: milliseconds since the epoch.
    pub ended_ms: Option<u64>,
    /// The digest of what the tool said, in a canonical form.
    pub digest: Option<Digest>,
    /// In words.
    pub detail: Text,
}

words! {
    /// What kind of thing another tool saw.
    Event, "event of an observation" {
        /// A watchdog raised an alert.
        AlertOpened = "alert-opened",
        /// A watchdog took its alert back.
        AlertClosed = "alert-closed",
        /// An agent ran.
        AgentRan = "agent-ran",
        /// A tool has ended.
        ToolEnded = "tool-ended",
        /// A tool was not let run.
        ToolDenied = "tool-denied",
        /// Something was restarted.
        Restarted = "restarted",
        /// The source itself says that it has lost something.
        SourceGap = "source-gap",
        /// The source is not heard any more.
        SourceLost = "source-lost",
        /// Anything else.
        Other = "other",
    }
}

words! {
    /// How that went which another tool saw.
    SeenStatus, "status of an observation" {
        /// Well.
        Ok = "ok",
        /// Badly.
        Error = "error",
        /// Not in its time.
        Timeout = "timeout",
        /// It was called off.
        Cancelled = "cancelled",
        /// It was not let happen.
        Denied = "denied",
    }
}

impl Observation {
    pub(super) fn read(members: &mut Members) -> Result<Self, Refusal> {
        let seen = Self {
            source: members.required("source", Name::read)?,
            source_id: members.required("source_id", Text::read)?,
            agent: members.required("agent", Name::read)?,
            event: members.required("event", parsed)?,
            call: members.nullable("call", read_call)?,
            status: members.nullable("status", parsed)?,
            began_ms: members.nullable("began_ms", integer)?,
            ended_ms: members.nullable("ended_ms", integer)?,
            digest: members.nullable("digest", parsed)?,
            detail: members.required("detail", Text::read)?,
        };
        match (seen.began_ms, seen.ended_ms) {
            (Some(began), Some(ended)) if began > ended => {
                Err(Code::Malformed.because(format!("it ended at {ended}, and began at {began}")))
            }
            _ => Ok(seen),
        }
    }

    pub(super) fn write(&self, out: &mut Fields) {
        out.put("source", &self.source);
        out.put("source_id", &self.source_id);
        out.put("agent", &self.agent);
        out.put("event", self.event);
        out.put("call", self.call.as_ref());
        out.put("status", self.status);
        out.put("began_ms", self.began_ms);
        out.put("ended_ms", self.ended_ms);
        out.put("digest", self.digest);
        out.put("detail", &self.detail);
    }
}

fn read_call(path: &str, value: Value) -> Result<Text, Refusal> {
    let text = string(path, value)?;
    if text.len() > MAX_CALL_BYTES {
        let why = format!("{path} has {} bytes, at most {MAX_CALL_BYTES}", text.len());
        return Err(Code::Malformed.because(why));
    }
    text.parse().map_err(|refusal: Refusal| refusal.at(path))
}
