//! Problem documents (RFC 9457), as they come.

use reqwest::StatusCode;

use crate::transport::Problem;

/// Reads what a body says of a refusal. If it says nothing, the phrase of the status has to do.
pub(super) fn read(status: u16, retry_after_s: Option<u64>, body: &[u8]) -> Problem {
    let document: wire::Problem = serde_json::from_slice(body).unwrap_or_default();
    let phrase = || {
        let known = StatusCode::from_u16(status).ok();
        let phrase = known.and_then(|status| status.canonical_reason());
        phrase.unwrap_or("an answer that is none").to_owned()
    };
    Problem {
        status,
        code: document.code.parse().ok(),
        detail: match document.detail.is_empty() {
            true => phrase(),
            false => document.detail,
        },
        next_seq: document.next_seq,
        head: document.head,
        retry_after_s,
    }
}
