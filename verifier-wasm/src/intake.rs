//! A file as it comes, for the page. What a module can read is its own to say: everything, or proof files.

use ledger::verify::{Paths, Trust};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

#[cfg(feature = "packs")]
use crate::packs::Reading;
#[cfg(not(feature = "packs"))]
use crate::proofs::Reading;
use crate::{path_of, whole};

/// Verifies a file as it comes: the report, the digest of the file, and the sentences that people are told.
#[wasm_bindgen]
pub struct Intake {
    stage: IntakeStage,
}

enum IntakeStage {
    Reading(Box<(Reading, Trust)>),
    Finished {
        digest: String,
        told: String,
        paths: Option<Paths>,
    },
    Over,
}

#[cfg(feature = "packs")]
impl Intake {
    /// Who verifies, as long as the file has not ended.
    pub(crate) fn crew(&mut self) -> Option<&mut evidence::Helped> {
        match &mut self.stage {
            IntakeStage::Reading(reading) => Some(reading.0.crew()),
            IntakeStage::Finished { .. } | IntakeStage::Over => None,
        }
    }
}

#[wasm_bindgen]
impl Intake {
    /// Starts to verify.
    ///
    /// # Errors
    ///
    /// Throws if the trust cannot be read, or the time is not valid.
    #[wasm_bindgen(constructor)]
    pub fn new(trust: &str, now_ms: Option<f64>) -> Result<Self, JsError> {
        let trust = Trust::parse(trust.as_bytes())?;
        let now_ms = now_ms.map(whole).transpose()?;
        let reading = Reading::new(trust.clone(), now_ms);
        Ok(Self {
            stage: IntakeStage::Reading(Box::new((reading, trust))),
        })
    }

    /// Takes the next bytes of the file, and gives those that they hold: the same, or what was gzipped.
    ///
    /// # Errors
    ///
    /// Throws after [`finish`](Self::finish).
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, JsError> {
        let IntakeStage::Reading(reading) = &mut self.stage else {
            return Err(JsError::new("the evidence has ended"));
        };
        let mut plain = Vec::new();
        reading
            .0
            .push(chunk, &mut |bytes| plain.extend_from_slice(bytes));
        Ok(plain)
    }

    /// Ends the file: gives the bytes that were still held back, after which there is a report.
    ///
    /// # Errors
    ///
    /// Throws if it was called before, or this module cannot verify what the file holds.
    pub fn finish(&mut self) -> Result<IntakeEnd, JsError> {
        let stage = std::mem::replace(&mut self.stage, IntakeStage::Over);
        let IntakeStage::Reading(reading) = stage else {
            self.stage = stage;
            return Err(JsError::new("the evidence has ended"));
        };
        let (reading, trust) = *reading;
        let (digest, mut plain) = (reading.digest().to_string(), Vec::new());
        let (report, paths) = reading.finish(&mut |bytes| plain.extend_from_slice(bytes))?;
        self.stage = IntakeStage::Finished {
            digest,
            told: report.explanation_json(&trust),
            paths,
        };
        Ok(IntakeEnd {
            plain,
            report: report.to_json(),
        })
    }

    /// What the report says, in sentences, as JSON.
    ///
    /// # Errors
    ///
    /// Throws before [`finish`](Self::finish).
    pub fn told(&self) -> Result<String, JsError> {
        match &self.stage {
            IntakeStage::Finished { told, .. } => Ok(told.clone()),
            _ => Err(JsError::new("the evidence has not ended")),
        }
    }

    /// The digest of the file.
    ///
    /// # Errors
    ///
    /// Throws before [`finish`](Self::finish).
    pub fn digest(&self) -> Result<String, JsError> {
        match &self.stage {
            IntakeStage::Finished { digest, .. } => Ok(digest.clone()),
            _ => Err(JsError::new("the evidence has not ended")),
        }
    }

    /// The steps from an entry of a pack to the root, as a report's `trace`.
    ///
    /// # Errors
    ///
    /// Throws if the entry is not in the pack, or the pack not shown to be in the tree.
    pub fn path(&self, index: f64) -> Result<String, JsError> {
        match &self.stage {
            IntakeStage::Finished { paths, .. } => path_of(paths.as_ref(), index),
            _ => Err(JsError::new("the evidence has not ended")),
        }
    }
}

/// What comes out at the end of a file.
#[wasm_bindgen]
pub struct IntakeEnd {
    plain: Vec<u8>,
    report: String,
}

#[wasm_bindgen]
impl IntakeEnd {
    /// The last bytes that the file held.
    pub fn plain(&self) -> Vec<u8> {
        self.plain.clone()
    }

    /// The report as JSON.
    pub fn report(&self) -> String {
        self.report.clone()
    }
}
