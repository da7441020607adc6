//! What the parts of a run tell each other. It belongs to none of them: who sends it need not know who listens.

use std::io;
use std::process::ExitStatus;

use ledger::codes::Refusal;
use process::Sent;

use super::output::Pump;
use crate::disclosure::Secret;
use crate::speaker::News;

/// What there is to know.
pub(super) enum Event {
    /// A child has ended or was stopped.
    Children,
    /// This process got a signal.
    Signal(Sent),
    /// A stream of CMD's has ended, and all of it is delivered, or cannot be.
    Output,
    /// The log has answered, or refuses to hear this process.
    News(News),
}

/// Why CMD was ended before its time; of several reasons the last counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    /// Its permit was about to lapse.
    Lapsed,
    /// It told of its work, and does so no more.
    Stalled,
    /// The lease behind it ended, or does not allow it.
    LeaseEnded,
    /// The lease is for another version.
    Replaced,
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
    /// How many processes CMD has left behind.
    pub(super) left_behind: usize,
    /// Why not all of the output was delivered.
    pub(super) undelivered: Option<io::Error>,
    /// What still delivers, where the result could not wait for it.
    pub(super) late: Vec<Pump>,
}
