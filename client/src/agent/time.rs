//! The log's time. A log whose clock was once ahead goes on in a time of its own, and takes what is dated in it: so an
//! agent dates what it signs by the later of its own clock and the newest entry that it was shown.

use tlog::LeafIndex;

use super::{Agent, AgentError};
use crate::entry::Entry;
use crate::transport::Transport;
use wire::AgentAsOf;

impl<T: Transport> Agent<T> {
    /// What a record is dated that is signed when one's own clock shows this.
    pub(super) fn at_ms(&self, now_ms: u64) -> u64 {
        now_ms.max(self.log_ms)
    }

    /// Takes note of when the log received an entry.
    pub(super) fn note_time(&mut self, entry: &Entry) {
        self.log_ms = self.log_ms.max(entry.received_ms());
    }

    /// Looks at the newest entry if the service says that it is later than one's own clock: its proof shows whether it
    /// is.
    pub(super) fn keep_time(&mut self, claims: &AgentAsOf, now_ms: u64) -> Result<(), AgentError> {
        let last = claims.as_of.checked_sub(1).map(LeafIndex::new);
        let Some(last) = last.filter(|_| claims.as_of_ms > self.at_ms(now_ms)) else {
            return Ok(());
        };
        let proof = self.transport.proof(last, None)?;
        let entry =
            Entry::open(&proof, last, &self.log).map_err(crate::submission::SubmitError::from)?;
        self.note_checkpoint(entry.checkpoint());
        self.note_time(&entry);
        Ok(())
    }

    /// Whether the log turns out to be later than what was signed just now.
    pub(super) fn learns_time(&mut self, now_ms: u64) -> Result<bool, AgentError> {
        let signed_ms = self.at_ms(now_ms);
        let claims = self.claims()?;
        self.keep_time(&claims, now_ms)?;
        Ok(self.at_ms(now_ms) > signed_ms)
    }
}
