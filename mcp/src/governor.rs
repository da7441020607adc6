//! Who gives permission: what the proxy asks of the process that speaks for the agent.

use ledger::digest::Digest;
use ledger::record::Mode;
use ledger::scope::Scope;
use ledger::text::{Name, Text};

/// The longest value that is handed over whole, in bytes: a log's client keeps no longer ones. Of anything longer the
/// digest is handed over.
pub const KEPT_VALUE_BYTES: usize = 64 * 1024;

/// Speaks for the agent. Its methods are called from several threads at once.
pub trait Governor: Send + Sync {
    /// What happens to a call without permission: it is refused, or forwarded anyway and counted.
    fn mode(&self) -> Mode;

    /// Asks leave, and waits for the answer: it is there once the intent is logged, or it is known that it is not.
    fn ask(&self, action: &Action) -> Leave;

    /// Reports the result of an action, without waiting.
    fn close(&self, permit: Permit, outcome: Outcome);

    /// The server shows progress. It does not wait.
    fn progress(&self);

    /// Says something to people.
    fn warn(&self, text: &str);
}

/// A tool call, as permission is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// `call:S/T`, for the server S and the tool T.
    pub scope: Scope,
    /// The tool, by the name that the manifest has for it.
    pub tool: Name,
    /// The digest of the tool's definition, if the server has shown it or the manifest has it.
    pub definition: Option<Digest>,
    /// The arguments, as the client wrote them.
    pub arguments: Committed,
    /// The client's own name for the action, if it gave one.
    pub call: Option<String>,
    /// Where else to look, and what was noticed: the trace, the span, and a definition that is not what it should be.
    pub refs: Vec<(Name, Text)>,
}

/// A value that the log gets a commitment to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The value.
    Value(Vec<u8>),
    /// The SHA-256 of a value that is longer than [`KEPT_VALUE_BYTES`].
    Digest(Digest),
}

impl Committed {
    /// The value if it is short enough, else its digest.
    pub fn of(value: &[u8]) -> Self {
        match value.len() <= KEPT_VALUE_BYTES {
            true => Self::Value(value.to_vec()),
            false => Self::Digest(Digest::of(&[value])),
        }
    }
}

/// What the governor answers.
#[derive(Debug)]
pub enum Leave {
    /// The action may begin, and the governor gets its result.
    Granted(Permit),
    /// The action must not begin.
    Denied {
        /// The code of the rule, such as `scope-denied`.
        code: String,
        /// A sentence for people and models.
        reason: String,
    },
    /// Nobody can say, for the service or the speaker is away.
    Away {
        /// A sentence for people and models.
        reason: String,
    },
}

/// The governor's own name for an action that has begun. It is handed back once.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit(pub String);

/// What came of an action.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The result or the error, as the server wrote it; `None` if there was none.
    pub output: Option<Committed>,
    /// What was noticed since permission was asked for.
    pub refs: Vec<(Name, Text)>,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The tool says that it went well.
    Ok,
    /// The tool or the server says that it did not, or there was no answer.
    Error,
    /// The client took the call back, or did not wait for the answer.
    Cancelled,
}
