//! The verifier: what a piece of evidence shows to somebody who trusts one log and nobody else.
//!
//! Evidence is hostile bytes; the [`Trust`] says which log, by its keys and its charter; the answer is a
//! [`Report`]. Verifying touches neither network nor clock, so the same evidence, trust and time give the same
//! report, byte for byte, on a command line and in a browser.
//!
//! A *proof file* shows that one record was logged. It never shows that the record was allowed: who may do what
//! follows from the records before it, and those are not in the file. So its report has no checks of authority
//! and after.

mod draft;
mod proof;
mod report;
mod trust;

pub use report::{AsOf, Check, CheckId, Finding, Report, Status, Summary, TraceStep, Verdict};
pub use trust::{MAX_TRUST_BYTES, Trust};

/// The longest evidence that is read: a proof file, so far.
pub const MAX_EVIDENCE_BYTES: usize = tlog::proof::MAX_PROOF_FILE_BYTES;

/// Verifies a piece of evidence.
///
/// `now_ms`, milliseconds since the epoch, is what freshness is judged by. A proof file makes no claim that time
/// could spoil, so its report is the same at all times.
///
/// There is no error: evidence that cannot be read is a finding like any other.
pub fn verify(evidence: &[u8], trust: &Trust, _now_ms: Option<u64>) -> Report {
    proof::verify(evidence, trust)
}
