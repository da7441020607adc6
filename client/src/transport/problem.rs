//! Why the log, or the service in front of it, refused.

use std::fmt;

use ledger::codes::{Code, Refusal};

/// A refusal by the service, or by something in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The code, if it is one of the service's own.
    pub code: Option<Code>,
    /// What the service says was wrong.
    pub detail: String,
    /// The `seq` that the agent's next record has, if its chain refused this one.
    pub next_seq: Option<u64>,
    /// The `prev` that the agent's next record has, if its chain refused this one.
    pub head: Option<String>,
    /// When to come back, in seconds.
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// Whether the log judged what it was sent, and will not judge the same bytes otherwise. A service that is busy
    /// or broken has not judged, nor has a proxy, nor whatever lives at a wrong address.
    pub fn is_judgement(&self) -> bool {
        let about_the_service = [
            Code::NotFound,
            Code::MethodNotAllowed,
            Code::NotAcceptable,
            Code::UnsupportedMediaType,
            Code::RateLimited,
        ];
        let by_log = |code: Code| !about_the_service.contains(&code);
        self.status < 500 && self.code.is_some_and(by_log)
    }

    /// The judgement: its code, and what the service said.
    pub fn refusal(&self) -> Refusal {
        Refusal {
            code: self.code.unwrap_or(Code::Internal),
            detail: self.detail.clone(),
        }
    }

    /// Whether this is the code.
    pub fn says(&self, code: &str) -> bool {
        self.code.is_some_and(|own| own.as_str() == code)
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code}: {}", self.detail),
            None => write!(f, "HTTP {}: {}", self.status, self.detail),
        }
    }
}
