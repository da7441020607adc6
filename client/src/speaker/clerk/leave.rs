//! Asking for permission: at once, or once there is a place among the open actions.

use std::time::{Duration, Instant};

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::govern::MAX_OPEN;
use ledger::json::object;
use ledger::record::ToolUse;

use super::Clerk;
use crate::agent::{Action, AgentError};
use crate::speaker::answer::Answer;
use crate::speaker::conversation::Reply;
use crate::speaker::open::{Connection, Doing, OpenAction};
use crate::speaker::request::IntentRequest;
use crate::speaker::session::SessionKey;
use crate::transport::Transport;

/// How long somebody waits for a place among the open actions who does not say how long.
const WAITING: Duration = Duration::from_secs(30);

/// How soon it is tried again where the log alone knows what is open.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A request for permission waits.
pub(crate) struct Asked {
    request: Box<IntentRequest>,
    connection: Connection,
    reply: Reply,
    until: Instant,
    /// When it is tried next, if nothing ends before.
    again: Instant,
}

impl Asked {
    pub(super) fn new(request: Box<IntentRequest>, connection: Connection, reply: Reply) -> Self {
        let most = request.deadline_ms.map_or(WAITING, Duration::from_millis);
        let now = Instant::now();
        Self {
            request,
            connection,
            reply,
            until: now.checked_add(most).unwrap_or(now + WAITING),
            again: now,
        }
    }

    pub(super) fn due(&self) -> Instant {
        self.until.min(self.again)
    }
}

impl<T: Transport> Clerk<'_, T> {
    pub(super) fn take_intent(&mut self, mut asked: Asked) {
        let answer = match self.ask_leave(&asked.request, asked.connection) {
            Err(error) if error.code() == Some(Code::TooManyOpen) => {
                if Instant::now() < asked.until {
                    asked.again = Instant::now() + TRY_AGAIN;
                    self.waiting.push_back(asked);
                    return;
                }
                Err(error)
            }
            answer => answer,
        };
        self.hand_over(answer, asked.reply);
    }

    /// Tries again for those who wait because too much was open: in their order, when something has ended or their time
    /// has come.
    pub(super) fn serve_waiting(&mut self, has_ended: bool) {
        let now = Instant::now();
        for _ in 0..self.waiting.len() {
            let Some(asked) = self.waiting.pop_front() else {
                return;
            };
            let has_place = has_ended && self.life.open.len() < MAX_OPEN;
            if has_place || asked.due() <= now {
                self.take_intent(asked);
            } else {
                self.waiting.push_back(asked);
            }
        }
    }

    fn ask_leave(
        &mut self,
        request: &IntentRequest,
        connection: Connection,
    ) -> Result<Answer, AgentError> {
        if let Some(same) = self.same(request, connection)? {
            return Ok(same);
        }
        if self.life.open.len() >= MAX_OPEN && self.agent.is_bound() {
            let why = format!("{MAX_OPEN} intents are open");
            return Err(Code::TooManyOpen.because(why).into());
        }
        let goal = self.goal_of(request, connection)?;
        let doing = self.doing(request, goal)?;
        let permit = self
            .agent
            .intent(action_of(&doing, request), self.now_ms())?;
        self.is_back();
        let permitted = permit
            .inflight_ends_ms()
            .saturating_sub(permit.received_ms());
        let permitted = Duration::from_millis(permitted);
        let value = permit.to_value();
        let opened = OpenAction::new(permit.intent(), connection, doing, value.clone(), permitted);
        self.life.open.begin(opened);
        self.life.goals.act(goal, connection);
        Ok(Answer::with(value))
    }

    /// The permit of the same action, if it is open already.
    pub(super) fn same(
        &mut self,
        request: &IntentRequest,
        connection: Connection,
    ) -> Result<Option<Answer>, AgentError> {
        if request.about.session.is_some() || self.life.program.is_none() {
            let key = SessionKey::of(request.about.session.as_ref(), connection);
            self.life.sessions.touch(&key);
        }
        let same = self.life.open.same(&request.about, &request.scope)?;
        let again = || object([("same", true.into())]);
        Ok(same.map(|same| Answer::with(same.permit.clone()).and(again())))
    }

    pub(super) fn doing(
        &self,
        request: &IntentRequest,
        goal: RecordHash,
    ) -> Result<Doing, Refusal> {
        Ok(Doing {
            goal,
            scope: request.scope.clone(),
            tool: self.tool_of(request)?,
            about: request.about.clone(),
        })
    }

    /// The tool that is named, or the program; the agent's own code if there is neither.
    fn tool_of(&self, request: &IntentRequest) -> Result<Option<ToolUse>, Refusal> {
        let Some(name) = &request.tool else {
            return Ok(self
                .life
                .program
                .as_ref()
                .map(|program| program.tool.clone()));
        };
        let tools = &self.agent.manifest().tools;
        let listed = || tools.iter().find(|tool| tool.name == *name);
        let digest = request.digest.or_else(|| listed().map(|tool| tool.digest));
        let unknown =
            || Code::Malformed.because(format!("no tool {name} in the manifest, and no digest"));
        Ok(Some(ToolUse {
            name: name.clone(),
            digest: digest.ok_or_else(unknown)?,
        }))
    }
}

pub(super) fn action_of(doing: &Doing, request: &IntentRequest) -> Action {
    let mut action = Action::new(doing.goal, doing.scope.clone());
    action.tool.clone_from(&doing.tool);
    action.inputs.clone_from(&request.inputs);
    action.parents.clone_from(&request.parents);
    action.reserve = request.reserve;
    action
}
