//! Problems: every answer that is not what was asked for, as RFC 9457 problem JSON.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use wire::media::PROBLEM_JSON;

use super::limits::RETRY_AFTER_SECONDS;

/// The document that a problem is sent as.
pub(super) use wire::Problem as ProblemDocument;

/// Why a request was refused, with what its sender needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    refusal: Refusal,
    expected: Option<Expected>,
    /// After how long to try again, in seconds.
    retry_after_s: Option<u64>,
}

/// What the next record of a chain has to say, told to the process whose chain it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// The sequence number of the next record.
    pub(super) next_seq: u64,
    /// Its `prev`: the agent's last record of the epoch, or the record that opened it.
    pub(super) head: Option<RecordHash>,
}

/// What went wrong inside: for the service's own log and never for the answer.
#[derive(Clone, Debug)]
pub(super) struct InternalText(pub(super) String);

impl Problem {
    /// Adds what the chain expects.
    #[must_use]
    pub(super) fn expecting(mut self, expected: Option<Expected>) -> Self {
        self.expected = expected;
        self
    }

    /// Says after how long it may be tried again: a second at least.
    #[must_use]
    pub(super) fn retried_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after_s = Some(seconds.max(RETRY_AFTER_SECONDS));
        self
    }

    /// Whether it is this.
    pub(super) fn is(&self, code: Code) -> bool {
        self.refusal.code == code
    }

    /// The stable code.
    pub(super) const fn code(&self) -> &'static str {
        self.refusal.code.as_str()
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        status(self.refusal.code)
    }

    /// The document to send. Of a failure of the service it tells no more than its name; why it takes nothing now, it says.
    pub(super) fn document(&self) -> ProblemDocument {
        let Refusal { code, detail } = &self.refusal;
        let status = self.status();
        let sentence = code.sentence();
        let is_failure = status.is_server_error() && *code != Code::Overloaded;
        let silent = is_failure || detail.is_empty();
        let detail = match sentence.strip_suffix('.') {
            Some(sentence) if !silent => format!("{sentence}: {detail}"),
            _ => sentence.to_owned(),
        };
        ProblemDocument {
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            code: code.to_string(),
            detail,
            next_seq: self.expected.as_ref().map(|expected| expected.next_seq),
            head: self
                .expected
                .as_ref()
                .and_then(|e| e.head)
                .map(|head| head.to_string()),
        }
    }

    /// What the service's own log is told, if the failure is the service's.
    pub(super) fn internal_text(&self) -> Option<InternalText> {
        let ours = self.status().is_server_error();
        ours.then(|| InternalText(self.refusal.to_string()))
    }

    /// Where nothing is.
    pub(super) fn not_found(what: impl std::fmt::Display) -> Self {
        Code::NotFound.because(what).into()
    }

    /// A parameter that does not parse.
    pub(super) fn malformed(what: impl std::fmt::Display) -> Self {
        Code::Malformed.because(what).into()
    }

    /// Something failed that was not to fail; what it was stays inside.
    pub(super) fn internal(what: impl std::fmt::Display) -> Self {
        Code::Internal.because(what).into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let comes_again = status(refusal.code) == StatusCode::SERVICE_UNAVAILABLE;
        Self {
            refusal,
            expected: None,
            retry_after_s: comes_again.then_some(RETRY_AFTER_SECONDS),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let document = self.document();
        let mut response = (status, Json(document.clone())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(text) = self.internal_text() {
            response.extensions_mut().insert(text);
        }
        // For the pages, which tell people of it in HTML.
        response.extensions_mut().insert(document);
        response
    }
}

/// The HTTP status of a code.
///
/// What only a replay is meant to find has none of its own. It comes here when the holder of a
/// control key submits a transition that the rules do not bear out, and is forbidden like every other
/// record against the rules.
pub(super) fn status(code: Code) -> StatusCode {
    let own = code
        .http_status()
        .and_then(|status| StatusCode::from_u16(status).ok());
    own.unwrap_or(StatusCode::FORBIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_status_of_its_group() {
        for code in Code::ALL {
            assert_eq!(
                status(*code).as_u16(),
                code.http_status().unwrap_or(403),
                "{code}"
            );
        }
    }

    #[test]
    fn a_failure_inside_tells_nothing_of_itself() {
        let problem = Problem::internal("column family leaves: checksum mismatch");
        let document = problem.document();
        assert_eq!((document.status, document.code.as_str()), (500, "internal"));
        assert_eq!(document.detail, Code::Internal.sentence());
        let response = problem.into_response();
        let text = &response.extensions().get::<InternalText>().unwrap().0;
        assert!(text.contains("checksum mismatch"), "{text}");
    }

    #[test]
    fn a_refusal_tells_its_numbers() {
        let document = Problem::from(Code::SequenceGap.because("seq 5, not 3")).document();
        assert_eq!(
            document.detail,
            "The sequence number skips some: seq 5, not 3"
        );
        assert_eq!(
            (document.status, document.title.as_str()),
            (409, "Conflict")
        );
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 4);
    }

    #[test]
    fn who_is_to_come_again_is_told_why() {
        let document = Problem::from(Code::Overloaded.because("the queue is full")).document();
        assert_eq!(
            document.detail,
            "The service cannot take this now; try again later: the queue is full"
        );
    }

    #[test]
    fn who_is_to_come_again_is_told_when() {
        for code in [Code::Overloaded, Code::Stopping] {
            let response = Problem::from(code.because("")).into_response();
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        }
        let response = Problem::from(Code::DiskFull.because("")).into_response();
        assert_eq!(response.status(), StatusCode::INSUFFICIENT_STORAGE);
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }
}
