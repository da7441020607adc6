//! How the program ends: scripts decide by it, so each number has one meaning.

use client::entry::EntryError;
use client::known::KnownError;
use client::manifest::proof::FileProofError;
use client::shown::ShownError;
use client::submission::SubmitError;
use ledger::verify::{Report, Verdict};
use tlog::ProofError;
use tlog::checkpoint::CheckpointError;

/// The exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; verified, without a breach.
    Good,
    /// It does not hold, or somebody is out of bounds.
    Bad,
    /// It could not be decided or done: usage, files, network, a refusal by the service.
    Undecided,
    /// What is there holds, and is not enough.
    Incomplete,
    /// The program was not run.
    NotRun,
    /// The program was run, and ended so.
    Program(u8),
}

/// Why there is no exit code of the program's.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the program was not run")]
pub(crate) struct NotRun;

/// Why nobody speaks for the agent.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("cannot speak for the agent")]
pub(crate) struct NotBegun;

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Good => 0,
            Exit::Bad => 1,
            Exit::Undecided => 2,
            Exit::Incomplete => 3,
            // What env, nohup and timeout use for it.
            Exit::NotRun => 125,
            Exit::Program(code) => code,
        }
    }
}

/// What a report comes to.
pub(crate) fn of_report(report: &Report) -> Exit {
    match report.verdict {
        Verdict::Failed => Exit::Bad,
        Verdict::Incomplete => Exit::Incomplete,
        Verdict::Verified if report.count(ledger::codes::Class::Breach) > 0 => Exit::Bad,
        Verdict::Verified => Exit::Good,
    }
}

/// What was shown does not hold, in the verifier's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DoesNotHold(pub(crate) String);

/// What an error comes to. What was shown and does not hold has failed; where nothing was shown, nothing is decided.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    if error.is::<NotRun>() || error.is::<NotBegun>() {
        return Exit::NotRun;
    }
    let is_bad = error.chain().any(|cause| {
        cause.is::<EntryError>()
            || cause.is::<ProofError>()
            || cause.is::<FileProofError>()
            || cause.is::<CheckpointError>()
            || cause.is::<DoesNotHold>()
            || matches!(
                cause.downcast_ref(),
                Some(SubmitError::OtherRecord { .. } | SubmitError::SignatureLost { .. })
            )
            || matches!(cause.downcast_ref(), Some(ShownError::NotAbout { .. }))
            || matches!(cause.downcast_ref(), Some(KnownError::Changed { .. }))
    });
    if is_bad { Exit::Bad } else { Exit::Undecided }
}

/// Whether the reader of our output has gone, as `head` does.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.root_cause().downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
