//! The clerk: speaks for the agent while CMD runs. It answers CMD, and beats.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::json::{Value, object};
use ledger::record::{AgentState, Check, ToolUse, Verdict};
use ledger::text::Text;

use super::life::Life;
use super::request::{Answer, IntentRequest, Request, ResultRequest};
use super::{Caller, RETRY, with_sources};
use crate::agent::{Action, ActionResult, Agent, AgentError, Filed};
use crate::http::Standing;
use crate::submission::Logged;
use crate::transport::Transport;

/// What is to be done.
pub(crate) enum Job {
    /// CMD says something and waits for the answer.
    Ask(Box<Request>, Sender<Answer>),
    /// CMD has ended.
    Finish,
}

/// What the log says of the agent.
pub(crate) enum News {
    /// It has answered.
    Standing(Standing),
    /// This process speaks for the agent no more.
    Fenced(String),
}

/// Speaks for the agent during one life of CMD.
pub(crate) struct Clerk<'a, T> {
    pub(crate) agent: &'a mut Agent<T>,
    pub(crate) life: &'a mut Life,
    pub(crate) standing: Option<Standing>,
    pub(crate) requester: Text,
    pub(crate) heartbeat: Duration,
    pub(crate) is_away: bool,
    /// Whether the log refused what CMD asked last.
    pub(crate) was_refused: bool,
    /// Gets what the log says of the agent.
    pub(crate) news: Box<dyn Fn(News) + Send>,
    pub(crate) caller: Caller,
}

impl<T: Transport> Clerk<'_, T> {
    /// Works until CMD has ended.
    pub(crate) fn work(mut self, jobs: &mut Receiver<Job>) {
        self.report();
        let mut beat_due = Instant::now() + self.heartbeat;
        loop {
            match jobs.recv_timeout(beat_due.saturating_duration_since(Instant::now())) {
                Ok(Job::Ask(request, reply)) => {
                    let answer = self.answer(*request);
                    self.report();
                    // Whoever hung up meanwhile does not want it.
                    let _ = reply.send(answer);
                    self.look_after_refusal();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Job::Finish) | Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= beat_due {
                self.beat();
                let pause = if self.is_away {
                    self.heartbeat.min(RETRY)
                } else {
                    self.heartbeat
                };
                beat_due = Instant::now() + pause;
            }
        }
    }

    fn now_ms(&self) -> u64 {
        (self.caller.now_ms)()
    }

    fn beat(&mut self) {
        match self.agent.beat(self.life.progress(), self.now_ms()) {
            Ok(_) => self.is_back(),
            Err(error) => self.note(&error),
        }
        self.report();
    }

    /// Tells the supervisor where the agent stands, and people if that has changed.
    fn report(&mut self) {
        let last = self.standing;
        self.standing = self.agent.standing().copied().or(last);
        if let Some(standing) = self.standing {
            self.tell_of_turn(last.map(|last| last.state), standing.state);
            (self.news)(News::Standing(standing));
        }
    }

    fn tell_of_turn(&self, from: Option<AgentState>, to: AgentState) {
        match (from, to) {
            (Some(AgentState::Running), AgentState::Degraded) => (self.caller.notice)(
                "the agent is degraded: a log that enforces takes no new goals of it, and no intents but to read",
            ),
            (Some(AgentState::Degraded), AgentState::Running) => {
                (self.caller.notice)("the agent has recovered");
            }
            _ => {}
        }
    }

    fn is_back(&mut self) {
        if std::mem::take(&mut self.is_away) {
            (self.caller.notice)("the service is back");
        }
    }

    fn note(&mut self, error: &AgentError) {
        let text = with_sources(error);
        match error {
            AgentError::Away(_) if self.is_away => {}
            AgentError::Away(_) => {
                self.is_away = true;
                (self.caller.notice)(&format!(
                    "{text}; what is said meanwhile waits in the journal"
                ));
            }
            // A beat that is refused like this leaves CMD nothing to run for.
            error if error.is_fenced() => {
                (self.news)(News::Fenced(text));
            }
            _ => (self.caller.notice)(&format!("warning: {text}")),
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
                self.life.count(steps);
                Ok(Answer::done())
            }
            Request::Disclose(place) => match self.agent.journal().disclosure(&place) {
                Ok(Some(disclosure)) => Ok(Answer::disclosed(&disclosure)),
                Ok(None) => Err(Code::NotFound.because("no such commitment").into()),
                Err(error) => Err(error.into()),
            },
        };
        answer.unwrap_or_else(|error| {
            match &error {
                AgentError::Refused(_) => self.was_refused = true,
                AgentError::NoSuchRecord(_) => {}
                error => self.note(error),
            }
            refused(&error)
        })
    }

    /// A refusal does not tell where the agent stands, and it may be the denial that led into quarantine. CMD is not to
    /// go on until the next beat is refused, which may be a minute later.
    fn look_after_refusal(&mut self) {
        use AgentState::{Autohealing, Quarantined, Stopped};
        if !std::mem::take(&mut self.was_refused) {
            return;
        }
        // What cannot be learned now the next beat tells.
        let Ok(outlook) = self.agent.outlook() else {
            return;
        };
        if let state @ (Autohealing | Quarantined | Stopped) = outlook.state {
            let why = format!("the agent is {state}");
            (self.news)(News::Fenced(why));
        }
    }

    fn goal(&mut self, title: Text, requester: Option<Text>) -> Result<Answer, AgentError> {
        let requester = requester.unwrap_or_else(|| self.requester.clone());
        let logged = self.agent.goal(title, requester, self.now_ms())?;
        self.is_back();
        self.life.goals.push(logged.record());
        Ok(Answer::with(members(&logged)))
    }

    fn ask_leave(&mut self, request: IntentRequest) -> Result<Answer, AgentError> {
        let tool = self.tool_of(&request)?;
        let action = Action {
            goal: request.goal.unwrap_or(self.life.goal),
            scope: request.scope,
            tool: Some(tool),
            inputs: request.inputs,
            parents: request.parents,
            reserve: request.reserve,
        };
        let permit = self.agent.intent(action, self.now_ms())?;
        self.is_back();
        let intent = permit.intent();
        self.life.intents.insert(intent, Instant::now());
        self.life.newest.push(intent);
        Ok(Answer::with(permit.to_value()))
    }

    fn tool_of(&self, request: &IntentRequest) -> Result<ToolUse, Refusal> {
        let Some(name) = &request.tool else {
            return Ok(self.life.tool.clone());
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
        let newest = self.life.newest.last().copied();
        let none_open = || Code::IntentUnknown.because("no intent is open on this socket");
        let intent = request.intent.or(newest).ok_or_else(none_open)?;
        if intent == self.life.intent {
            let own = "the intent of the program itself is closed by its end";
            return Err(Code::IntentUnknown.because(own).into());
        }
        let since = self.life.intents.get(&intent);
        let took_ms = since.map_or(0, |since| milliseconds(since.elapsed()));
        let result = ActionResult {
            intent,
            status: request.status,
            outputs: request.outputs,
            duration_ms: request.duration_ms.unwrap_or(took_ms),
            usage: request.usage,
            refs: request.refs,
        };
        let filed = self.agent.result(result, self.now_ms())?;
        self.life.intents.remove(&intent);
        self.life.newest.retain(|open| *open != intent);
        Ok(filed_answer(&filed))
    }

    fn outcome(
        &mut self,
        goal: Option<RecordHash>,
        verdict: Verdict,
        checks: Vec<Check>,
    ) -> Result<Answer, AgentError> {
        let goal = goal.unwrap_or(self.life.goal);
        let filed = self.agent.outcome(goal, verdict, checks, self.now_ms())?;
        self.life.goals.retain(|open| *open != goal);
        self.life.has_outcome |= goal == self.life.goal;
        Ok(filed_answer(&filed))
    }
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

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
