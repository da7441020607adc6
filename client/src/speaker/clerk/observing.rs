//! With a log that observes, an action never waits: it is signed into the journal, answered, and then submitted.

use std::time::Duration;

use ledger::digest::RecordHash;
use ledger::json::{Value, object};

use super::Clerk;
use super::answering::title_of;
use super::leave::action_of;
use crate::agent::{Action, AgentError};
use crate::speaker::answer::Answer;
use crate::speaker::conversation::Reply;
use crate::speaker::open::{Connection, OpenAction};
use crate::speaker::prompt::Prompt;
use crate::speaker::request::{GoalRequest, IntentRequest};
use crate::speaker::session::SessionKey;
use crate::transport::Transport;

impl<T: Transport> Clerk<'_, T> {
    /// Whether nobody waits for the log.
    pub(super) fn lets_through(&self) -> bool {
        self.prompt.is_some() && !self.agent.is_bound()
    }

    /// Lets somebody set out for something. What cannot be signed now is let go: nobody could name it.
    pub(super) fn let_set_out(
        &mut self,
        request: GoalRequest,
        connection: Connection,
        reply: Reply,
    ) {
        if !reply.claim() && request.session.is_none() {
            return;
        }
        if let Some(known) = self.known_goal(request.session.as_ref()) {
            return reply.send(known);
        }
        let requester = request.requester.unwrap_or_else(|| self.requester.clone());
        let now_ms = self.now_ms();
        let announced = self
            .has_all_logged()
            .then(|| self.agent.announce_goal(request.title, requester, now_ms));
        match announced {
            Some(Ok(goal)) => {
                self.set_out(goal, request.session, connection);
                let signed = object([("record", goal.into()), ("waits", true.into())]);
                reply.send(Answer::with(signed));
                self.hand_in();
            }
            Some(Err(error)) => {
                self.note(&error);
                reply.send(Answer::goal_let_go());
            }
            None => reply.send(Answer::goal_let_go()),
        }
    }

    /// Whether what was signed before is logged: what is signed behind something that waits would wait as long.
    fn has_all_logged(&self) -> bool {
        !self.is_away && self.agent.journal().book().pending().is_empty()
    }

    /// Hands in what waits in the journal. Whether the service took it.
    fn hand_in(&mut self) -> bool {
        match self.agent.settle(self.now_ms()) {
            Ok(()) => self.is_back(),
            Err(error) => {
                self.note(&error);
                return false;
            }
        }
        self.report();
        true
    }

    /// Lets somebody act. What cannot be signed now is counted, and let through all the same.
    pub(super) fn let_act(
        &mut self,
        request: &IntentRequest,
        connection: Connection,
        reply: Reply,
    ) {
        if !reply.claim() {
            return;
        }
        let announced = self
            .has_all_logged()
            .then(|| self.announce(request, connection));
        let (answer, intent) = match announced {
            Some(Ok((answer, intent))) => (answer, intent),
            Some(Err(error @ AgentError::NoSuchRecord(_))) => (Answer::failed(&error), None),
            Some(Err(error)) => {
                self.note(&error);
                (self.let_through(), None)
            }
            None => (self.let_through(), None),
        };
        reply.send(answer);
        if let Some(intent) = intent {
            self.deliver(intent);
        }
    }

    fn let_through(&self) -> Answer {
        self.prompt
            .as_ref()
            .map_or_else(Answer::done, Prompt::let_act)
    }

    /// Signs the intent, and the goal of its session if need be. No intent is given if it is open already.
    fn announce(
        &mut self,
        request: &IntentRequest,
        connection: Connection,
    ) -> Result<(Answer, Option<RecordHash>), AgentError> {
        if let Some(same) = self.same(request, connection)? {
            return Ok((same, None));
        }
        let session = request.about.session.as_ref();
        let goal = match self.goal_meant(request.goal, session, connection) {
            Ok(goal) => goal,
            Err(_) => {
                let key = SessionKey::of(session, connection);
                let (title, requester) = (title_of(&key).parse()?, self.requester.clone());
                let goal = self.agent.announce_goal(title, requester, self.now_ms())?;
                self.life.sessions.set_out(&key, goal);
                goal
            }
        };
        let doing = self.doing(request, goal)?;
        let now_ms = self.now_ms();
        let intent = self.agent.announce(&action_of(&doing, request), now_ms)?;
        let permitted_ms = self.agent.manifest().max_inflight_ms;
        let permit = object([
            ("intent", intent.into()),
            ("index", Value::Null),
            ("received_ms", Value::Null),
            ("lapses_ms", now_ms.saturating_add(permitted_ms).into()),
        ]);
        let permitted = Duration::from_millis(permitted_ms);
        let opened = OpenAction::new(intent, connection, doing, permit.clone(), permitted);
        self.life.open.begin(opened);
        self.life.goals.act(goal, connection);
        Ok((Answer::with(permit), Some(intent)))
    }

    /// Hands in what was announced. While the service is away it waits in the journal.
    fn deliver(&mut self, intent: RecordHash) {
        if !self.hand_in() {
            return;
        }
        if !self
            .agent
            .journal()
            .book()
            .open_intents()
            .contains_key(&intent)
            && let Err(error) = self.announce_again(intent)
        {
            self.note(&error);
            self.life
                .open
                .end(intent, object([("waits", true.into())]), false);
            self.unlogged.add(self.now_ms());
        }
    }

    /// It was announced in an epoch that a new lease has ended meanwhile: it is said in the one that is in force.
    fn announce_again(&mut self, intent: RecordHash) -> Result<(), AgentError> {
        let Some(open) = self.life.open.find(intent) else {
            return Ok(());
        };
        let (doing, key) = (open.doing.clone(), open.session());
        let mut goal = doing.goal;
        if !self.agent.journal().book().open_goals().contains(&goal) {
            self.life.sessions.end_goal(goal);
            goal = self.goal_of_session(&key)?;
        }
        let mut action = Action::new(goal, doing.scope.clone());
        action.tool = doing.tool;
        let permit = self.agent.intent(action, self.now_ms())?;
        self.life.open.rename(intent, permit.intent());
        Ok(())
    }
}
