//! The end: the results of a life, then the outcome of the run and its goodbye.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use ledger::digest::RecordHash;
use ledger::record::{Check, Status, Verdict};
use ledger::text::{Name, Text};

use super::message::{Cut, End};
use crate::agent::{ActionResult, Agent, AgentError, Filed, LastWords};
use crate::speaker::{Caller, Closed, Life, RETRY, with_sources};
use crate::transport::Transport;

/// Says what came of it, in the epoch that the agent speaks in.
pub(super) struct Closing<'a, T> {
    pub(super) agent: &'a mut Agent<T>,
    pub(super) caller: Caller,
}

impl<T: Transport> Closing<'_, T> {
    /// CMD has ended: what it left open is closed, its own intent too, and the goals that it set out for are given up.
    /// A life is closed once.
    pub(super) fn life(&mut self, life: &mut Life, end: &End) -> Closed {
        if let Some(closed) = life.closed {
            return closed;
        }
        for intent in life.open.take() {
            let closed = self.agent.result(without_result(intent), self.now_ms());
            self.note_filed(closed);
        }
        let result = match life.started {
            Some(started) => Some(started),
            None => {
                let program = life.program.as_ref().map(|program| program.intent);
                program.and_then(|intent| self.say_result(intent, end))
            }
        };
        for goal in life.take_goals() {
            self.outcome(goal, Verdict::Abandoned, vec![]);
        }
        *life.closed.insert(Closed { result })
    }

    /// Nothing more is done for the goal: the verdict, and goodbye. A service that is away is waited for as long as
    /// `patience` lasts.
    pub(super) fn run(&mut self, life: &mut Life, end: &End, patience: Duration) {
        if self.at_once(life, end) {
            return;
        }
        let closed = self.life(life, end);
        if let Some(program) = life.program.as_ref().filter(|_| !life.has_outcome) {
            let (_, verdict) = judge(end);
            // A service that was told to end has done what it was for.
            let was_ended = life.started.is_some() && end.was_asked_to_end && end.cut.is_none();
            let verdict = if was_ended {
                Verdict::Accepted
            } else {
                verdict
            };
            let check = closed.result.map(|result| check_of(&end.status, result));
            self.outcome(program.goal, verdict, check.into_iter().collect());
        }
        self.settle(life.progress(), patience);
    }

    /// Most often nothing is left but the run's own words, and nothing waits: then all is said in a row. Whether it is in the
    /// log; what is not yet is in the journal.
    fn at_once(&mut self, life: &mut Life, end: &End) -> bool {
        let is_plain = life.closed.is_none() && life.started.is_none() && !life.has_outcome;
        let Some(program) = life.program.clone().filter(|_| is_plain) else {
            return false;
        };
        if life.has_more_to_close() || !self.agent.has_said_all() {
            return false;
        }
        let words = LastWords {
            result: &self.result_of(program.intent, end),
            goal: program.goal,
            verdict: &|result| (judge(end).1, vec![check_of(&end.status, result)]),
            progress: life.progress(),
        };
        match self.agent.say_last_words(&words, self.now_ms()) {
            Ok(said) => {
                life.closed = Some(Closed {
                    result: Some(said.result),
                });
                life.has_outcome = true;
                let left = said.left.as_ref();
                left.inspect(|error| self.note(error)).is_none()
            }
            // Each by itself finds out what is in the way.
            Err(_) => false,
        }
    }

    /// There was nothing to be done for the goal, if there is one. What cannot be said now is settled by the next run.
    pub(super) fn give_up(&mut self, goal: Option<RecordHash>) {
        let now_ms = self.now_ms();
        let given_up = goal.is_none_or(|goal| {
            let given_up = self.agent.outcome(goal, Verdict::Abandoned, vec![], now_ms);
            given_up.is_ok_and(|filed| filed.is_logged())
        });
        if given_up {
            let _ = self.agent.goodbye(now_ms);
        }
    }

    fn now_ms(&self) -> u64 {
        (self.caller.now_ms)()
    }

    fn outcome(&mut self, goal: RecordHash, verdict: Verdict, checks: Vec<Check>) {
        let filed = self.agent.outcome(goal, verdict, checks, self.now_ms());
        self.note_filed(filed);
    }

    fn say_result(&mut self, intent: RecordHash, end: &End) -> Option<RecordHash> {
        let result = self.result_of(intent, end);
        let result = self.agent.result(result, self.now_ms());
        self.note_filed(result)
    }

    fn result_of(&self, intent: RecordHash, end: &End) -> ActionResult {
        let outputs = end.outputs.clone().unwrap_or_else(|refusal| {
            (self.caller.notice)(&format!(
                "warning: the output is not committed to: {refusal}"
            ));
            Vec::new()
        });
        let (status, _) = judge(end);
        let mut result = ActionResult::of(intent, status);
        result.outputs = outputs;
        result.duration_ms = end.duration_ms;
        let undelivered = || end.undelivered.as_ref().map(undelivered);
        let why = end.cut.as_ref().map(|(_, why)| why.clone());
        let why = why.or_else(undelivered);
        let left_behind = Some(end.left_behind).filter(|count| *count > 0);
        result.refs = reference("end", &end.status.to_string())
            .into_iter()
            .chain(why.and_then(|why| reference("reason", &why)))
            .chain(left_behind.and_then(|count| reference("left_behind", &count.to_string())))
            .collect();
        result
    }

    fn note_filed(&mut self, filed: Result<Filed, AgentError>) -> Option<RecordHash> {
        match filed {
            Ok(filed) => Some(filed.record()),
            Err(error) => {
                self.note(&error);
                None
            }
        }
    }

    fn note(&self, error: &AgentError) {
        // What is refused for its place or for the state is in the journal, and told of at the end.
        if !error.is_fenced() && !error.is_away() {
            (self.caller.notice)(&format!("warning: {}", with_sources(error)));
        }
    }

    /// Waits for a service that is away, as long as configured, and says goodbye.
    fn settle(&mut self, progress: u64, patience: Duration) {
        let since = Instant::now();
        let mut is_away = false;
        let left = loop {
            let settled = self.agent.settle(self.now_ms()).and_then(|()| {
                let now_ms = self.now_ms();
                match self.agent.has_said_goodbye() {
                    true => Ok(()),
                    false => self.agent.goodbye_at(progress, now_ms).map(drop),
                }
            });
            match settled {
                Err(error) if error.is_away() && since.elapsed() < patience => {
                    is_away = true;
                    let asked = error.asks_to_wait().unwrap_or_default();
                    std::thread::sleep(RETRY.max(asked));
                }
                settled => break settled,
            }
        };
        match left {
            Ok(()) if is_away => (self.caller.notice)("the service is back"),
            Ok(()) => {}
            Err(error) if error.is_away() => (self.caller.notice)(
                "the service is away: what was signed waits in the journal, and is logged by the next run or by \
                 `dragons receipt flush`",
            ),
            Err(error) => self.note(&error),
        }
        let unsaid = self.agent.journal().book().unsaid().len();
        if unsaid > 0 {
            (self.caller.notice)(&format!(
                "results and outcomes that the log does not take now: {unsaid}; they wait in the journal for the next run"
            ));
        }
    }
}

fn judge(end: &End) -> (Status, Verdict) {
    match end.cut {
        Some((Cut::Lapsed | Cut::Stalled, _)) => (Status::Timeout, Verdict::Abandoned),
        Some(_) => (Status::Cancelled, Verdict::Abandoned),
        None if end.status.success() && end.undelivered.is_none() => {
            (Status::Ok, Verdict::Accepted)
        }
        None => (Status::Error, Verdict::Rejected),
    }
}

/// Why a run has failed whose program did not.
pub(super) fn undelivered(error: &std::io::Error) -> String {
    format!("the output could not be written: {error}")
}

/// The ground for the verdict: how the program ended, which its result tells.
fn check_of(status: &ExitStatus, result: RecordHash) -> Check {
    let name = status.to_string();
    Check {
        name: name.parse().expect("a status is a few plain words"),
        digest: *result.digest(),
        record: Some(result),
    }
}

fn without_result(intent: RecordHash) -> ActionResult {
    let mut result = ActionResult::of(intent, Status::Error);
    result.refs = reference("reason", "the program ended without a result")
        .into_iter()
        .collect();
    result
}

fn reference(name: &str, text: &str) -> Option<(Name, Text)> {
    Some((name.parse().ok()?, text.parse().ok()?))
}
