//! Why an agent got no further, by whose turn it is now.

use ledger::codes::{Code, Refusal};
use ledger::digest::{Digest, RecordHash};
use ledger::text::Name;

use crate::journal::JournalError;
use crate::submission::SubmitError;
use crate::transport::{Problem, ServiceError};

/// Why an agent got no further.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The caller's: no such record can be made.
    #[error("the record is not valid: {0}")]
    NoSuchRecord(Refusal),
    /// The caller's: the agent has not begun an epoch.
    #[error("the agent has not begun an epoch")]
    NotStarted,
    /// This machine's: the journal is of no use, so nothing may be signed.
    #[error("the journal cannot be kept")]
    Journal(#[from] JournalError),
    /// The operators': the version that is here is not the one that they gave a lease.
    #[error(
        "the version here is {got}, the lease is for {want}{}",
        in_words(changes)
    )]
    OtherVersion {
        /// The manifest hash of what is here.
        got: Digest,
        /// The manifest hash that the lease names.
        want: Digest,
        /// Which files differ, in words; empty where nobody knows.
        changes: String,
    },
    /// The operators': the log does not know the agent.
    #[error("the log does not know the agent {agent}")]
    UnknownAgent {
        /// The agent.
        agent: Name,
    },
    /// The operators': the agent has no lease.
    #[error("the agent has no lease")]
    NoLease,
    /// The log judged the record and refused it.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// Another process has taken over, or the control plane has fenced this one: it ends here.
    #[error("this process no longer speaks for the agent: {reason}")]
    Fenced {
        /// How that is known.
        reason: String,
    },
    /// Nobody knows yet whether the log has the record: it is in the journal, and can be settled later.
    #[error("the service does not say whether the record was logged")]
    Away(#[source] ServiceError),
    /// The log's or the service's: what it says was not shown.
    #[error("the service does not prove what it says")]
    NotShown(#[source] SubmitError),
    /// The log's or a thief's: the log has records of this agent that this journal does not.
    #[error("the log and the journal disagree: {reason}")]
    ChainParted {
        /// Where.
        reason: String,
    },
    /// The log's: a record is not what the service says it is, such as the one that opened the epoch.
    #[error("{record} is not what it is said to be: {reason}")]
    NotAnOpening {
        /// What was named.
        record: RecordHash,
        /// Why it cannot be.
        reason: String,
    },
    /// The log's: it has signed two histories. The older checkpoint is in the journal, the newer one here.
    #[error(
        "the log shows two histories: {old} entries were seen, and {new} entries do not extend them"
    )]
    SplitView {
        /// The size that was seen.
        old: u64,
        /// The size that does not go with it.
        new: u64,
        /// The newer checkpoint, signed by the log.
        checkpoint: String,
    },
}

impl AgentError {
    /// The code of a refusal.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(problem) => problem.code,
            Self::NoSuchRecord(refusal) => Some(refusal.code),
            Self::Fenced { .. } => Some(Code::EpochFenced),
            _ => None,
        }
    }

    /// Whether the log has the agent's chain elsewhere than this process thinks.
    pub(super) const fn is_about_the_chain(&self) -> bool {
        matches!(self, Self::ChainParted { .. } | Self::Fenced { .. })
    }

    /// Whether the service has not answered: it may, later.
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Away(_))
    }

    /// How long the service asked to be left alone before the same is sent again.
    pub fn asks_to_wait(&self) -> Option<std::time::Duration> {
        match self {
            Self::Away(error) => error.asks_to_wait(),
            _ => None,
        }
    }

    /// Whether the process has lost its place: another one speaks, or the agent's state lets nobody speak.
    pub fn is_fenced(&self) -> bool {
        match self {
            Self::Fenced { .. } => true,
            Self::Refused(problem) => problem.says("state-forbids"),
            _ => false,
        }
    }
}

impl From<ServiceError> for AgentError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(problem) if problem.is_judgement() => by_judgement(problem),
            error => Self::Away(error),
        }
    }
}

impl From<SubmitError> for AgentError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Service(error) => error.into(),
            error => Self::NotShown(error),
        }
    }
}

fn in_words(changes: &str) -> String {
    match changes {
        "" => ". `dragons manifest diff OLD NEW` names the files by which two directories differ"
            .to_owned(),
        changes => format!(
            ": {changes}. What programs write beside the code goes into `ignore` of agent.toml; then register the version and \
             grant it a lease"
        ),
    }
}

/// What a judgement means to the process whose record it is about.
fn by_judgement(problem: Box<Problem>) -> AgentError {
    let reason = problem.to_string();
    match problem.code {
        Some(Code::EpochFenced) => AgentError::Fenced { reason },
        Some(
            Code::EpochFuture
            | Code::SequenceGap
            | Code::SequenceRepeated
            | Code::PreviousMismatch
            | Code::BeforeMismatch,
        ) => AgentError::ChainParted { reason },
        _ => AgentError::Refused(problem),
    }
}
