//! Proof files and state proofs alone: the small module.

use ledger::digest::Digest;
use ledger::verify::{Paths, ProofVerifier, Report, Trust};
use sha2::{Digest as _, Sha256};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// Verifies a proof file or a state proof against the text of a trust file, and gives the report as JSON.
///
/// # Errors
///
/// Throws if the trust cannot be read, or the evidence is a pack or gzipped.
#[wasm_bindgen]
pub fn verify(evidence: &[u8], trust: &str) -> Result<String, JsError> {
    let mut reading = Reading::new(Trust::parse(trust.as_bytes())?, None);
    reading.verifier.push(evidence);
    Ok(reading.finish(&mut |_| {})?.0.to_json())
}

/// A file that is being read.
pub(crate) struct Reading {
    verifier: ProofVerifier,
    hasher: Sha256,
}

impl Reading {
    /// Nothing that this module verifies has an age that could be judged.
    pub(crate) fn new(trust: Trust, _now_ms: Option<u64>) -> Self {
        Self {
            verifier: ProofVerifier::new(trust),
            hasher: Sha256::new(),
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8], hear: &mut dyn FnMut(&[u8])) {
        self.hasher.update(bytes);
        self.verifier.push(bytes);
        hear(bytes);
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::from_bytes(self.hasher.clone().finalize().into())
    }

    pub(crate) fn finish(
        self,
        _hear: &mut dyn FnMut(&[u8]),
    ) -> Result<(Report, Option<Paths>), JsError> {
        if self.verifier.needs_more() {
            return Err(JsError::new(
                "a pack, or what is gzipped, needs the module that verifies everything",
            ));
        }
        Ok((self.verifier.finish(), None))
    }
}
