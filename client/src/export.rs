//! Packs, fetched: each line is read, checked and written before the next one comes.
//!
//! What is written has been shown to be what the log holds: the log signed the checkpoint, and the leaves and the proof
//! lead to its root. Whether the records in it keep the rules is not asked: a pack that shows a breach is worth keeping.

mod disclosing;

use std::io::{Read as _, Write};

use ledger::codes::Refusal;
use ledger::pack::{Disclosure, Earlier, Header, Line, Reader};
use tlog::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};
use tlog::{ProofError, TreeSize, consistency, leaf_hash, subset};

use crate::http::{Service, Wanted};
use crate::identity::LogIdentity;
use crate::transport::ServiceError;
use disclosing::Disclosing;

/// How much is read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the caller puts into a pack beside what the service sends.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// A checkpoint that the caller has from before: the pack shows that the log has only grown since.
    pub earlier: Option<SignedCheckpoint>,
    /// Values that open commitments. Those of records that are not in the pack are not told.
    pub disclosures: Vec<Disclosure>,
}

/// A pack that was written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// What it is of.
    pub header: Header,
    /// How many of the values are told in it.
    pub disclosed: u64,
}

/// Why there is no pack.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The service did not give it.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The answer broke off.
    #[error("the pack broke off")]
    BrokenOff(#[source] std::io::Error),
    /// What the service gave is not a pack.
    #[error("what the service sent is not a whole pack: {0}")]
    NoPack(Refusal),
    /// The log did not sign its checkpoint.
    #[error("the checkpoint of the pack is not the log's")]
    Checkpoint(#[from] CheckpointError),
    /// The log did not sign the earlier checkpoint.
    #[error("the earlier checkpoint is not the log's")]
    Earlier(#[source] CheckpointError),
    /// The leaves are not those of the log.
    #[error("the leaves of the pack do not lead to the log's checkpoint")]
    Inclusion(#[source] ProofError),
    /// The log is not the one of the earlier checkpoint, grown.
    #[error("the log does not extend the earlier checkpoint")]
    Inconsistent(#[source] ProofError),
    /// The earlier checkpoint is of a larger log.
    #[error("the earlier checkpoint covers {earlier} entries, the pack only {size}")]
    NotEarlier {
        /// The size of the earlier checkpoint.
        earlier: TreeSize,
        /// The size that the pack is of.
        size: TreeSize,
    },
    /// A value is not the one that a record of the pack commits to.
    #[error("a value to disclose matches no commitment: {0}")]
    Disclosure(Refusal),
    /// It could not be written.
    #[error("the pack could not be written")]
    Write(#[source] std::io::Error),
}

/// Fetches a pack into `out`, and tells `progress` after each piece how many leaves of how many have come.
///
/// # Errors
///
/// [`ExportError`]: what has been written by then is not to be kept.
pub fn export(
    service: &Service,
    log: &LogIdentity,
    wanted: &Wanted,
    additions: Additions,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Exported, ExportError> {
    let mut answer = service.pack(wanted)?;
    let mut writer = PackWriter::new(service, log, additions, out);
    let (mut reader, mut chunk) = (Reader::default(), vec![0; CHUNK_BYTES]);
    loop {
        let length = answer.read(&mut chunk).map_err(ExportError::BrokenOff)?;
        if length == 0 {
            break;
        }
        let mut taken = Ok(());
        let read = reader.push(&chunk[..length], |line| {
            if taken.is_ok() {
                taken = writer.take(line);
            }
        });
        // What was wrong first is what is wrong.
        taken?;
        read.map_err(ExportError::NoPack)?;
        writer.tell(progress);
    }
    reader.finish().map_err(ExportError::NoPack)?;
    writer.finish()
}

/// Writes the lines of a pack, with what is added to them.
struct PackWriter<'a> {
    service: &'a Service,
    log: &'a LogIdentity,
    earlier: Option<SignedCheckpoint>,
    disclosing: Disclosing,
    out: &'a mut dyn Write,
    header: Option<Header>,
    checkpoint: Option<VerifiedCheckpoint>,
    leaves: Option<subset::Verifier>,
    done: u64,
}

impl<'a> PackWriter<'a> {
    fn new(
        service: &'a Service,
        log: &'a LogIdentity,
        additions: Additions,
        out: &'a mut dyn Write,
    ) -> Self {
        Self {
            service,
            log,
            earlier: additions.earlier,
            disclosing: Disclosing::new(additions.disclosures),
            out,
            header: None,
            checkpoint: None,
            leaves: None,
            done: 0,
        }
    }

    fn take(&mut self, line: Line) -> Result<(), ExportError> {
        match &line {
            Line::Header(header) => self.header = Some(header.clone()),
            Line::Checkpoint(signed) => {
                self.write(&line)?;
                self.checkpoint = Some(self.log.policy.verify(signed)?);
                return self.write_earlier();
            }
            // What the caller discloses is in front of these.
            Line::State(_) => self.begin_behind()?,
            Line::StateEntry(_) => {}
            Line::Proof(proof) => {
                self.begin_behind()?;
                let size = self.checkpoint.as_ref().map(VerifiedCheckpoint::size);
                self.leaves = size.map(|size| subset::Verifier::new(size, proof.clone()));
            }
            Line::Leaf(entry) => {
                self.done += 1;
                let hash = leaf_hash(entry.leaf.as_bytes());
                let seen = self.disclosing.see(entry.leaf.as_bytes());
                seen.map_err(ExportError::Disclosure)?;
                if let Some(leaves) = &mut self.leaves {
                    leaves
                        .push(entry.index, hash)
                        .map_err(ExportError::Inclusion)?;
                }
            }
            // Those of the caller take their place.
            Line::Earlier(_) | Line::Disclosures(_) => return Ok(()),
        }
        self.write(&line)
    }

    fn begin_behind(&mut self) -> Result<(), ExportError> {
        match self.disclosing.behind() {
            Some(_) => Ok(()),
            None => self.disclosing.begin().map_err(ExportError::Write),
        }
    }

    fn write_earlier(&mut self) -> Result<(), ExportError> {
        let (Some(earlier), Some(newer)) = (self.earlier.take(), &self.checkpoint) else {
            return Ok(());
        };
        let older = self.log.policy.verify(&earlier);
        let older = older.map_err(ExportError::Earlier)?;
        let (old, size) = (older.size(), newer.size());
        if old > size {
            return Err(ExportError::NotEarlier { earlier: old, size });
        }
        let hashes = self.service.consistency_hashes(old, size)?;
        consistency::verify(&hashes, old, older.root(), size, newer.root())
            .map_err(ExportError::Inconsistent)?;
        self.write(&Line::Earlier(Box::new(Earlier {
            checkpoint: earlier,
            consistency: hashes,
        })))
    }

    fn write(&mut self, line: &Line) -> Result<(), ExportError> {
        let out = self.disclosing.behind().unwrap_or(&mut *self.out);
        write!(out, "{line}").map_err(ExportError::Write)
    }

    fn tell(&self, progress: &mut dyn FnMut(u64, u64)) {
        if let Some(header) = &self.header {
            progress(self.done, header.count);
        }
    }

    /// The reader has seen all the lines that a pack has, so there is a header, a checkpoint and a proof.
    fn finish(mut self) -> Result<Exported, ExportError> {
        let disclosed = self.disclosing.finish(self.out);
        let disclosed = disclosed.map_err(ExportError::Write)?;
        let parts = self.header.zip(self.checkpoint).zip(self.leaves);
        let ((header, checkpoint), leaves) = parts.expect("the lines of a whole pack");
        let (size, expected) = (checkpoint.size(), *checkpoint.root());
        let computed = leaves.finish().map_err(ExportError::Inclusion)?;
        if computed != expected {
            return Err(ExportError::Inclusion(ProofError::RootMismatch {
                size,
                computed,
                expected,
            }));
        }
        Ok(Exported { header, disclosed })
    }
}
