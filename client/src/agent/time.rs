//! The log's time. A log whose clock was once ahead goes on in a time of its own, and takes what is dated in it: so an
//! agent dates what it signs by the later of its own clock and the newest entry that it was shown.

use ledger::codes::Code;
use tlog::LeafIndex;

use super::{Agent, AgentError};
use crate::clock::Stamp;
use crate::entry::Entry;
use crate::transport::{Problem, Transport};
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

    /// Sets the log's clock by the last answer, whatever it said. Whether there is such a clock, and it told the time.
    pub(super) fn set_clock(&self) -> bool {
        let (Some(clock), Some(heard)) = (&self.clock, self.transport.heard()) else {
            return false;
        };
        clock.hear(heard);
        true
    }

    /// What a record is dated that is signed now, by the log's clock where this machine's is off.
    pub(super) fn stamp(&self, machine_ms: u64) -> Stamp {
        let own = Stamp {
            at_ms: self.at_ms(machine_ms),
            clock_off_ms: None,
        };
        let Some(clock) = &self.clock else { return own };
        if !clock.is_known() {
            self.set_clock();
        }
        let mut stamp = clock.stamp(machine_ms);
        if let Some(off_ms) = stamp.clock_off_ms {
            let (seconds, side) = match off_ms {
                0.. => (off_ms / 1_000, "ahead of"),
                _ => (-(off_ms / 1_000), "behind"),
            };
            self.waiting.warn_once(&format!(
                "warning: this machine's clock is {seconds} s {side} the log's, which now dates the agent's records"
            ));
        }
        stamp.at_ms = self.at_ms(stamp.at_ms);
        stamp
    }
}

/// Whether a record was refused for the time that it says.
pub(super) fn is_for_its_time(problem: &Problem) -> bool {
    matches!(problem.code, Some(Code::Stale | Code::ClockAhead))
}
