//! Why a log could not be asked.

use std::time::Duration;

use super::Problem;

/// The longest answer that is read: a page of 1,000 agents has less than one MiB, a proof less than two.
pub const MAX_ANSWER_BYTES: u64 = 4 * 1024 * 1024;

/// What the network said, whatever speaks to it.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The caller's: there can be no service at this address.
    #[error("{url:?} is not the address of a service: {reason}")]
    Address {
        /// The address.
        url: String,
        /// Why not.
        reason: String,
    },
    /// This machine's: no connections can be made.
    #[error("connections cannot be set up")]
    Setup(#[source] Source),
    /// The network's: no answer.
    #[error("the service does not answer")]
    Unreachable(#[source] Source),
    /// The network's: the answer broke off.
    #[error("the answer to {request} broke off")]
    BrokenOff {
        /// What was asked.
        request: String,
        /// How it ended.
        source: std::io::Error,
    },
    /// The service's: an answer longer than any.
    #[error("the answer to {request} is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong {
        /// What was asked.
        request: String,
    },
    /// The service's: an answer that is not what was asked for.
    #[error("the answer to {request} is not what was asked for: {reason}")]
    Malformed {
        /// What was asked.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The service refused.
    #[error(transparent)]
    Refused(#[from] Box<Problem>),
}

impl ServiceError {
    /// Whether the same call may go well a little later: nobody answered, or a service that is busy, stops or begins.
    pub fn may_pass(&self) -> bool {
        const TOO_MANY_REQUESTS: u16 = 429;
        match self {
            Self::Unreachable(_) | Self::BrokenOff { .. } => true,
            Self::Refused(problem) => problem.status >= 500 || problem.status == TOO_MANY_REQUESTS,
            _ => false,
        }
    }

    /// How long the service asked to be left alone, a minute at most: it is the caller who decides when to give up.
    pub fn asks_to_wait(&self) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(60);
        match self {
            Self::Refused(problem) => {
                let asked = problem.retry_after_s.map(Duration::from_secs);
                asked.map(|asked| asked.min(LONGEST))
            }
            _ => None,
        }
    }

    /// Whether the service said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 404 || problem.says("agent-unknown"))
    }
}
