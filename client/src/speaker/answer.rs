//! The answers on the socket.

use ledger::codes::Code;
use ledger::json::{Value, object};

use super::with_sources;
use crate::agent::{AgentError, Filed};
use crate::disclosure::Disclosure;
use crate::submission::Logged;

/// An answer, without the `id` of its line.
#[derive(Clone, Debug)]
pub(crate) struct Answer(Value);

/// Who says no: it decides what the caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The log, or what was verified of it: the action is not allowed.
    Log,
    /// Nobody has decided: the service is away, too much is open, the speaker ends.
    Speaker,
    /// The line is wrong, or names what is not there.
    Line,
}

impl By {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Speaker => "speaker",
            Self::Line => "line",
        }
    }
}

impl Answer {
    /// It is done.
    pub(crate) fn done() -> Self {
        Self(object([("ok", true.into())]))
    }

    /// It is done, and there is more to say about it: the members of an object.
    pub(crate) fn with(more: Value) -> Self {
        Self::done().and(more)
    }

    /// The same answer, with more members.
    #[must_use]
    pub(crate) fn and(self, more: Value) -> Self {
        let (Value::Object(mut members), Value::Object(more)) = (self.0, more) else {
            return Self(Value::Null);
        };
        members.extend(more);
        Self(Value::Object(members))
    }

    /// The value behind a commitment.
    pub(crate) fn disclosed(disclosure: &Disclosure) -> Self {
        Self::with(object([("disclosure", disclosure.to_value())]))
    }

    /// Whoever sets out for a goal goes on, and the goal is not logged.
    pub(crate) fn goal_let_go() -> Self {
        Self::with(object([("record", Value::Null), ("unlogged", true.into())]))
    }

    /// A record that was signed: it is in the log, or waits in the journal.
    pub(crate) fn filed(filed: &Filed) -> Self {
        Self::with(match filed {
            Filed::Logged(logged) => logged_members(logged),
            Filed::Waiting(record) => {
                object([("record", (*record).into()), ("waits", true.into())])
            }
        })
    }

    /// A record that is in the log.
    pub(crate) fn logged(logged: &Logged) -> Self {
        Self::with(logged_members(logged))
    }

    /// It is not done.
    pub(crate) fn refused(code: &str, detail: &str, by: By) -> Self {
        Self(object([
            ("ok", false.into()),
            ("code", code.into()),
            ("detail", detail.into()),
            ("by", by.as_str().into()),
        ]))
    }

    /// Nothing came of it, and why.
    pub(crate) fn failed(error: &AgentError) -> Self {
        let text = with_sources(error);
        match error {
            AgentError::Refused(problem) => {
                let code = problem.code.map_or("refused", Code::as_str);
                let by = match problem.code {
                    Some(Code::TooManyOpen) => By::Speaker,
                    Some(Code::GoalUnknown | Code::IntentUnknown) => By::Line,
                    _ => By::Log,
                };
                Self::refused(code, &problem.detail, by)
            }
            AgentError::NoSuchRecord(refusal) => {
                let by = match refusal.code {
                    Code::TooManyOpen => By::Speaker,
                    _ => By::Line,
                };
                Self::refused(refusal.code.as_str(), &refusal.detail, by)
            }
            AgentError::Fenced { .. } => Self::refused("epoch-fenced", &text, By::Log),
            AgentError::NoLease => Self::refused("lease-unknown", &text, By::Log),
            AgentError::UnknownAgent { .. } => Self::refused("agent-unknown", &text, By::Log),
            AgentError::OtherVersion { .. } => Self::refused("manifest-not-active", &text, By::Log),
            AgentError::Away(_) => Self::refused("service-away", &text, By::Speaker),
            _ => Self::refused("internal", &text, By::Speaker),
        }
    }

    /// The answer as one line, with the `id` that its line had.
    pub(crate) fn into_line(self, id: Option<Value>) -> String {
        let Value::Object(mut members) = self.0 else {
            return "\n".to_owned();
        };
        if let Some(id) = id {
            members.insert(0, ("id".to_owned(), id));
        }
        format!("{}\n", Value::Object(members).to_json())
    }
}

fn logged_members(logged: &Logged) -> Value {
    object([
        ("record", logged.record().into()),
        ("index", logged.index().get().into()),
        ("received_ms", logged.entry.received_ms().into()),
        ("waits", false.into()),
    ])
}
