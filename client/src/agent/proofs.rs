//! The proofs of the charter and of the lease, which a process needs at each start. They are kept beside the journal and
//! verified whenever they are read, so that nobody has to be asked for them again.

use std::path::{Path, PathBuf};

use ledger::digest::RecordHash;
use tlog::proof::{MAX_PROOF_FILE_BYTES, ProofFile};

use super::{Agent, AgentError};
use crate::entry::Entry;
use crate::identity::LogIdentity;
use crate::submission::{SubmitError, find_proof};
use crate::transport::Transport;

/// What a proof is kept of: the newest of its kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    Charter,
    Lease,
}

impl Kept {
    fn beside(self, journal: &Path) -> PathBuf {
        journal.join(match self {
            Self::Charter => "charter.tlog-proof",
            Self::Lease => "lease.tlog-proof",
        })
    }
}

impl<T: Transport> Agent<T> {
    /// Finds a record, by the proof that is kept of it or else in the log.
    pub(super) fn find_kept(
        &mut self,
        record: RecordHash,
        kept: Kept,
    ) -> Result<Entry, AgentError> {
        let path = kept.beside(self.journal.directory());
        if let Some(entry) = read(&path, record, &self.log) {
            return Ok(entry);
        }
        let (entry, proof) = self.find_with_proof(record)?;
        // One that cannot be kept is asked for again.
        let _ = host::durable::replace(&path, proof.as_bytes(), host::durable::Readers::Owner);
        Ok(entry)
    }

    /// Finds a record in the log.
    pub(super) fn find(&mut self, record: RecordHash) -> Result<Entry, AgentError> {
        Ok(self.find_with_proof(record)?.0)
    }

    fn find_with_proof(&mut self, record: RecordHash) -> Result<(Entry, String), AgentError> {
        let (entry, proof) = loop {
            match find_proof(&self.transport, &self.log, record) {
                Err(SubmitError::Service(error)) if self.waiting.wait(&error) => {}
                found => break found?,
            }
        };
        self.note_checkpoint(entry.checkpoint());
        Ok((entry, proof))
    }
}

/// The entry that a proof file is of, if it proves this record.
fn read(path: &Path, record: RecordHash, log: &LogIdentity) -> Option<Entry> {
    let bytes = host::bounded::read(path, MAX_PROOF_FILE_BYTES).ok()?;
    let proof = String::from_utf8(bytes).ok()?;
    let index = ProofFile::parse(&proof).ok()?.index;
    let entry = Entry::open(&proof, index, log).ok()?;
    (entry.record().hash() == record).then_some(entry)
}
