//! The clerk speaks for the agent: it answers whatever acts, and sends heartbeats.

mod answering;
mod leave;
mod observing;
mod stall;

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ledger::codes::Code;
use ledger::record::{AgentState, Status};
use ledger::text::Text;

use super::conversation::Reply;
use super::life::Life;
use super::prompt::{Prompt, Unlogged};
use super::request::Request;
use super::session::Roots;
use super::{Caller, Connection, RETRY, StandingGoal, with_sources};
use crate::agent::{Agent, AgentError};
use crate::submission::Logged;
use crate::transport::Transport;
use wire::Standing;

pub(crate) use leave::Asked;
pub(crate) use stall::Stall;

/// How many heartbeats may be refused in a row while nobody says where the agent stands.
const MAX_REFUSED_BEATS: u32 = 3;

/// What is to be done.
pub(crate) enum Job {
    /// Somebody says something and waits for the answer.
    Ask(Box<Request>, Connection, Reply),
    /// A connection was gone before it had read what it was answered.
    Unheard(Connection),
    /// A connection has ended.
    Gone(Connection),
    /// Something was logged about the agent: ask for its state.
    Look,
    /// CMD says that it is up.
    Up,
    /// CMD has ended.
    Finish,
}

/// What the log says about the agent.
pub(crate) enum News {
    /// It has answered.
    Standing(Standing),
    /// This process speaks for the agent no more.
    Fenced(String),
    /// What runs is not allowed any more.
    Denied(String),
    /// The lease is for another version now.
    OtherVersion(String),
    /// CMD, a job that told of its work, does so no more.
    Stalled(String),
}

/// Speaks for the agent during one life of CMD.
pub(crate) struct Clerk<'a, T> {
    pub(crate) agent: &'a mut Agent<T>,
    pub(crate) life: &'a mut Life,
    pub(crate) standing: Option<Standing>,
    pub(crate) requester: Text,
    pub(crate) heartbeat: Duration,
    pub(crate) is_away: bool,
    /// Until when the service asked to be left alone.
    pub(crate) left_alone_until: Instant,
    /// Whether the log refused what CMD asked last.
    pub(crate) was_refused: bool,
    /// How many heartbeats in a row were refused while nobody said where the agent stands.
    pub(crate) refused_beats: u32,
    /// Who waits because too much is open.
    pub(crate) waiting: VecDeque<Asked>,
    /// Where sessions work.
    pub(crate) roots: Roots,
    /// Answers in time beside a log that observes, where nobody may wait for the log.
    pub(crate) prompt: Option<Prompt>,
    /// What acted and was not logged, for the next beat.
    pub(crate) unlogged: Unlogged,
    /// The start of a service; `None` for a job.
    pub(crate) service: Option<StandingGoal>,
    /// How long a job has shown no work.
    pub(crate) stall: Stall,
    /// Gets what the log says about the agent.
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
            let due = [up_due, self.next_due()].into_iter().flatten();
            let due = due.fold(beat_due, Instant::min);
            match jobs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                // What cannot be learned now the next beat tells.
                Ok(Job::Look) => self.look_now(),
                Ok(Job::Up) => self.up("ready"),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Job::Finish) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(job) => self.hear(job),
            }
            self.look_after_what_is_open();
            if up_due.is_some_and(|up_due| Instant::now() >= up_due) {
                self.up("alive");
            }
            if Instant::now() >= beat_due {
                self.beat_or_look();
                self.renew();
                let pause = if self.is_away {
                    self.heartbeat.min(RETRY)
                } else {
                    self.heartbeat
                };
                beat_due = self.not_before(Instant::now() + pause);
            }
        }
    }

    /// Does what comes by the socket.
    pub(crate) fn hear(&mut self, job: Job) {
        match job {
            Job::Ask(request, connection, reply) => self.serve(*request, connection, reply),
            Job::Unheard(connection) => self.was_unheard(connection),
            Job::Gone(connection) => self.is_gone(connection),
            Job::Look | Job::Up | Job::Finish => {}
        }
    }

    /// When something that is open, or that waits for a place, has to be looked after.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(Asked::due).min();
        [waiting, self.life.open.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Closes what is about to outlast its permit, and tries again for who waits.
    pub(crate) fn look_after_what_is_open(&mut self) {
        let due = self.life.open.due(Instant::now());
        self.give_up(
            &due,
            Status::Timeout,
            "nothing was heard of it before its permit lapsed",
        );
        self.serve_waiting(!due.is_empty());
    }

    fn now_ms(&self) -> u64 {
        (self.caller.now_ms)()
    }

    /// That time, or a later one if the service asked to be left alone for longer.
    pub(crate) fn not_before(&self, due: Instant) -> Instant {
        due.max(self.left_alone_until)
    }

    /// Says how far it has got, and what was not logged: in a beat, or in the last one.
    fn say_beat(&mut self, is_final: bool) -> Result<Logged, AgentError> {
        let (progress, now_ms, unlogged) =
            (self.life.progress(), self.now_ms(), self.unlogged.count());
        let more = unlogged.to_value().map(|count| ("unlogged", count));
        let more = more.into_iter().collect();
        let (beat, was_signed) = match is_final {
            true => self.agent.goodbye_telling(progress, more, now_ms),
            false => self.agent.beat_telling(progress, more, now_ms),
        };
        let is_refused = beat.as_ref().is_err_and(|error| !error.is_away());
        if was_signed && !is_refused {
            // A beat that waits in the journal tells it once it is logged.
            self.unlogged.told(unlogged);
        }
        beat
    }

    /// Says goodbye.
    pub(crate) fn goodbye(&mut self) -> Result<(), AgentError> {
        self.say_beat(true).map(drop)
    }

    pub(crate) fn beat(&mut self) {
        match self.say_beat(false) {
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
        match service.renew(self.agent, now_ms) {
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

    /// Nothing speaks for a job that stands still; an order is heard all the same.
    fn beat_or_look(&mut self) {
        match self.stands_still() {
            true => self.look_now(),
            false => self.beat(),
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
                    "{MAX_REFUSED_BEATS} heartbeats were refused, and the service does not say what state the agent is in"
                );
                (self.news)(News::Fenced(why));
            }
            Err(_) => {}
        }
    }

    /// A lease that was granted meanwhile has opened an epoch, which is begun at once: it may be for less, or another version.
    pub(crate) fn look_now(&mut self) {
        if self.look().is_err() {
            return;
        }
        let epoch = self.agent.epoch();
        if self.standing.is_some_and(|standing| standing.epoch > epoch) {
            self.beat();
            self.renew();
        }
    }

    /// Asks for the agent's state, and tells the supervisor.
    fn look(&mut self) -> Result<(), AgentError> {
        let standing = self.agent.ask_standing()?;
        self.tell(standing);
        Ok(())
    }

    /// Tells the supervisor the agent's state, and people if it has changed.
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

    pub(crate) fn is_back(&mut self) {
        if std::mem::take(&mut self.is_away) {
            (self.caller.notice)("the service is back");
        }
    }

    pub(crate) fn note(&mut self, error: &AgentError) {
        let text = with_sources(error);
        let asked = error.asks_to_wait().unwrap_or_default();
        self.left_alone_until = self.left_alone_until.max(Instant::now() + asked);
        match error {
            AgentError::Away(_) if self.is_away => {}
            AgentError::Away(_) => {
                self.is_away = true;
                (self.caller.notice)(&format!(
                    "{text}; until then, what is said waits in the journal"
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

    /// A refusal does not tell where the agent stands, and it may be the denial that led into quarantine. CMD is not to
    /// go on until the next beat is refused, which may be a minute later.
    fn look_after_refusal(&mut self) {
        if std::mem::take(&mut self.was_refused) {
            // What cannot be learned now the next beat tells.
            let _ = self.look();
        }
    }
}

#[cfg(test)]
mod tests;
