//! What a clerk does with each line.

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::json::{Value, object};
use ledger::record::{Check, Status, Verdict};

use super::Clerk;
use super::leave::Asked;
use crate::agent::{Action, ActionResult, AgentError, Filed};
use crate::speaker::answer::Answer;
use crate::speaker::conversation::Reply;
use crate::speaker::open::{ClosedAction, Connection, Meant, merged};
use crate::speaker::request::{
    Cancel, End, GoalRequest, IntentRequest, MEMBERS, PROTOCOL, Request, ResultRequest,
    SessionRequest,
};
use crate::speaker::session::{SessionKey, SessionName};
use crate::transport::Transport;

impl<T: Transport> Clerk<'_, T> {
    /// Answers a line.
    pub(crate) fn serve(&mut self, request: Request, connection: Connection, reply: Reply) {
        self.life.open.heard_of(connection);
        match request {
            Request::Intent(request) if self.lets_through() => {
                self.let_act(&request, connection, reply);
            }
            Request::Intent(request) => {
                self.take_intent(Asked::new(request, connection, reply));
            }
            Request::Goal(request) if self.lets_through() => {
                self.let_set_out(*request, connection, reply);
            }
            request => {
                // A progress line carries a number, which may be the same as before, so it does not count as work by itself.
                let is_work = !matches!(request, Request::Hello | Request::Progress { .. });
                let answer = self.answer(request, connection);
                if is_work && answer.is_ok() {
                    self.stall.moved();
                }
                self.hand_over(answer, reply);
                self.serve_waiting(true);
            }
        }
    }

    pub(super) fn hand_over(&mut self, answer: Result<Answer, AgentError>, reply: Reply) {
        let answer = answer.unwrap_or_else(|error| {
            match &error {
                AgentError::Refused(_) => self.was_refused = true,
                AgentError::NoSuchRecord(_) => {}
                error => self.note(error),
            }
            Answer::failed(&error)
        });
        self.report();
        reply.send(answer);
        self.look_after_refusal();
    }

    fn answer(&mut self, request: Request, connection: Connection) -> Result<Answer, AgentError> {
        match request {
            Request::Hello => Ok(self.hello()),
            Request::Goal(request) => self.goal(*request, connection),
            Request::Intent(_) => Err(Code::Internal.because("an intent waits by itself").into()),
            Request::Result(request) => self.result(&request, connection),
            Request::Outcome {
                goal,
                session,
                verdict,
                checks,
            } => {
                let goal = self.goal_meant(goal, session.as_ref(), connection)?;
                self.outcome(goal, verdict, checks)
            }
            Request::Session(request) => self.session(*request),
            Request::Progress { steps, session } => {
                self.life.steps.count(session, steps);
                Ok(Answer::done())
            }
            Request::Disclose(place) => match self.agent.journal().disclosure(&place) {
                Ok(Some(disclosure)) => Ok(Answer::disclosed(&disclosure)),
                Ok(None) => Err(Code::NotFound.because("no such commitment").into()),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn hello(&self) -> Answer {
        let members = MEMBERS.map(|(line, names)| {
            let names = names.iter().map(|name| Value::from(*name));
            (line, Value::Array(names.collect()))
        });
        let mode = if self.agent.is_bound() {
            "enforce"
        } else {
            "observe"
        };
        Answer::with(object([
            ("protocol", PROTOCOL.into()),
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("agent", self.agent.name().into()),
            ("epoch", self.agent.epoch().into()),
            ("mode", mode.into()),
            ("members", object(members)),
        ]))
    }

    fn goal(&mut self, request: GoalRequest, connection: Connection) -> Result<Answer, AgentError> {
        if let Some(known) = self.known_goal(request.session.as_ref()) {
            return Ok(known);
        }
        let requester = request.requester.unwrap_or_else(|| self.requester.clone());
        let logged = self.agent.goal(request.title, requester, self.now_ms())?;
        self.is_back();
        self.set_out(logged.record(), request.session, connection);
        Ok(Answer::logged(&logged))
    }

    /// The goal that a session has already.
    pub(super) fn known_goal(&self, session: Option<&SessionName>) -> Option<Answer> {
        let key = session.map(|name| SessionKey::Named(name.clone()))?;
        let known = self.life.sessions.goal(&key)?;
        Some(Answer::with(object([
            ("record", known.into()),
            ("waits", false.into()),
            ("known", true.into()),
        ])))
    }

    /// A goal is the session's, or that of the connection which has set out for it.
    pub(super) fn set_out(
        &mut self,
        goal: RecordHash,
        session: Option<SessionName>,
        connection: Connection,
    ) {
        match session {
            Some(name) => self.life.sessions.set_out(&SessionKey::Named(name), goal),
            None => self.life.goals.set_out(goal, connection),
        }
    }

    /// The goal that a line means which may name one, or a session.
    pub(super) fn goal_meant(
        &self,
        goal: Option<RecordHash>,
        session: Option<&SessionName>,
        connection: Connection,
    ) -> Result<RecordHash, Refusal> {
        let program = self.life.program.as_ref().filter(|_| session.is_none());
        let of_session = || {
            self.life
                .sessions
                .goal(&SessionKey::of(session, connection))
        };
        let known = goal.or_else(|| program.map(|program| program.goal));
        let none = || Code::GoalUnknown.because("the session has no open goal");
        known.or_else(of_session).ok_or_else(none)
    }

    /// The goal that an action is for. That of a session opens with its first action.
    pub(super) fn goal_of(
        &mut self,
        request: &IntentRequest,
        connection: Connection,
    ) -> Result<RecordHash, AgentError> {
        let session = request.about.session.as_ref();
        if request.goal.is_some() || (session.is_none() && self.life.program.is_some()) {
            return Ok(self.goal_meant(request.goal, session, connection)?);
        }
        self.goal_of_session(&SessionKey::of(session, connection))
    }

    pub(super) fn goal_of_session(&mut self, key: &SessionKey) -> Result<RecordHash, AgentError> {
        if let Some(goal) = self.life.sessions.goal(key) {
            return Ok(goal);
        }
        let title = title_of(key).parse()?;
        let requester = self.requester.clone();
        let goal = self.agent.goal(title, requester, self.now_ms())?.record();
        self.life.sessions.set_out(key, goal);
        Ok(goal)
    }

    fn result(
        &mut self,
        request: &ResultRequest,
        connection: Connection,
    ) -> Result<Answer, AgentError> {
        if let Some(session) = &request.session {
            self.life
                .sessions
                .touch(&SessionKey::Named(session.clone()));
        }
        let own = self.life.program.as_ref().map(|program| program.intent);
        match self.life.open.meant(request, connection)? {
            Meant::Open(intents) if intents.iter().any(|intent| Some(*intent) == own) => {
                let own = "the intent of the program itself is closed by its end";
                Err(Code::IntentUnknown.because(own).into())
            }
            Meant::Open(intents) => self.close_all(&intents, request),
            Meant::Closed(closed) if closed.was_given_up => self.tell_late(&closed, request),
            Meant::Closed(closed) => {
                let again = Answer::with(closed.answer);
                Ok(again.and(object([("again", true.into())])))
            }
        }
    }

    /// Ends the parts of a call. What came out is told with the first.
    fn close_all(
        &mut self,
        intents: &[RecordHash],
        request: &ResultRequest,
    ) -> Result<Answer, AgentError> {
        let mut outputs = request.outputs.clone();
        let mut answer = Answer::done();
        for intent in intents {
            let result = ActionResult {
                outputs: std::mem::take(&mut outputs),
                ..result_of(*intent, request)
            };
            answer = Answer::filed(&self.close(result, request.duration_ms, false)?);
        }
        Ok(answer)
    }

    /// Ends an action, and remembers what it was.
    pub(super) fn close(
        &mut self,
        mut result: ActionResult,
        duration_ms: Option<u64>,
        was_given_up: bool,
    ) -> Result<Filed, AgentError> {
        let intent = result.intent;
        if let Some(open) = self.life.open.find(intent) {
            let took_ms = u64::try_from(open.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            result.duration_ms = duration_ms.unwrap_or(took_ms);
            result.refs = merged(result.refs, open.doing.refs());
            self.life.goals.touch(open.doing.goal);
        }
        let filed = self.agent.result(result, self.now_ms())?;
        let answer = object([
            ("record", filed.record().into()),
            ("waits", (!filed.is_logged()).into()),
        ]);
        self.life.open.end(intent, answer, was_given_up);
        Ok(filed)
    }

    /// Ends actions of which nothing is going to be heard in time.
    pub(crate) fn give_up(&mut self, intents: &[RecordHash], status: Status, why: &str) {
        for intent in intents {
            let mut result = ActionResult::of(*intent, status);
            let reason = "reason".parse().ok().zip(why.parse().ok());
            result.refs = reason.into_iter().collect();
            if let Err(error) = self.close(result, None, true) {
                self.note(&error);
                // What the log does not take now is in the journal; here it is over.
                self.life
                    .open
                    .end(*intent, object([("waits", true.into())]), true);
            }
        }
    }

    /// Something is heard of an action after it was given up: it is logged as one more, which says that it is late.
    fn tell_late(
        &mut self,
        closed: &ClosedAction,
        request: &ResultRequest,
    ) -> Result<Answer, AgentError> {
        let doing = &closed.doing;
        let session = doing.about.session.as_ref();
        let goal = match session {
            Some(name) => self.goal_of_session(&SessionKey::Named(name.clone()))?,
            None => doing.goal,
        };
        let mut action = Action::new(goal, doing.scope.clone());
        action.tool.clone_from(&doing.tool);
        action.parents = vec![closed.intent];
        action.is_late = true;
        let permit = self.agent.intent(action, self.now_ms())?;
        self.life.open.was_told_late(closed.intent);
        let mut result = result_of(permit.intent(), request);
        result.outputs.clone_from(&request.outputs);
        result.duration_ms = request.duration_ms.unwrap_or_default();
        result.refs = merged(result.refs, doing.refs());
        let filed = self.agent.result(result, self.now_ms())?;
        Ok(Answer::filed(&filed).and(object([("late", true.into())])))
    }

    fn session(&mut self, request: SessionRequest) -> Result<Answer, AgentError> {
        let root = self.roots.pin(&request.session, request.root.as_ref());
        let key = SessionKey::Named(request.session);
        self.life.sessions.touch(&key);
        let cancel = match request.end {
            Some(End::Session) => Some(Cancel::All),
            _ => request.cancel,
        };
        if let Some(cancel) = cancel {
            let intents = self.life.open.to_cancel(&key, &cancel);
            self.give_up(&intents, Status::Cancelled, "the host did not carry it out");
        }
        match request.end {
            Some(End::Turn) => self.end_goal(&key)?,
            Some(End::Session) => {
                self.end_goal(&key)?;
                self.life.sessions.forget(&key);
                if let SessionKey::Named(name) = &key {
                    self.roots.forget(name);
                    self.life.steps.end(name);
                }
            }
            None => {}
        }
        let (root, goal) = (
            root.as_ref().map(|root| root.as_str()),
            self.life.sessions.goal(&key),
        );
        Ok(Answer::with(object([
            ("root", root.into()),
            ("goal", goal.into()),
        ])))
    }

    /// A session has done what it was about for now. With something open it goes on.
    pub(crate) fn end_goal(&mut self, key: &SessionKey) -> Result<(), AgentError> {
        match self.life.sessions.goal(key) {
            Some(goal) if !self.life.open.has_open(key) => {
                self.outcome(goal, Verdict::Partial, Vec::new()).map(drop)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn outcome(
        &mut self,
        goal: RecordHash,
        verdict: Verdict,
        checks: Vec<Check>,
    ) -> Result<Answer, AgentError> {
        let filed = self.agent.outcome(goal, verdict, checks, self.now_ms())?;
        self.life.goals.end(goal);
        self.life.sessions.end_goal(goal);
        let own = self.life.program.as_ref().map(|program| program.goal);
        self.life.has_outcome |= Some(goal) == own;
        Ok(Answer::filed(&filed))
    }

    /// A connection was gone before it had read its permit: whoever asked does not act, if the rules bind.
    pub(super) fn was_unheard(&mut self, connection: Connection) {
        if self.agent.is_bound() {
            let intents = self.life.open.unread_by(connection);
            self.give_up(&intents, Status::Cancelled, "nobody read the permit");
            self.serve_waiting(true);
        }
    }

    /// A connection is gone. If it was a session, that is over; what it began may still be told of by another.
    pub(super) fn is_gone(&mut self, connection: Connection) {
        let key = SessionKey::Connection(connection);
        if !self.life.open.has_open(&key) {
            if let Err(error) = self.end_goal(&key) {
                self.note(&error);
            }
            self.life.sessions.forget(&key);
        }
        self.life.goals.leave(connection);
        self.life.open.forget(connection);
    }
}

fn result_of(intent: RecordHash, request: &ResultRequest) -> ActionResult {
    let mut result = ActionResult::of(intent, request.status);
    result.usage = request.usage;
    // Nobody else will know that the two were only taken to belong together.
    let is_paired = request.intent.is_none() && request.call.is_none() && request.pair.is_some();
    let paired = "paired".parse().ok().zip("by-order".parse().ok());
    result.refs = merged(request.refs.clone(), paired.filter(|_| is_paired));
    result
}

pub(super) fn title_of(key: &SessionKey) -> String {
    match key {
        SessionKey::Connection(_) => "what a connection asked for".to_owned(),
        SessionKey::Named(SessionName {
            host: Some(host),
            session,
        }) => {
            format!("session {session} of {host}")
        }
        SessionKey::Named(SessionName {
            host: None,
            session,
        }) => format!("session {session}"),
    }
}
