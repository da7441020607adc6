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
use super::{Caller, Connection, RETRY, StandingGoal, with_sources};
use crate::agent::{Action, ActionResult, Agent, AgentError, Filed};
use crate::http::Standing;
use crate::submission::Logged;
use crate::transport::Transport;

/// How many heartbeats may be refused in a row while nobody says where the agent stands.
const MAX_REFUSED_BEATS: u32 = 3;

/// What is to be done.
pub(crate) enum Job {
    /// CMD says something and waits for the answer.
    Ask(Box<Request>, Connection, Sender<Answer>),
    /// Something was logged about the agent: where it stands now is to be asked.
    Look,
    /// CMD says that it is up.
    Up,
    /// CMD has ended.
    Finish,
}

/// What the log says of the agent.
pub(crate) enum News {
    /// It has answered.
    Standing(Standing),
    /// This process speaks for the agent no more.
    Fenced(String),
    /// What runs is not allowed any more.
    Denied(String),
    /// The lease is for another version now.
    OtherVersion(String),
    /// CMD, which told of its work, does so no more.
    Stalled(String),
}

/// How long progress has stood still.
pub(crate) struct Stall {
    progress: u64,
    since: Instant,
    most: Duration,
}

impl Stall {
    pub(crate) fn after(most: Duration) -> Self {
        Self {
            progress: 0,
            since: Instant::now(),
            most,
        }
    }

    /// How long it has stood still, if that is too long.
    fn look(&mut self, progress: u64) -> Option<Duration> {
        if progress > self.progress {
            self.progress = progress;
            self.since = Instant::now();
        }
        let silence = self.since.elapsed();
        (silence >= self.most).then_some(silence)
    }
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
    /// How many heartbeats in a row were refused while nobody said where the agent stands.
    pub(crate) refused_beats: u32,
    /// The start of a service; `None` for a job.
    pub(crate) service: Option<StandingGoal>,
    /// How far CMD had got when that changed last, and how long it may stay.
    pub(crate) stall: Stall,
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
            let up_due = self.service.as_ref().and_then(StandingGoal::up_due);
            let due = up_due.map_or(beat_due, |up_due| up_due.min(beat_due));
            match jobs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Job::Ask(request, connection, reply)) => {
                    let answer = self.answer(*request, connection);
                    self.report();
                    // Whoever hung up meanwhile does not want it.
                    let _ = reply.send(answer);
                    self.look_after_refusal();
                }
                // What cannot be learned now the next beat tells.
                Ok(Job::Look) => self.look_now(),
                Ok(Job::Up) => self.up("ready"),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Job::Finish) | Err(RecvTimeoutError::Disconnected) => return,
            }
            if up_due.is_some_and(|up_due| Instant::now() >= up_due) {
                self.up("alive");
            }
            if Instant::now() >= beat_due {
                self.beat();
                self.renew();
                self.look_for_stall();
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
            Ok(_) => {
                self.refused_beats = 0;
                self.is_back();
            }
            Err(error) => {
                self.note(&error);
                self.look_after_refused_beat(&error);
            }
        }
        self.report();
    }

    fn up(&mut self, how: &str) {
        let now_ms = self.now_ms();
        if let Some(service) = &self.service
            && let Err(error) = service.is_up(self.agent, self.life, how, now_ms)
        {
            self.note(&error);
        }
    }

    /// A lease that was granted meanwhile may allow less.
    fn renew(&mut self) {
        use Code::{BudgetExceeded, CapabilityMissing, ScopeDenied};
        let now_ms = self.now_ms();
        let Some(service) = &mut self.service else {
            return;
        };
        match service.renew(self.agent, self.life, now_ms) {
            Err(AgentError::Refused(problem)) => {
                let denials = [ScopeDenied, CapabilityMissing, BudgetExceeded];
                if problem.code.is_some_and(|code| denials.contains(&code)) {
                    let why = format!("the new lease does not allow the program: {problem}");
                    (self.news)(News::Denied(why));
                }
            }
            Err(error) => self.note(&error),
            Ok(()) => {}
        }
    }

    /// A job has an open intent, which counts as work in the log. What has told of its work and stops to do so is not let
    /// hide behind it; a service has none.
    fn look_for_stall(&mut self) {
        if self.service.is_some() || !self.life.tells_of_its_work() {
            return;
        }
        if let Some(silence) = self.stall.look(self.life.progress()) {
            let why = format!("the program shows no progress for {} s", silence.as_secs());
            (self.news)(News::Stalled(why));
        }
    }

    /// A beat that is refused, for whatever reason, tells nothing of where the agent stands, and an order would never be
    /// heard. So that is asked for; where nobody says it, a few of them are as good as an order.
    fn look_after_refused_beat(&mut self, error: &AgentError) {
        if error.is_away() {
            return;
        }
        self.refused_beats += 1;
        match self.look() {
            Ok(()) => self.refused_beats = 0,
            Err(_) if self.refused_beats >= MAX_REFUSED_BEATS => {
                let why = format!(
                    "{MAX_REFUSED_BEATS} heartbeats were refused, and the service does not say where the agent stands"
                );
                (self.news)(News::Fenced(why));
            }
            Err(_) => {}
        }
    }

    /// A lease that was granted meanwhile has opened an epoch, which is begun at once: it may be for less, or another version.
    fn look_now(&mut self) {
        if self.look().is_err() {
            return;
        }
        let epoch = self.agent.epoch();
        if self.standing.is_some_and(|standing| standing.epoch > epoch) {
            self.beat();
            self.renew();
        }
    }

    /// Asks where the agent stands, and tells the supervisor.
    fn look(&mut self) -> Result<(), AgentError> {
        let standing = self.agent.ask_standing()?;
        self.tell(standing);
        Ok(())
    }

    /// Tells the supervisor where the agent stands, and people if that has changed.
    fn report(&mut self) {
        if let Some(standing) = self.agent.standing().copied().or(self.standing) {
            self.tell(standing);
        }
    }

    fn tell(&mut self, standing: Standing) {
        let last = self.standing.replace(standing);
        self.tell_of_turn(last.map(|last| last.state), standing.state);
        (self.news)(News::Standing(standing));
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
            AgentError::OtherVersion { .. } => (self.news)(News::OtherVersion(text)),
            _ => (self.caller.notice)(&format!("warning: {text}")),
        }
    }

    fn answer(&mut self, request: Request, connection: Connection) -> Answer {
        let answer = match request {
            Request::Goal { title, requester } => self.goal(title, requester),
            Request::Intent(request) => self.ask_leave(*request, connection),
            Request::Result(request) => self.result(*request, connection),
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
        if std::mem::take(&mut self.was_refused) {
            // What cannot be learned now the next beat tells.
            let _ = self.look();
        }
    }

    fn goal(&mut self, title: Text, requester: Option<Text>) -> Result<Answer, AgentError> {
        let requester = requester.unwrap_or_else(|| self.requester.clone());
        let logged = self.agent.goal(title, requester, self.now_ms())?;
        self.is_back();
        self.life.goals.push(logged.record());
        Ok(Answer::with(members(&logged)))
    }

    fn ask_leave(
        &mut self,
        request: IntentRequest,
        connection: Connection,
    ) -> Result<Answer, AgentError> {
        let tool = self.tool_of(&request)?;
        let action = Action {
            goal: request.goal.unwrap_or(self.life.goal),
            scope: request.scope,
            tool: Some(tool),
            inputs: request.inputs,
            parents: request.parents,
            reserve: request.reserve,
            script: None,
        };
        let permit = self.agent.intent(action, self.now_ms())?;
        self.is_back();
        self.life.open.begin(permit.intent(), connection);
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

    fn result(
        &mut self,
        request: ResultRequest,
        connection: Connection,
    ) -> Result<Answer, AgentError> {
        let intent = match request.intent {
            Some(intent) => intent,
            None => self.life.open.meant_on(connection)?,
        };
        if intent == self.life.intent {
            let own = "the intent of the program itself is closed by its end";
            return Err(Code::IntentUnknown.because(own).into());
        }
        let since = self.life.open.since(intent);
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
        self.life.open.end(intent);
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

#[cfg(test)]
mod tests;
