//! The last words of a run, in a row: what came of the action, what came of the goal, and goodbye.
//!
//! Each rests on the one before and on nothing that the log has still to say, so they are signed together, and go to the
//! disk and to the log together.

use ledger::digest::RecordHash;
use ledger::record::{Check, SignedRecord, Verdict};

use super::work::outcome;
use super::{ActionResult, Agent, AgentError, Saying};
use crate::clock::Moment;
use crate::submission::hand_in_a_row;
use crate::transport::Transport;

/// What there is to say at the end.
pub struct LastWords<'a> {
    /// The result of the action.
    pub result: &'a ActionResult,
    /// The goal.
    pub goal: RecordHash,
    /// What came of that, and on what ground, once the result has a name.
    pub verdict: &'a dyn Fn(RecordHash) -> (Verdict, Vec<Check>),
    /// How far the agent has got.
    pub progress: u64,
}

/// Last words that were signed.
pub struct Said {
    /// The result.
    pub result: RecordHash,
    /// Why not all of it is in the log. It is in the journal, and [`settle`](Agent::settle) goes on from there.
    pub left: Option<AgentError>,
}

impl<T: Transport> Agent<T> {
    /// Whether nothing waits that would have to be said before.
    pub fn has_said_all(&self) -> bool {
        self.book().pending().is_empty() && self.book().unsaid().is_empty()
    }

    /// Whether the last record in the log said goodbye, and nothing is on its way there.
    pub fn has_said_goodbye(&self) -> bool {
        let tip = self.book().tip();
        self.book().pending().is_empty() && tip.is_some_and(|tip| tip.said_goodbye)
    }

    /// Says it all, once nothing else [waits](Self::has_said_all).
    ///
    /// # Errors
    ///
    /// [`AgentError`], where nothing of it was signed, or nothing can be.
    pub fn say_last_words(
        &mut self,
        words: &LastWords<'_>,
        now_ms: u64,
    ) -> Result<Said, AgentError> {
        // A heartbeat that waits is worth nothing, so none is signed for a service that is away. It tells of a fork; so does
        // this, when all else is said.
        let looked = match self.look_or_be_told() {
            Err(fork @ AgentError::SplitView { .. }) => Err(fork),
            looked => {
                looked?;
                Ok(())
            }
        };
        self.follow_lease(now_ms)?;
        let records = self.sign_last_words(words, now_ms)?;
        self.own_intents.retain(|own| *own != words.result.intent);
        let result = records[0].hash();
        let left = self.send_in_a_row(&records).and(looked).err();
        Ok(Said { result, left })
    }

    fn sign_last_words(
        &mut self,
        words: &LastWords<'_>,
        now_ms: u64,
    ) -> Result<[SignedRecord; 3], AgentError> {
        let result = self.with_result(words.result, |agent, saying| {
            agent.sign(&saying.followed(), now_ms)
        })?;
        let (verdict, checks) = (words.verdict)(result.hash());
        let body = |chain| outcome(chain, words.goal, verdict, &checks);
        let outcome = self.sign(&Saying::plain(&body).followed(), now_ms)?;
        let body = self.heartbeat(Some(words.progress), true)?;
        let goodbye = self.sign(&Saying::plain(&body), now_ms)?;
        Ok([result, outcome, goodbye])
    }

    fn send_in_a_row(&mut self, records: &[SignedRecord]) -> Result<(), AgentError> {
        let sent = Moment::now();
        let handed_in = hand_in_a_row(&self.transport, &self.log, records);
        for (record, handed_in) in records.iter().zip(handed_in) {
            let is_new = handed_in.as_ref().is_ok_and(|logged| !logged.is_duplicate);
            let heard = self.hear(record, is_new.then_some(sent), handed_in);
            if heard.is_err() && !self.is_pending(record) {
                // It was judged, and what was signed behind it rests on it.
                self.withdraw_rest()?;
                self.adopt()?;
            }
            heard?;
        }
        Ok(())
    }
}
