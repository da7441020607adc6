//! What processes before this one left open, as the log has it. The journal knows of less: it may be new, where a
//! machine was lost, and a run that was killed could not give up its goal.

use ledger::digest::RecordHash;
use ledger::govern::MAX_OPEN;
use ledger::record::{Body, Phase, Status, Verdict};

use super::epoch::not_an_opening;
use super::{Agent, AgentError};
use crate::transport::Transport;

impl<T: Transport> Agent<T> {
    /// Gives up what is open of the agent: actions end as errors, for nobody knows what came of them, and goals are
    /// abandoned. It is for a process that has begun and has set out for nothing yet. As long as an action is open no
    /// goodbye stops the agent, and with too many goals it gets no further ones.
    ///
    /// # Errors
    ///
    /// [`AgentError`].
    pub fn give_up_what_is_open(&mut self, now_ms: u64) -> Result<(), AgentError> {
        match self.has_left_open {
            true => self.patiently(|agent| agent.give_up(now_ms)),
            false => Ok(()),
        }
    }

    fn give_up(&mut self, now_ms: u64) -> Result<(), AgentError> {
        let claims = self.claims()?;
        for intent in claims.open_intents.into_iter().take(MAX_OPEN) {
            self.is_own(intent, |phase| matches!(phase, Phase::Intent(_)))?;
            let why = "the process that acted ended without a result, or was overtaken";
            self.close_intent(intent, Status::Error, why, now_ms)?;
        }
        for goal in claims.open_goals.into_iter().take(MAX_OPEN) {
            self.is_own(goal, |phase| matches!(phase, Phase::Goal(_)))?;
            match self.outcome(goal, Verdict::Abandoned, vec![], now_ms) {
                // What the log does not take is in the journal with the reason, and keeps nobody from going on.
                Ok(_) | Err(AgentError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// That the log has the record as one of the agent's, whatever the service says.
    fn is_own(
        &mut self,
        record: RecordHash,
        is_meant: fn(&Phase) -> bool,
    ) -> Result<(), AgentError> {
        let entry = self.find(record)?;
        match &entry.record().record().body {
            Body::Receipt(receipt)
                if receipt.chain.agent == *self.name() && is_meant(&receipt.phase) =>
            {
                Ok(())
            }
            _ => Err(not_an_opening(
                record,
                "it is nothing that the agent has begun",
            )),
        }
    }
}
