//! Evidence as it comes: a file, plain or gzipped, in chunks of any length.
//!
//! gzip is transport, so the verifier never sees it. The command and the page unwrap by this code alone: what a browser or
//! a library does with a second member, with zeros behind the last or with a file that was cut, they differ about, and a
//! report is the same bytes wherever it is made. So what comes out depends on the bytes that go in, and on nothing else: not
//! on how they were cut into chunks.
//!
//! What is wrong with the wrapping is wrong with the evidence: `pack-malformed` for bytes that do not unwrap, `too-large`
//! for those that unwrap without end.

mod crc32;
mod crew;
mod gunzip;
mod header;

#[cfg(not(target_family = "wasm"))]
pub use crew::Threads;
pub use crew::{Helper, Helpers, Read, ReadAhead};
use gunzip::Gunzip;
pub use gunzip::{ALWAYS_UNWRAPPED_BYTES, GunzipError, MAX_GROWTH};
use ledger::codes::{Code, Refusal};
use ledger::digest::Digest;
use ledger::verify::{Paths, Report, Verifier};
use sha2::{Digest as _, Sha256};

/// A verifier and the threads that read ahead for it.
#[cfg(not(target_family = "wasm"))]
pub type Crew = crew::Crew<Threads>;

/// A verifier and the helpers that read ahead for it and share no memory with it.
pub type Helped = crew::Crew<Helpers>;

/// What gzip begins with (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Unwraps evidence, if it is gzipped; its first two bytes say whether it is.
#[derive(Debug, Default)]
pub struct Unwrapper(Stage);

#[derive(Debug)]
enum Stage {
    /// Too little to tell.
    Start(Vec<u8>),
    Plain,
    Gzip(Box<Gunzip>),
    Refused,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Start(Vec::new())
    }
}

impl Unwrapper {
    /// Takes the next bytes, and gives what they hold.
    ///
    /// # Errors
    ///
    /// `pack-malformed` or `too-large`, once: nothing behind that is looked at.
    pub fn push(&mut self, bytes: &[u8], give: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        let Stage::Start(held) = &mut self.0 else {
            return self.pass(bytes, give);
        };
        held.extend_from_slice(bytes);
        if held.len() < GZIP_MAGIC.len() {
            return Ok(());
        }
        let held = std::mem::take(held);
        self.0 = match held.starts_with(&GZIP_MAGIC) {
            true => Stage::Gzip(Box::default()),
            false => Stage::Plain,
        };
        self.pass(&held, give)
    }

    /// Ends the evidence.
    ///
    /// # Errors
    ///
    /// As [`Unwrapper::push`].
    pub fn finish(&mut self, give: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        match std::mem::replace(&mut self.0, Stage::Refused) {
            Stage::Start(held) => give(&held),
            Stage::Gzip(mut gzip) => gzip.finish(give).map_err(refusal)?,
            Stage::Plain | Stage::Refused => {}
        }
        Ok(())
    }

    fn pass(&mut self, bytes: &[u8], give: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        match &mut self.0 {
            Stage::Gzip(gzip) => {
                let taken = gzip.push(bytes, give).map_err(refusal);
                if taken.is_err() {
                    self.0 = Stage::Refused;
                }
                taken
            }
            Stage::Refused => Ok(()),
            Stage::Start(_) | Stage::Plain => {
                give(bytes);
                Ok(())
            }
        }
    }
}

fn refusal(error: GunzipError) -> Refusal {
    let code = match error {
        GunzipError::Grows { .. } => Code::TooLarge,
        _ => Code::PackMalformed,
    };
    code.because(format!("gzip: {error}"))
}

/// Whoever verifies what is unwrapped: a [`Verifier`], or one for which others read ahead.
pub trait Verifying {
    /// Takes the next bytes.
    fn push(&mut self, bytes: &[u8]);

    /// Ends the evidence, as [`Verifier::refuse`].
    fn refuse(&mut self, refusal: Refusal);

    /// Whether the report is already known to be the same whatever bytes follow.
    fn is_settled(&self) -> bool;

    /// Judges all that was pushed: then it is known, if it is so.
    fn catch_up(&mut self) {}

    /// Ends the evidence: the report, and the paths of a pack if they were kept.
    fn finish_with_paths(self) -> (Report, Option<Paths>);
}

impl Verifying for Verifier {
    fn push(&mut self, bytes: &[u8]) {
        Self::push(self, bytes);
    }

    fn refuse(&mut self, refusal: Refusal) {
        Self::refuse(self, refusal);
    }

    fn is_settled(&self) -> bool {
        Self::is_settled(self)
    }

    fn finish_with_paths(self) -> (Report, Option<Paths>) {
        Self::finish_with_paths(self)
    }
}

/// A verification of evidence as it comes.
#[derive(Debug)]
pub struct Intake<V = Verifier> {
    unwrapper: Unwrapper,
    verifier: V,
    hasher: Sha256,
}

impl<V: Verifying> Intake<V> {
    /// Starts.
    #[must_use]
    pub fn new(verifier: V) -> Self {
        Self {
            unwrapper: Unwrapper::default(),
            verifier,
            hasher: Sha256::new(),
        }
    }

    /// Takes the next bytes, and tells `hear` what they hold. Gives whether the report is the same whatever follows: then
    /// more bytes only count for the [digest](Intake::digest).
    pub fn push(&mut self, bytes: &[u8], hear: &mut dyn FnMut(&[u8])) -> bool {
        self.hasher.update(bytes);
        if self.verifier.is_settled() {
            return true;
        }
        let verifier = &mut self.verifier;
        let taken = self.unwrapper.push(bytes, &mut |plain| {
            hear(plain);
            verifier.push(plain);
        });
        if let Err(refusal) = taken {
            verifier.refuse(refusal);
        }
        verifier.is_settled()
    }

    /// The digest of all bytes so far, as they came: that of the file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(self.hasher.clone().finalize().into())
    }

    /// Whoever verifies.
    pub const fn verifier(&mut self) -> &mut V {
        &mut self.verifier
    }

    /// Judges all that was pushed, and gives whether the report is the same whatever follows.
    pub fn catch_up(&mut self) -> bool {
        self.verifier.catch_up();
        self.verifier.is_settled()
    }

    /// Ends the evidence: the report, and the paths of a pack if they were kept.
    pub fn finish(mut self, hear: &mut dyn FnMut(&[u8])) -> (Report, Option<Paths>) {
        let verifier = &mut self.verifier;
        let ended = self.unwrapper.finish(&mut |plain| {
            hear(plain);
            verifier.push(plain);
        });
        if let Err(refusal) = ended {
            verifier.refuse(refusal);
        }
        self.verifier.finish_with_paths()
    }
}

#[cfg(test)]
mod tests;
