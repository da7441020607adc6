//! The verifier for browsers: the functions of [`ledger::verify`] behind a JavaScript boundary, and nothing else.
//!
//! A page loads it as two modules. One verifies proof files, is built without the rules and for its size: it is all that
//! somebody loads who was sent a proof. The other, with the feature `packs`, verifies everything and is built for speed.
//! Both have the class [`Intake`] and the functions below.

#[cfg(feature = "packs")]
mod helpers;
mod intake;
#[cfg(feature = "packs")]
mod packs;
#[cfg(not(feature = "packs"))]
mod proofs;
#[cfg(feature = "packs")]
mod stories;

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::fingerprint::Fingerprint;
use ledger::json::Value;
use ledger::key::PublicKey;
use ledger::verify::{Paths, TraceStep, Trust, entry_of_proof, path_from};
use tlog::{Hash, LeafIndex, TreeSize};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

#[cfg(feature = "packs")]
pub use helpers::{Found, Helper, Piece};
pub use intake::{Intake, IntakeEnd};
#[cfg(feature = "packs")]
pub use packs::{Verifier, entry_of_line_json, trust_of_charter, verify};
#[cfg(not(feature = "packs"))]
pub use proofs::verify;
#[cfg(feature = "packs")]
pub use stories::Stories;

/// The largest integer that a JavaScript number holds exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Checks that this is a trust file.
///
/// # Errors
///
/// Throws what is wrong with it.
#[wasm_bindgen(js_name = checkTrust)]
pub fn check_trust(trust: &str) -> Result<(), JsError> {
    Ok(Trust::parse(trust.as_bytes()).map(drop)?)
}

/// The fingerprint of a charter, by the hash of its record, as people compare it: eight groups of four digits.
///
/// # Errors
///
/// Throws if it is not such a hash.
#[wasm_bindgen(js_name = fingerprintOfCharter)]
pub fn fingerprint_of_charter(hash: &str) -> Result<String, JsError> {
    let hash: RecordHash = hash.parse()?;
    Ok(Fingerprint::of_charter(&hash).to_string())
}

/// The fingerprint of a key that signs records, by its 32 bytes in base64.
///
/// # Errors
///
/// Throws if it is not such a key.
#[wasm_bindgen(js_name = fingerprintOfKey)]
pub fn fingerprint_of_key(key: &str) -> Result<String, JsError> {
    let key: PublicKey = key.parse()?;
    Ok(Fingerprint::of_key(&key).to_string())
}

/// The steps that hashes lead to from an entry, as a report's `trace`, whatever root they come to. `hashes` are in base64
/// with spaces between them, the entry's own sibling first.
///
/// # Errors
///
/// Throws if they are not as many as the place of the entry demands.
#[wasm_bindgen(js_name = pathFrom)]
pub fn path_from_json(leaf: &[u8], index: f64, size: f64, hashes: &str) -> Result<String, JsError> {
    let (index, size) = (LeafIndex::new(whole(index)?), TreeSize::new(whole(size)?));
    let hashes: Result<Vec<Hash>, _> = hashes.split_whitespace().map(str::parse).collect();
    Ok(told(path_from(leaf, index, size, &hashes?)?))
}

/// The digest of bytes, such as those of a trust file.
#[wasm_bindgen(js_name = digestOf)]
pub fn digest_of(bytes: &[u8]) -> String {
    ledger::digest::Digest::of(&[bytes]).to_string()
}

/// Decodes the entry in a proof file, for display. Nothing about it is verified.
///
/// # Errors
///
/// Throws what is wrong with it.
#[wasm_bindgen(js_name = entryOfProof)]
pub fn entry_of_proof_json(file: &[u8]) -> Result<String, JsError> {
    Ok(entry_of_proof(file)?.to_json())
}

/// What a code means, in a sentence; nothing for what is not a code.
#[wasm_bindgen(js_name = codeSentence)]
pub fn code_sentence(code: &str) -> Option<String> {
    let code: Result<Code, Refusal> = code.parse();
    code.ok().map(|code| code.sentence().to_owned())
}

fn path_of(paths: Option<&Paths>, index: f64) -> Result<String, JsError> {
    let index = LeafIndex::new(whole(index)?);
    let Some(paths) = paths else {
        return Err(JsError::new(
            "there is no checkpoint that the log signed, so no path leads anywhere",
        ));
    };
    Ok(told(paths.of(index)?))
}

fn told(steps: Vec<TraceStep>) -> String {
    let steps: Value = steps.into_iter().map(TraceStep::to_value).collect();
    steps.to_json()
}

fn whole(number: f64) -> Result<u64, JsError> {
    if number.fract() != 0.0 || !(0.0..=MAX_SAFE_INTEGER).contains(&number) {
        return Err(JsError::new("it is not a whole number from 0 to 2^53 - 1"));
    }
    // It is whole and in range, so the cast changes nothing.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(number as u64)
}
