//! Settling: what is known of what was signed, and saying what is still to be said.

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::record::{Amounts, Body, Outcome, Phase, Receipt, ResultOf, SignedRecord, Status};

use super::{Agent, AgentError, Saying};
use crate::disclosure::{Disclosure, Place, Side};
use crate::entry::Entry;
use crate::journal::Unreported;
use crate::submission::{SubmitError, find_signed};
use crate::transport::ServiceError;
use crate::transport::Transport;

impl<T: Transport> Agent<T> {
    /// Settles what is pending, and says what an earlier epoch left unsaid.
    ///
    /// # Errors
    ///
    /// [`AgentError::Away`] while the service is: call again later. Records that were refused meanwhile are in the
    /// journal with the reason, and are not an error here.
    pub fn settle(&mut self, now_ms: u64) -> Result<(), AgentError> {
        self.settle_pending(now_ms)?;
        self.say_unsaid(now_ms)
    }

    /// Finds out, in their order, what became of the records whose fate is not known.
    pub(super) fn settle_pending(&mut self, now_ms: u64) -> Result<(), AgentError> {
        while let Some(record) = self.book().pending().front().cloned() {
            match self.resolve(&record) {
                Ok(()) => self.close_later(&record),
                // It was judged, and the journal has the judgement.
                Err(_) if !self.is_pending(&record) => {
                    self.withdraw_rest()?;
                    self.adopt()?;
                }
                Err(error) => return Err(error),
            }
        }
        // Nobody waits for these permits any more, so nobody may act upon them.
        for intent in std::mem::take(&mut self.late_intents) {
            self.close_intent(intent, Status::Cancelled, "no leave was taken", now_ms)?;
        }
        Ok(())
    }

    /// Looks whether the log has records that somebody said were refused, and goes on from there if it does. Gives
    /// whether it does.
    pub(super) fn adopt(&mut self) -> Result<bool, AgentError> {
        let mut has_adopted = false;
        for record in self.book().claimed_refused().to_vec() {
            if let Some(entry) = self.look_for(&record)? {
                self.note_logged(&entry)?;
                self.close_later(&record);
                has_adopted = true;
            }
        }
        Ok(has_adopted)
    }

    /// Looks whether a record is in the log. That it is, is shown; that it is not, is only said.
    pub(super) fn look_for(&self, record: &SignedRecord) -> Result<Option<Entry>, AgentError> {
        match find_signed(&self.transport, &self.log, record) {
            Ok(entry) => Ok(Some(entry)),
            Err(SubmitError::Service(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn close_later(&mut self, record: &SignedRecord) {
        // What was announced beside a log that observes goes on, and has a result of its own.
        if is_intent(record) && !self.own_intents.contains(&record.hash()) {
            self.late_intents.push(record.hash());
        }
    }

    /// Asks for a record by its name; if the log does not have it, sends the same bytes again.
    pub(super) fn resolve(&mut self, record: &SignedRecord) -> Result<(), AgentError> {
        let found = loop {
            match find_signed(&self.transport, &self.log, record) {
                Err(SubmitError::Service(error)) if self.waiting.wait(&error) => {}
                found => break found,
            }
        };
        match found {
            Ok(entry) => self.note_logged(&entry),
            Err(SubmitError::Service(error)) if is_no_such_record(&error) => {
                self.send(record).map(drop)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Says again what came of actions and goals, where the epoch in which it was signed has ended.
    pub(super) fn say_unsaid(&mut self, now_ms: u64) -> Result<(), AgentError> {
        for unsaid in self.book().unsaid().to_vec() {
            let phase = self.renamed(unsaid.phase.clone());
            let kept = self.disclosures_of(&unsaid)?;
            let body = |chain| {
                let phase = phase.clone();
                Body::Receipt(Box::new(Receipt { chain, phase }))
            };
            let saying = Saying {
                body: &body,
                disclosures: &|record| moved(&kept, record),
                ..Saying::plain(&body)
            };
            match self.say(&saying, now_ms) {
                // What cannot be said now is in the journal still.
                Ok(_) | Err(AgentError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes what an earlier process was about to do: its result is not known.
    pub(super) fn close_orphans(&mut self, now_ms: u64) -> Result<(), AgentError> {
        let open = self.book().open_intents().keys().copied();
        let to_be_said = self.book().unsaid();
        let is_unsaid = |intent: &RecordHash| {
            to_be_said.iter().any(
                |unsaid| matches!(&unsaid.phase, Phase::Result(result) if result.intent == *intent),
            )
        };
        let orphans: Vec<RecordHash> = open
            .filter(|intent| !self.own_intents.contains(intent) && !is_unsaid(intent))
            .collect();
        for intent in orphans {
            let why = "the process that acted ended without a result";
            self.close_intent(intent, Status::Error, why, now_ms)?;
        }
        Ok(())
    }

    pub(super) fn close_intent(
        &mut self,
        intent: RecordHash,
        status: Status,
        why: &str,
        now_ms: u64,
    ) -> Result<(), AgentError> {
        let parse = |refusal| AgentError::NoSuchRecord(refusal);
        let reason = (
            "reason".parse().map_err(parse)?,
            why.parse().map_err(parse)?,
        );
        let body = |chain| {
            let phase = Phase::Result(ResultOf {
                intent,
                status,
                outputs: Vec::new(),
                duration_ms: 0,
                usage: Amounts::default(),
                refs: vec![reason.clone()],
            });
            Body::Receipt(Box::new(Receipt { chain, phase }))
        };
        match self.say(&Saying::plain(&body), now_ms) {
            // It was closed by another process, or is once the state lets it be: the journal has the reason.
            Ok(_) | Err(AgentError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What was signed behind a record that is refused has a `prev` that will never be.
    pub(super) fn withdraw_rest(&mut self) -> Result<(), AgentError> {
        let rest: Vec<RecordHash> = self
            .book()
            .pending()
            .iter()
            .map(SignedRecord::hash)
            .collect();
        rest.into_iter()
            .try_for_each(|record| self.note_refused(record, followed_a_refused_one()))
    }

    pub(super) fn is_pending(&self, record: &SignedRecord) -> bool {
        self.book().pending().iter().any(|own| own == record)
    }

    /// A result that was said again has another name, by which an outcome's checks go on to name it.
    fn renamed(&self, phase: Phase) -> Phase {
        let Phase::Outcome(mut outcome) = phase else {
            return phase;
        };
        for check in &mut outcome.checks {
            let Some(old) = check.record else { continue };
            let new = self.book().newest_name(old);
            if check.digest == *old.digest() {
                check.digest = *new.digest();
            }
            check.record = Some(new);
        }
        Phase::Outcome(Outcome { ..outcome })
    }

    fn disclosures_of(&self, unsaid: &Unreported) -> Result<Vec<Disclosure>, AgentError> {
        let Phase::Result(result) = &unsaid.phase else {
            return Ok(Vec::new());
        };
        let mut kept = Vec::new();
        for (name, _) in &result.outputs {
            let place = Place {
                record: unsaid.record,
                side: Side::Outputs,
                name: name.clone(),
            };
            kept.extend(self.journal.disclosure(&place)?);
        }
        Ok(kept)
    }
}

fn is_intent(record: &SignedRecord) -> bool {
    matches!(&record.record().body, Body::Receipt(receipt) if matches!(receipt.phase, Phase::Intent(_)))
}

/// The same values, whose commitments another record holds now.
fn moved(kept: &[Disclosure], record: RecordHash) -> Vec<Disclosure> {
    let move_one = |one: &Disclosure| Disclosure {
        record,
        ..one.clone()
    };
    kept.iter().map(move_one).collect()
}

fn is_no_such_record(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Refused(problem) if problem.says(Code::NotFound.as_str()))
}

fn followed_a_refused_one() -> Refusal {
    Code::PreviousMismatch.because("the record before it was refused, so this one was never sent")
}
