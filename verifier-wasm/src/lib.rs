//! The verifier for browsers: the functions of [`ledger::verify`] behind a JavaScript boundary, and nothing else.

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::fingerprint::Fingerprint;
use ledger::json::Value;
use ledger::key::PublicKey;
use ledger::verify::{Paths, TraceStep, Trust, entry_of_line, entry_of_proof, path_from};
use tlog::{Hash, LeafIndex, TreeSize};
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
    /// Throws if the trust cannot be read, or the time is none.
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

/// Verifies a file as it comes, gzipped or not: [`Verifier`] with the unwrapping that the command does, the digest of the
/// file, and the sentences that people are told.
#[wasm_bindgen]
pub struct Intake {
    stage: IntakeStage,
}

enum IntakeStage {
    Reading(Box<(evidence::Intake, Trust)>),
    Finished {
        digest: String,
        told: String,
        paths: Option<Paths>,
    },
    Over,
}

#[wasm_bindgen]
impl Intake {
    /// Starts to verify.
    ///
    /// # Errors
    ///
    /// Throws if the trust cannot be read, or the time is none.
    #[wasm_bindgen(constructor)]
    pub fn new(trust: &str, now_ms: Option<f64>) -> Result<Self, JsError> {
        let trust = Trust::parse(trust.as_bytes())?;
        let now_ms = now_ms.map(whole).transpose()?;
        let verifier = ledger::verify::Verifier::keeping_paths(trust.clone()).at(now_ms);
        Ok(Self {
            stage: IntakeStage::Reading(Box::new((evidence::Intake::new(verifier), trust))),
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
    /// Throws if it was called before.
    pub fn finish(&mut self) -> Result<IntakeEnd, JsError> {
        let stage = std::mem::replace(&mut self.stage, IntakeStage::Over);
        let IntakeStage::Reading(reading) = stage else {
            self.stage = stage;
            return Err(JsError::new("the evidence has ended"));
        };
        let (intake, trust) = *reading;
        let (digest, mut plain) = (intake.digest().to_string(), Vec::new());
        let (report, paths) = intake.finish(&mut |bytes| plain.extend_from_slice(bytes));
        self.stage = IntakeStage::Finished {
            digest,
            told: report.told_json(&trust),
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

/// The trust file of the log that began with the charter in this line of a pack, if the charter has this fingerprint.
///
/// # Errors
///
/// Throws if the line holds no first charter, or its fingerprint is another.
#[wasm_bindgen(js_name = trustOfCharter)]
pub fn trust_of_charter(line: &[u8], fingerprint: &str) -> Result<String, JsError> {
    Ok(Trust::pinned(line, fingerprint)?.to_json())
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

/// Checks that this is a trust file.
///
/// # Errors
///
/// Throws what is wrong with it.
#[wasm_bindgen(js_name = checkTrust)]
pub fn check_trust(trust: &str) -> Result<(), JsError> {
    Ok(Trust::parse(trust.as_bytes()).map(drop)?)
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

fn whole(number: f64) -> Result<u64, JsError> {
    if number.fract() != 0.0 || !(0.0..=MAX_SAFE_INTEGER).contains(&number) {
        return Err(JsError::new("it is not a whole number from 0 to 2^53 - 1"));
    }
    // It is whole and in range, so the cast changes nothing.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(number as u64)
}
