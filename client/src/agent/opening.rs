//! The first words of a run, in a row: what it sets out for, and the first thing that it asks permission for.
//!
//! The intent rests on nothing that the log has to say about the goal, so both are signed together, and go to the disk and
//! to the log together.

use ledger::digest::RecordHash;
use ledger::record::SignedRecord;
use ledger::text::Text;

use super::work::goal;
use super::{Action, Agent, AgentError, Saying};
use crate::clock::Moment;
use crate::permit::Permit;
use crate::submission::{Logged, SubmitError, hand_in_a_row};
use crate::transport::Transport;

/// What there is to say at the beginning.
pub struct FirstWords<'a> {
    /// The title of the goal.
    pub title: Text,
    /// Who asked for it.
    pub requester: Text,
    /// The first action, once the goal has a name.
    pub action: &'a dyn Fn(RecordHash) -> Action,
}

/// A goal that is in the log.
pub struct SetOut {
    /// The goal.
    pub goal: RecordHash,
    /// The permission for the first action, or why there is none.
    pub permit: Result<Permit, AgentError>,
}

impl<T: Transport> Agent<T> {
    /// Sets out for a goal, and asks for permission for its first action.
    ///
    /// # Errors
    ///
    /// [`AgentError`], where the goal is not in the log. What the log says about the action is in [`SetOut`].
    pub fn set_out(&mut self, words: &FirstWords<'_>, now_ms: u64) -> Result<SetOut, AgentError> {
        self.patiently(|agent| {
            agent.settle(now_ms)?;
            agent.say_first_words(words, now_ms)
        })
    }

    fn say_first_words(
        &mut self,
        words: &FirstWords<'_>,
        now_ms: u64,
    ) -> Result<SetOut, AgentError> {
        self.follow_lease(now_ms)?;
        let body = |chain| goal(chain, &words.title, &words.requester);
        let goal = self.sign(&Saying::plain(&body).followed(), now_ms)?;
        let action = (words.action)(goal.hash());
        let intent = self.with_intent(&action, |agent, saying| agent.sign(saying, now_ms))?;
        let records = [goal, intent];
        let sent = Moment::now();
        let mut answers = hand_in_a_row(&self.transport, &self.log, &records).into_iter();
        let [goal, intent] = &records;
        if let Err(error) = self.hear_or_hand_in(goal, sent, answers.next()) {
            if !self.is_pending(goal) {
                // It was judged, and the intent rests on it.
                self.withdraw_rest()?;
            }
            return match self.is_worth_saying_again(&error, now_ms)? {
                true => self.say_one_by_one(words, now_ms),
                false => Err(error),
            };
        }
        let logged = match self.hear_or_hand_in(intent, sent, answers.next()) {
            Err(error) if self.is_worth_saying_again(&error, now_ms)? => {
                self.with_intent(&action, |agent, saying| agent.say(saying, now_ms))
            }
            heard => heard,
        };
        Ok(SetOut {
            goal: goal.hash(),
            permit: logged.map(|logged| self.permit(&logged)),
        })
    }

    fn say_one_by_one(
        &mut self,
        words: &FirstWords<'_>,
        now_ms: u64,
    ) -> Result<SetOut, AgentError> {
        let body = |chain| goal(chain, &words.title, &words.requester);
        let goal = self.say(&Saying::plain(&body), now_ms)?.record();
        let action = (words.action)(goal);
        let logged = self.with_intent(&action, |agent, saying| agent.say(saying, now_ms));
        Ok(SetOut {
            goal,
            permit: logged.map(|logged| self.permit(&logged)),
        })
    }

    /// Notes what became of a record. One that has no answer, for the one before it had none or the service was away, is
    /// handed in by itself.
    fn hear_or_hand_in(
        &mut self,
        record: &SignedRecord,
        sent: Moment,
        answer: Option<Result<Logged, SubmitError>>,
    ) -> Result<Logged, AgentError> {
        match answer {
            Some(Err(SubmitError::Service(error))) if self.waiting.wait(&error) => {
                self.send(record)
            }
            None => self.send(record),
            Some(answer) => {
                let is_new = answer.as_ref().is_ok_and(|logged| !logged.is_duplicate);
                self.hear(record, is_new.then_some(sent), answer)
            }
        }
    }
}
