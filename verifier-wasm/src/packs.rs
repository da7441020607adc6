//! Packs, with the rules that they are replayed by: the module that verifies everything.

use evidence::Helped;
use ledger::digest::Digest;
use ledger::verify::{Paths, Report, Trust, entry_of_line};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use crate::{path_of, whole};

/// What a file comes to.
pub(crate) type End = (Report, Option<Paths>);

/// A file that is being read, plain or gzipped.
pub(crate) struct Reading(evidence::Intake<Helped>);

impl Reading {
    pub(crate) fn new(trust: Trust, now_ms: Option<u64>) -> Self {
        let verifier = ledger::verify::Verifier::keeping_paths(trust).at(now_ms);
        Self(evidence::Intake::new(Helped::with_helpers(verifier)))
    }

    pub(crate) const fn crew(&mut self) -> &mut Helped {
        self.0.verifier()
    }

    pub(crate) fn push(&mut self, bytes: &[u8], hear: &mut dyn FnMut(&[u8])) {
        self.0.push(bytes, hear);
    }

    pub(crate) fn digest(&self) -> Digest {
        self.0.digest()
    }

    pub(crate) fn finish(self, hear: &mut dyn FnMut(&[u8])) -> Result<End, JsError> {
        Ok(self.0.finish(hear))
    }
}

/// Verifies evidence against the text of a trust file, and gives the report as JSON.
///
/// `now_ms` is the time to judge freshness by, in milliseconds since the epoch, or `null`.
///
/// # Errors
///
/// Throws if the trust cannot be read, or the time is not valid. Whatever is wrong with the evidence is in the report.
#[wasm_bindgen]
pub fn verify(evidence: &[u8], trust: &str, now_ms: Option<f64>) -> Result<String, JsError> {
    let trust = Trust::parse(trust.as_bytes())?;
    let now_ms = now_ms.map(whole).transpose()?;
    Ok(ledger::verify::verify(evidence, &trust, now_ms).to_json())
}

/// Verifies evidence that comes in chunks, as [`verify`] does.
#[wasm_bindgen]
pub struct Verifier {
    stage: Stage,
    progress: f64,
}

enum Stage {
    Reading(Box<ledger::verify::Verifier>),
    Finished(Option<Paths>),
}

#[wasm_bindgen]
impl Verifier {
    /// Starts to verify.
    ///
    /// # Errors
    ///
    /// Throws if the trust cannot be read, or the time is not valid.
    #[wasm_bindgen(constructor)]
    pub fn new(trust: &str, now_ms: Option<f64>) -> Result<Self, JsError> {
        let trust = Trust::parse(trust.as_bytes())?;
        let now_ms = now_ms.map(whole).transpose()?;
        let verifier = ledger::verify::Verifier::keeping_paths(trust).at(now_ms);
        Ok(Self {
            stage: Stage::Reading(Box::new(verifier)),
            progress: 0.0,
        })
    }

    /// Takes the next bytes. Gives whether the report is the same whatever bytes follow: then none need to.
    ///
    /// # Errors
    ///
    /// Throws after [`finish`](Self::finish).
    pub fn push(&mut self, chunk: &[u8]) -> Result<bool, JsError> {
        let Stage::Reading(verifier) = &mut self.stage else {
            return Err(JsError::new("the evidence has ended"));
        };
        verifier.push(chunk);
        // A count of bytes is far below what a double holds exactly.
        #[expect(clippy::cast_precision_loss)]
        let bytes = chunk.len() as f64;
        self.progress += bytes;
        Ok(verifier.is_settled())
    }

    /// How many bytes of evidence were verified so far.
    pub fn progress(&self) -> f64 {
        self.progress
    }

    /// Ends the evidence, and gives the report as JSON.
    ///
    /// # Errors
    ///
    /// Throws if it was called before.
    pub fn finish(&mut self) -> Result<String, JsError> {
        match std::mem::replace(&mut self.stage, Stage::Finished(None)) {
            Stage::Reading(verifier) => {
                let (report, paths) = verifier.finish_with_paths();
                self.stage = Stage::Finished(paths);
                Ok(report.to_json())
            }
            finished @ Stage::Finished(_) => {
                self.stage = finished;
                Err(JsError::new("the evidence has ended"))
            }
        }
    }

    /// The steps from an entry of a pack to the root, as a report's `trace`.
    ///
    /// # Errors
    ///
    /// Throws if the entry is not in the pack, or the pack not shown to be in the tree.
    pub fn path(&self, index: f64) -> Result<String, JsError> {
        match &self.stage {
            Stage::Finished(paths) => path_of(paths.as_ref(), index),
            Stage::Reading(_) => Err(JsError::new("the evidence has not ended")),
        }
    }
}

/// The trust file of the log that began with the charter in this line of a pack, if the charter has this fingerprint.
///
/// # Errors
///
/// Throws if the line holds no first charter, or its fingerprint is another.
#[wasm_bindgen(js_name = trustOfCharter)]
pub fn trust_of_charter(line: &[u8], fingerprint: &str) -> Result<String, JsError> {
    Ok(Trust::pinned(line, fingerprint)?.to_json())
}

/// Decodes the entry in a line of a pack, for display. Nothing about it is verified.
///
/// # Errors
///
/// Throws what is wrong with it.
#[wasm_bindgen(js_name = entryOfLine)]
pub fn entry_of_line_json(line: &[u8]) -> Result<String, JsError> {
    Ok(entry_of_line(line)?.to_json())
}
