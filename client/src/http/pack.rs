//! Which pack is asked for, and its bytes as they come.

use std::fmt;

use ledger::digest::RecordHash;
use ledger::text::Name;

/// What a pack is wanted of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A range of entries; to the end of the log where there is no `to`.
    Range {
        /// The first.
        from: u64,
        /// The first behind them.
        to: Option<u64>,
    },
    /// An agent.
    Agent(Name),
    /// A goal, by the record that set it.
    Goal(RecordHash),
}

/// The query of the request.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { from, to: Some(to) } => write!(f, "from={from}&to={to}"),
            Self::Range { from, to: None } => write!(f, "from={from}"),
            Self::Agent(agent) => write!(f, "agent={}", agent.as_str()),
            Self::Goal(goal) => write!(f, "goal={goal}"),
        }
    }
}
