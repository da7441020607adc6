//! The clerk: owns the agent, answers CMD, beats, and logs what came of it all.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::json::{Value, object};
use ledger::record::{Check, Status, ToolUse, Verdict};
use ledger::text::{Name, Text};

use super::Surroundings;
use super::request::{Answer, IntentRequest, Request, ResultRequest};
use super::supervisor::{Cut, End, Event};
use crate::agent::{Action, Agent, AgentError, Deed, Filed};
use crate::http::Standing;
use crate::submission::Logged;
use crate::transport::Transport;

/// How soon a service that was away is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// What is to be done.
pub(super) enum Job {
    /// CMD says something and waits for the answer.
    Ask(Box<Request>, Sender<Answer>),
    /// CMD has ended.
    Finish(End),
}

pub(super) struct Clerk<T> {
    pub(super) agent: Agent<T>,
    pub(super) standing: Option<Standing>,
    /// The goal of the run, and the intent under which CMD runs.
    pub(super) goal: RecordHash,
    pub(super) intent: RecordHash,
    /// CMD itself, as a tool.
    pub(super) tool: ToolUse,
    pub(super) requester: Text,
    pub(super) heartbeat: Duration,
    pub(super) patience: Duration,
    pub(super) lines: Arc<AtomicU64>,
    pub(super) work: Work,
    pub(super) events: Sender<Event>,
    pub(super) around: Surroundings,
}

/// What CMD has begun by the socket and has not ended.
#[derive(Default)]
pub(super) struct Work {
    goals: Vec<RecordHash>,
    intents: BTreeMap<RecordHash, Instant>,
    newest: Vec<RecordHash>,
    /// Steps that CMD itself counts; its lines are counted if it does not.
    steps: Option<u64>,
    has_outcome: bool,
    is_away: bool,
}

impl<T: Transport> Clerk<T> {
    /// Works until CMD has ended and all is logged, or waits in the journal.
    pub(super) fn work(mut self, jobs: &Receiver<Job>) {
        self.report();
        let mut beat_due = Instant::now() + self.heartbeat;
        loop {
            match jobs.recv_timeout(beat_due.saturating_duration_since(Instant::now())) {
                Ok(Job::Ask(request, reply)) => {
                    let answer = self.answer(*request);
                    self.report();
                    // Whoever hung up meanwhile does not want it.
                    let _ = reply.send(answer);
                }
                Ok(Job::Finish(end)) => return self.finish(end),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= beat_due {
                self.beat();
                let pause = if self.work.is_away {
                    self.heartbeat.min(RETRY)
                } else {
                    self.heartbeat
                };
                beat_due = Instant::now() + pause;
            }
        }
    }

    fn now_ms(&self) -> u64 {
        (self.around.now_ms)()
    }

    fn progress(&self) -> u64 {
        let lines = || self.lines.load(Ordering::Relaxed);
        self.work.steps.unwrap_or_else(lines)
    }

    fn beat(&mut self) {
        match self.agent.beat(self.progress(), self.now_ms()) {
            Ok(_) => self.is_back(),
            Err(error) => self.note(&error),
        }
        self.report();
    }

    /// Tells the supervisor where the agent stands.
    fn report(&mut self) {
        let standing = self.agent.standing().copied().or(self.standing);
        if let Some(standing) = standing {
            // A supervisor that no longer listens has seen CMD end.
            let _ = self.events.send(Event::Standing(standing));
        }
    }

    fn is_back(&mut self) {
        if std::mem::take(&mut self.work.is_away) {
            (self.around.notice)("the service is back");
        }
    }

    fn note(&mut self, error: &AgentError) {
        let text = with_sources(error);
        match error {
            AgentError::Away(_) if self.work.is_away => {}
            AgentError::Away(_) => {
                self.work.is_away = true;
                (self.around.notice)(&format!(
                    "{text}; what is said meanwhile waits in the journal"
                ));
            }
            AgentError::Fenced { .. } => {
                let _ = self.events.send(Event::Fenced(text));
            }
            // A beat that the agent's state forbids: there is nothing left to run for.
            AgentError::Refused(problem) if problem.says("state-forbids") => {
                let _ = self.events.send(Event::Fenced(text));
            }
            _ => (self.around.notice)(&format!("warning: {text}")),
        }
    }

    fn answer(&mut self, request: Request) -> Answer {
        let answer = match request {
            Request::Goal { title, requester } => self.goal(title, requester),
            Request::Intent(request) => self.ask_leave(*request),
            Request::Result(request) => self.result(*request),
            Request::Outcome {
                goal,
                verdict,
                checks,
            } => self.outcome(goal, verdict, checks),
            Request::Progress(steps) => {
                self.work.steps = Some(self.work.steps.unwrap_or(0).max(steps));
                Ok(Answer::done())
            }
            Request::Disclose(place) => match self.agent.journal().disclosure(&place) {
                Ok(Some(disclosure)) => Ok(Answer::disclosed(&disclosure)),
                Ok(None) => Err(Code::NotFound.because("no such commitment").into()),
                Err(error) => Err(error.into()),
            },
        };
        answer.unwrap_or_else(|error| {
            if !matches!(error, AgentError::Refused(_) | AgentError::NoSuchRecord(_)) {
                self.note(&error);
            }
            refused(&error)
        })
    }

    fn goal(&mut self, title: Text, requester: Option<Text>) -> Result<Answer, AgentError> {
        let requester = requester.unwrap_or_else(|| self.requester.clone());
        let logged = self.agent.goal(title, requester, self.now_ms())?;
        self.is_back();
        self.work.goals.push(logged.record());
        Ok(Answer::with(members(&logged)))
    }

    fn ask_leave(&mut self, request: IntentRequest) -> Result<Answer, AgentError> {
        let tool = self.tool_of(&request)?;
        let action = Action {
            goal: request.goal.unwrap_or(self.goal),
            scope: request.scope,
            tool: Some(tool),
            inputs: request.inputs,
            parents: request.parents,
            reserve: request.reserve,
        };
        let permit = self.agent.intent(action, self.now_ms())?;
        self.is_back();
        let intent = permit.intent();
        self.work.intents.insert(intent, Instant::now());
        self.work.newest.push(intent);
        Ok(Answer::with(permit.to_value()))
    }

    fn tool_of(&self, request: &IntentRequest) -> Result<ToolUse, Refusal> {
        let Some(name) = &request.tool else {
            return Ok(self.tool.clone());
        };
        let tools = &self.agent.manifest().tools;
        let listed = || tools.iter().find(|tool| tool.name == *name);
        let digest = request.digest.or_else(|| listed().map(|tool| tool.digest));
        let unknown =
            || Code::Malformed.because(format!("no tool {name} in the manifest, and no digest"));
        Ok(ToolUse {
            name: name.clone(),
            digest: digest.ok_or_else(unknown)?,
        })
    }

    fn result(&mut self, request: ResultRequest) -> Result<Answer, AgentError> {
        let newest = self.work.newest.last().copied();
        let none_open = || Code::IntentUnknown.because("no intent is open on this socket");
        let intent = request.intent.or(newest).ok_or_else(none_open)?;
        if intent == self.intent {
            let own = "the intent of the program itself is closed by its end";
            return Err(Code::IntentUnknown.because(own).into());
        }
        let since = self.work.intents.get(&intent);
        let took_ms = since.map_or(0, |since| milliseconds(since.elapsed()));
        let deed = Deed {
            intent,
            status: request.status,
            outputs: request.outputs,
            duration_ms: request.duration_ms.unwrap_or(took_ms),
            usage: request.usage,
            refs: request.refs,
        };
        let filed = self.agent.result(deed, self.now_ms())?;
        self.work.intents.remove(&intent);
        self.work.newest.retain(|open| *open != intent);
        Ok(filed_answer(&filed))
    }

    fn outcome(
        &mut self,
        goal: Option<RecordHash>,
        verdict: Verdict,
        checks: Vec<Check>,
    ) -> Result<Answer, AgentError> {
        let goal = goal.unwrap_or(self.goal);
        let filed = self.agent.outcome(goal, verdict, checks, self.now_ms())?;
        self.work.goals.retain(|open| *open != goal);
        self.work.has_outcome |= goal == self.goal;
        Ok(filed_answer(&filed))
    }

    /// CMD has ended: what it left open is closed, then what came of it is said, then goodbye.
    fn finish(mut self, end: End) {
        let left = std::mem::take(&mut self.work.newest);
        for intent in left {
            let closed = self.agent.result(without_result(intent), self.now_ms());
            self.note_filed(closed);
        }
        let (status, verdict) = judge(&end);
        let result = self.say_result(&end, status);
        for goal in std::mem::take(&mut self.work.goals) {
            let given_up = self
                .agent
                .outcome(goal, Verdict::Abandoned, vec![], self.now_ms());
            self.note_filed(given_up);
        }
        if !self.work.has_outcome {
            let checks = result.map(|result| check_of(&end.status, result));
            let outcome = self.agent.outcome(
                self.goal,
                verdict,
                checks.into_iter().collect(),
                self.now_ms(),
            );
            self.note_filed(outcome);
        }
        self.settle();
    }

    fn say_result(&mut self, end: &End, status: Status) -> Option<RecordHash> {
        let outputs = match &end.outputs {
            Ok(outputs) => outputs.clone(),
            Err(refusal) => {
                (self.around.notice)(&format!(
                    "warning: the output is not committed to: {refusal}"
                ));
                Vec::new()
            }
        };
        let mut deed = Deed::of(self.intent, status);
        deed.outputs = outputs;
        deed.duration_ms = end.duration_ms;
        deed.refs = reference("end", &end.status.to_string())
            .into_iter()
            .collect();
        let result = self.agent.result(deed, self.now_ms());
        self.note_filed(result)
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

    /// Waits for a service that is away, as long as it is told to, and says goodbye.
    fn settle(&mut self) {
        let since = Instant::now();
        let left = loop {
            let settled = self.agent.settle(self.now_ms()).and_then(|()| {
                let now_ms = self.now_ms();
                self.agent.goodbye(now_ms).map(drop)
            });
            match settled {
                Err(error) if error.is_away() && since.elapsed() < self.patience => {
                    self.note(&error);
                    std::thread::sleep(RETRY);
                }
                settled => break settled,
            }
        };
        match left {
            Ok(()) => self.is_back(),
            Err(error) if error.is_away() => (self.around.notice)(
                "the service is away: what was signed waits in the journal, and is logged by the next run or by \
                 `dragons receipt flush`",
            ),
            Err(error) => self.note(&error),
        }
    }
}

fn judge(end: &End) -> (Status, Verdict) {
    match end.cut {
        Some(Cut::Lapsed) => (Status::Timeout, Verdict::Abandoned),
        Some(Cut::AuthorityEnded) => (Status::Cancelled, Verdict::Abandoned),
        None if end.status.success() => (Status::Ok, Verdict::Accepted),
        None => (Status::Error, Verdict::Rejected),
    }
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

fn without_result(intent: RecordHash) -> Deed {
    let mut deed = Deed::of(intent, Status::Error);
    deed.refs = reference("reason", "the program ended without a result")
        .into_iter()
        .collect();
    deed
}

fn reference(name: &str, text: &str) -> Option<(Name, Text)> {
    Some((name.parse().ok()?, text.parse().ok()?))
}

fn members(logged: &Logged) -> Value {
    object([
        ("record", logged.record().into()),
        ("index", logged.index().get().into()),
        ("received_ms", logged.entry.received_ms().into()),
        ("waits", false.into()),
    ])
}

fn filed_answer(filed: &Filed) -> Answer {
    Answer::with(match filed {
        Filed::Logged(logged) => members(logged),
        Filed::Waiting(record) => object([("record", (*record).into()), ("waits", true.into())]),
    })
}

fn refused(error: &AgentError) -> Answer {
    match error {
        AgentError::Refused(problem) => {
            let code = problem.code.map_or("refused", Code::as_str);
            Answer::refused(code, &problem.detail)
        }
        AgentError::NoSuchRecord(refusal) => {
            Answer::refused(refusal.code.as_str(), &refusal.detail)
        }
        AgentError::Away(_) => Answer::refused("service-away", &with_sources(error)),
        error => Answer::refused("internal", &with_sources(error)),
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", with_sources(source)),
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
