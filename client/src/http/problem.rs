//! Problem documents (RFC 9457): why the service refused.

use std::fmt;

use ledger::codes::{Code, Refusal};
use reqwest::StatusCode;

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

/// The members of the document. None has to be there: what answers may be no service of ours.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Document {
    code: Option<String>,
    detail: Option<String>,
    next_seq: Option<u64>,
    head: Option<String>,
}

impl Problem {
    pub(super) fn read(status: u16, retry_after_s: Option<u64>, body: &[u8]) -> Self {
        let document: Document = serde_json::from_slice(body).unwrap_or_default();
        let code = document.code.as_deref();
        let phrase = || {
            let known = StatusCode::from_u16(status).ok();
            let phrase = known.and_then(|status| status.canonical_reason());
            phrase.unwrap_or("an answer that is none").to_owned()
        };
        Self {
            status,
            code: code.and_then(|code| code.parse().ok()),
            detail: document.detail.unwrap_or_else(phrase),
            next_seq: document.next_seq,
            head: document.head,
            retry_after_s,
        }
    }

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
