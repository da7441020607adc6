//! The verifier for browsers: the functions of [`ledger::verify`] behind a JavaScript boundary, and nothing else.

use ledger::verify::Trust;
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// The largest integer that a JavaScript number holds exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Verifies evidence against the text of a trust file, and gives the report as JSON.
///
/// `now_ms` is the time to judge freshness by, in milliseconds since the epoch, or `null`.
///
/// # Errors
///
/// Throws if the trust cannot be read, or the time is none. Whatever is wrong with the evidence is in the report.
#[wasm_bindgen]
pub fn verify(evidence: &[u8], trust: &str, now_ms: Option<f64>) -> Result<String, JsError> {
    let trust = Trust::parse(trust.as_bytes())?;
    let now_ms = now_ms.map(milliseconds).transpose()?;
    Ok(ledger::verify::verify(evidence, &trust, now_ms).to_json())
}

fn milliseconds(now_ms: f64) -> Result<u64, JsError> {
    if now_ms.fract() != 0.0 || !(0.0..=MAX_SAFE_INTEGER).contains(&now_ms) {
        return Err(JsError::new(
            "now_ms is not a whole number of milliseconds since the epoch",
        ));
    }
    // It is whole and in range, so the cast changes nothing.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(now_ms as u64)
}
