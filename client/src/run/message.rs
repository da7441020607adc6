//! What the parts of a run tell each other. It belongs to none of them: who sends it need not know who listens.

use std::io;
use std::process::ExitStatus;

use ledger::codes::Refusal;

use crate::disclosure::Secret;
use crate::speaker::News;

/// What there is to know.
pub(super) enum Event {
    /// CMD ended.
    Ended(io::Result<ExitStatus>),
    /// This process got a signal.
    Signal {
        /// Which.
        number: i32,
        /// Whether CMD got it too, from the terminal.
        reached_all: bool,
    },
    /// The log has answered, or refuses to hear this process.
    News(News),
}

/// Why CMD was ended before its time; of several reasons the last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    /// Its permit was about to lapse.
    Lapsed,
    /// The lease behind it ended.
    LeaseEnded,
    /// The agent is not this process's to speak for, or not at all: the log tells what follows.
    Fenced,
}

/// How it went.
pub(super) struct End {
    pub(super) status: ExitStatus,
    pub(super) cut: Option<(Cut, String)>,
    /// Whether a signal asked for the end.
    pub(super) was_asked_to_end: bool,
    pub(super) duration_ms: u64,
    pub(super) outputs: Result<Vec<Secret>, Refusal>,
}
