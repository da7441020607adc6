//! What a host says of a session beside its actions: where it works, that actions were never carried out, that a turn or
//! the session is over.

use ledger::codes::{Code, Refusal};
use ledger::json::{Members, Value, parsed};
use ledger::text::Text;

use super::{optional, short};
use crate::speaker::session::SessionName;

/// Something that happened in a session.
#[derive(Debug)]
pub(crate) struct SessionRequest {
    /// Which session.
    pub(crate) session: SessionName,
    /// The directory that it works in: the first that is named stays the session's.
    pub(crate) root: Option<Text>,
    /// Which open actions are not going to be carried out.
    pub(crate) cancel: Option<Cancel>,
    /// What is over.
    pub(crate) end: Option<End>,
}

/// Which open actions of a session end as cancelled, because nothing will be heard of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// Those with these names.
    Calls(Vec<Text>),
    /// Those that no sub-agent began: sub-agents go on when a turn is over.
    Turn,
    /// Those of a sub-agent.
    Subagent(Text),
    /// All.
    All,
}

/// What is over in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A turn: the goal ends as `partial` if nothing is open.
    Turn,
    /// The session: all that is open is cancelled, and the goal ends as `partial`.
    Session,
}

pub(super) fn read(value: Value) -> Result<SessionRequest, Refusal> {
    let mut members = Members::open("session", value)?;
    let named = SessionName::read(&mut members)?;
    let missing = || Code::Malformed.because("session needs a session");
    let request = SessionRequest {
        session: named.ok_or_else(missing)?,
        root: optional(&mut members, "root", parsed)?,
        cancel: read_cancel(&mut members)?,
        end: optional(&mut members, "end", read_end)?,
    };
    members.finish().map(|()| request)
}

fn read_cancel(members: &mut Members) -> Result<Option<Cancel>, Refusal> {
    let cancel: Option<String> = optional(members, "cancel", ledger::json::string)?;
    let calls = optional(members, "calls", |path, value| match value {
        Value::Array(calls) => calls.into_iter().map(|call| short(path, call)).collect(),
        _ => Err(Code::Malformed.because(format!("{path} is not an array"))),
    })?;
    let subagent = optional(members, "subagent", short)?;
    match (cancel.as_deref(), calls, subagent) {
        (None, None, None) => Ok(None),
        (Some("calls"), Some(calls), None) => Ok(Some(Cancel::Calls(calls))),
        (Some("subagent"), None, Some(subagent)) => Ok(Some(Cancel::Subagent(subagent))),
        (Some("turn"), None, None) => Ok(Some(Cancel::Turn)),
        (Some("all"), None, None) => Ok(Some(Cancel::All)),
        _ => {
            let why = "cancel is turn, all, calls with calls, or subagent with subagent";
            Err(Code::Malformed.because(why))
        }
    }
}

fn read_end(path: &str, value: Value) -> Result<End, Refusal> {
    match ledger::json::string(path, value)?.as_str() {
        "turn" => Ok(End::Turn),
        "session" => Ok(End::Session),
        other => Err(Code::Malformed.because(format!("{path} is turn or session, not {other}"))),
    }
}
