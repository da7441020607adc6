//! What the agent has seen of the log: checkpoints, each of which extends the one before.
//!
//! Every heartbeat contains the newest one, so that the log's own signature on a fork ends up in the log.

use ledger::record::Seen;
use tlog::TreeSize;
use tlog::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};

use super::{Agent, AgentError};
use crate::journal::Line;
use crate::transport::Transport;

impl<T: Transport> Agent<T> {
    /// The newest checkpoint that was seen, as a heartbeat tells it.
    pub(super) fn seen(&self) -> Option<Seen> {
        let seen = self.book().seen()?;
        let checkpoint = seen.unverified();
        Some(Seen {
            size: checkpoint.size.get(),
            root: checkpoint.root,
            sig: self.log_signature(seen)?,
        })
    }

    /// Takes note of a checkpoint that the log has signed.
    pub(super) fn note_checkpoint(&mut self, checkpoint: &VerifiedCheckpoint) {
        let is_newer = |newest: &VerifiedCheckpoint| checkpoint.size() > newest.size();
        if self.newest.as_ref().is_none_or(is_newer) {
            self.newest = Some(checkpoint.clone());
        }
    }

    /// Looks further: the newest checkpoint is seen once it is shown to extend the last one. Where that is not shown
    /// for want of an answer, the last one stays the newest seen.
    ///
    /// # Errors
    ///
    /// [`AgentError::SplitView`] if what should show it does not.
    pub(super) fn look(&mut self) -> Result<(), AgentError> {
        match self.look_or_be_told() {
            Err(AgentError::Away(_) | AgentError::Refused(_)) => Ok(()),
            looked => looked,
        }
    }

    /// As [`look`](Self::look), and tells where there was no answer.
    ///
    /// # Errors
    ///
    /// As [`look`](Self::look), and those of a call to the service.
    pub(super) fn look_or_be_told(&mut self) -> Result<(), AgentError> {
        let Some(newest) = self.newest.clone() else {
            return Ok(());
        };
        if let Some(seen) = self.book().seen() {
            let (old, new) = (seen.unverified(), newest.checkpoint());
            if old.size > new.size {
                return Ok(());
            }
            let hashes = self.consistency(old.size, new.size)?;
            let extends = hashes.and_then(|hashes| {
                tlog::consistency::verify(&hashes, old.size, &old.root, new.size, &new.root).ok()
            });
            if extends.is_none() {
                return Err(AgentError::SplitView {
                    old: old.size.get(),
                    new: new.size.get(),
                    checkpoint: newest.to_string(),
                });
            }
            if old.size == new.size {
                return Ok(());
            }
        }
        let line = Line::Seen(Box::new(newest.signed().clone()));
        Ok(self.journal.append(&line)?)
    }

    /// The hashes that the service gives; `None` if they are not hashes.
    fn consistency(
        &self,
        old: TreeSize,
        new: TreeSize,
    ) -> Result<Option<Vec<tlog::Hash>>, AgentError> {
        if old == TreeSize::EMPTY || old == new {
            return Ok(Some(Vec::new()));
        }
        let answer = self.transport.consistency(old, new)?;
        let hashes = answer.hashes.iter().map(|hash| hash.parse().ok());
        Ok(hashes.collect())
    }

    /// The last field of the log's own signature line.
    fn log_signature(&self, signed: &SignedCheckpoint) -> Option<String> {
        let keys = self.log.policy.logs();
        let is_logs = |line: &&tlog::note::Signature| {
            let is_by = |log: &tlog::policy::Log| {
                log.key.id() == line.key_id && log.key.name() == &line.name
            };
            keys.iter().any(is_by)
        };
        let line = signed.note().signatures().iter().find(is_logs)?;
        let blob = [line.key_id.as_bytes(), &line.bytes[..]].concat();
        Some(tlog::base64::encode(blob))
    }
}
