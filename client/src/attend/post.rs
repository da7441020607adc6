//! The post: everything besides answering, until the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ledger::record::{AgentState, Charter, Liveness, Mode, Status, Verdict};
use ledger::text::Name;

use super::duty::Duty;
use super::{AttendError, Options};
use crate::agent::{Agent, AgentError};
use crate::manifest::again::Directory;
use crate::speaker::{
    Answer, By, Caller, Clerk, Connection, Desk, Job, Life, News, Prompt, RETRY, Reply, Request,
    Stall, Unlogged, with_sources,
};
use crate::transport::Transport;

/// How long a session may be silent, at most, before its goal ends.
const MAX_SILENCE: Duration = Duration::from_secs(600);

/// How long a service that is away is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(3);

/// The post.
pub(super) struct Post<'a, T> {
    pub(super) clerk: Clerk<'a, T>,
    pub(super) directory: &'a mut Directory,
    pub(super) duty: Duty,
    pub(super) liveness: Liveness,
    prompt: Option<Prompt>,
    news: Receiver<News>,
    idle: Duration,
    /// When something was asked last.
    asked: Instant,
    /// When the agent beats next, or is looked after where it does not.
    beat_due: Instant,
}

/// A life in which no program runs.
pub(super) fn life() -> Life {
    Life::new(None, Arc::default(), Arc::default(), 0)
}

impl<'a, T: Transport> Post<'a, T> {
    /// Begins: the agent runs, and nothing of what came before is left open.
    pub(super) fn begin(
        agent: &'a mut Agent<T>,
        directory: &'a mut Directory,
        life: &'a mut Life,
        desk: &Desk,
        unlogged: Unlogged,
        options: &Options,
        caller: Caller,
    ) -> Result<Self, AttendError> {
        let (told, news) = mpsc::channel();
        let (charter, duty) = first_duty(agent, caller)?;
        let liveness = charter.map_or_else(Liveness::default, |charter| charter.liveness);
        let clerk = Clerk {
            standing: agent.standing().copied(),
            agent,
            life,
            requester: options.requester.clone(),
            heartbeat: Duration::from_millis(liveness.heartbeat_ms),
            is_away: matches!(duty, Duty::Away),
            left_alone_until: Instant::now(),
            was_refused: false,
            refused_beats: 0,
            waiting: VecDeque::new(),
            roots: desk.roots.clone(),
            prompt: desk.prompt.clone(),
            unlogged,
            service: None,
            stall: Stall::after(Duration::from_millis(liveness.degraded_after_ms)),
            news: Box::new(move |news| {
                // It is heard as long as this post is kept.
                let _ = told.send(news);
            }),
            caller,
        };
        let now = Instant::now();
        let mut post = Self {
            clerk,
            directory,
            duty,
            liveness,
            prompt: desk.prompt.clone(),
            news,
            idle: options.idle,
            asked: now,
            beat_due: now,
        };
        post.set_mode();
        post.take_up()?;
        Ok(post)
    }

    pub(super) fn agent_name(&self) -> &Name {
        self.clerk.agent.name()
    }

    /// Answers, sends heartbeats and looks after what is open, until the end.
    pub(super) fn keep(&mut self, jobs: &mut Receiver<Job>) {
        loop {
            let (due, was_away) = (self.next_due(), self.clerk.is_away);
            match jobs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Job::Finish) | Err(RecvTimeoutError::Disconnected) => return self.leave(),
                Ok(Job::Look) => self.look_again(),
                Ok(Job::Ask(request, connection, reply)) => self.serve(*request, connection, reply),
                Ok(job) => self.clerk.hear(job),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // What was asked has found out that the service is away: whether it is back is not left to the next heartbeat.
            if self.clerk.is_away && !was_away {
                let retry = self.clerk.not_before(Instant::now() + RETRY);
                self.beat_due = self.beat_due.min(retry);
            }
            self.clerk.look_after_what_is_open();
            self.end_silent_sessions();
            self.end_left_goals();
            self.hear_news();
            if Instant::now() >= self.beat_due {
                self.stay_alive();
                self.hear_news();
                self.beat_due = self.clerk.not_before(Instant::now() + self.pause());
            }
            self.rest_if_idle();
        }
    }

    fn next_due(&self) -> Instant {
        let silent = self.clerk.life.sessions.next_silent(self.silence());
        let may_rest = matches!(self.duty, Duty::Speaks) && !self.has_work();
        let rests = may_rest.then(|| self.asked + self.idle);
        let left = self.clerk.life.goals.next_left(self.silence());
        let due = [silent, left, rests, self.clerk.next_due()];
        let due = due.into_iter().flatten();
        let beat = (!matches!(self.duty, Duty::Idle)).then_some(self.beat_due);
        let far = Instant::now() + Duration::from_secs(3600);
        due.chain(beat).fold(far, Instant::min)
    }

    fn serve(&mut self, request: Request, connection: Connection, reply: Reply) {
        if request.is_work() {
            self.asked = Instant::now();
            if matches!(self.duty, Duty::Idle) {
                self.wake();
            }
        }
        match self.why_not(&request) {
            None => self.clerk.serve(request, connection, reply),
            Some(_) if !self.clerk.agent.is_bound() => match &self.prompt {
                Some(prompt) if reply.claim() => reply.send(prompt.let_through(&request)),
                _ => {}
            },
            Some(answer) => reply.send(answer),
        }
    }

    /// Why leave is not even asked for; `None` if it is.
    fn why_not(&self, request: &Request) -> Option<Answer> {
        if !matches!(request, Request::Intent(_) | Request::Goal(_)) {
            return None;
        }
        let away = || {
            let why = "the log does not answer, and nothing new may begin without it";
            Answer::refused("service-away", why, By::Speaker)
        };
        match &self.duty {
            Duty::Away => Some(away()),
            _ if self.clerk.is_away => Some(away()),
            Duty::Heals => {
                let why = "the agent is being healed, and may not act before";
                Some(Answer::refused("state-forbids", why, By::Log))
            }
            Duty::Down { code, why } => Some(Answer::refused(code, why, By::Log)),
            Duty::Speaks | Duty::Idle => None,
        }
    }

    /// What the clerk has found out.
    pub(super) fn hear_news(&mut self) {
        for news in self.news.try_iter().collect::<Vec<_>>() {
            match news {
                News::Fenced(why) => self.is_fenced(&why),
                News::OtherVersion(why) => self.is_other_version(&why),
                News::Standing(standing) => {
                    if matches!(self.duty, Duty::Speaks)
                        && self.clerk.agent.is_bound()
                        && !matches!(standing.state, AgentState::Running | AgentState::Degraded)
                    {
                        self.is_fenced(&format!("the agent is {}", standing.state));
                    }
                }
                // A program is denied, or stalls, and none runs here.
                News::Denied(_) | News::Stalled(_) => {}
            }
        }
    }

    fn pause(&self) -> Duration {
        let heartbeat = self.heartbeat();
        match &self.duty {
            Duty::Heals => self.healing_beat(),
            Duty::Away => RETRY,
            Duty::Down { .. } => heartbeat.min(Duration::from_secs(10)),
            _ if self.clerk.is_away => heartbeat.min(RETRY),
            _ => heartbeat,
        }
    }

    pub(super) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.liveness.heartbeat_ms)
    }

    /// The rules count beats that are half a heartbeat apart; a little more, for the way to the log varies.
    fn healing_beat(&self) -> Duration {
        let heartbeat = self.heartbeat();
        (heartbeat / 2 + heartbeat / 20).max(heartbeat.min(Duration::from_millis(20)))
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(self.liveness.degraded_after_ms / 3).min(MAX_SILENCE)
    }

    /// A person thinks, and the agent is not to be taken for one that stands still: the goal ends, and the next action
    /// opens another.
    fn end_silent_sessions(&mut self) {
        for key in self.clerk.life.sessions.silent_for(self.silence()) {
            if let Err(error) = self.clerk.end_goal(&key) {
                self.clerk.note(&error);
            }
            // With something open, or a log that does not take it, it is not silent yet.
            if self.clerk.life.sessions.goal(&key).is_some() {
                self.clerk.life.sessions.touch(&key);
            }
        }
        for key in self.clerk.life.sessions.silent_for(self.idle) {
            if !self.clerk.life.open.has_open(&key) && self.clerk.life.sessions.goal(&key).is_none()
            {
                self.clerk.life.sessions.forget(&key);
            }
        }
    }

    /// Whoever set out for a goal is gone, as a host that died, and nobody goes on with it: it must not degrade the agent.
    fn end_left_goals(&mut self) {
        for goal in self.clerk.life.goals.left_for(self.silence()) {
            // With something open, or a log that does not take it, it is looked at again.
            self.clerk.life.goals.touch(goal);
            if self.clerk.life.open.is_any_for(goal) {
                continue;
            }
            if let Err(error) = self.clerk.outcome(goal, Verdict::Abandoned, Vec::new()) {
                self.clerk.note(&error);
            }
        }
    }

    fn has_work(&self) -> bool {
        let life = &self.clerk.life;
        life.open.len() > 0 || !life.goals.is_empty() || life.sessions.has_goals()
    }

    /// Nothing was asked for a long time: the agent is stopped, and keeps its lease.
    fn rest_if_idle(&mut self) {
        if !matches!(self.duty, Duty::Speaks) || self.has_work() || self.asked.elapsed() < self.idle
        {
            return;
        }
        match self.clerk.goodbye() {
            Ok(()) => {
                self.duty = Duty::Idle;
                self.notice(
                    "there was no request for a while: the agent says goodbye until the next one",
                );
            }
            Err(error) => {
                self.clerk.note(&error);
                self.asked = Instant::now();
            }
        }
    }

    /// The end: what is open is closed, goals are given up, and goodbye.
    fn leave(&mut self) {
        let open = self.clerk.life.open.all();
        self.clerk.give_up(
            &open,
            Status::Error,
            "dragons attend ended before its result",
        );
        for goal in self.clerk.life.take_goals() {
            if let Err(error) = self.clerk.outcome(goal, Verdict::Abandoned, Vec::new()) {
                self.clerk.note(&error);
            }
        }
        if matches!(self.duty, Duty::Idle) {
            return;
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let now_ms = self.now_ms();
            let left = self.clerk.agent.settle(now_ms);
            let left = left.and_then(|()| self.clerk.goodbye());
            match left {
                Err(error) if error.is_away() && Instant::now() < until => {
                    std::thread::sleep(RETRY);
                }
                Err(error) if error.is_away() => {
                    return self.notice("the service is away: what was signed waits in the journal for the next start");
                }
                Err(error) => return self.notice(&format!("warning: {}", with_sources(&error))),
                Ok(()) => return,
            }
        }
    }

    /// What is done at a beat is done as soon as the service lets it be.
    pub(super) fn beat_due_now(&mut self) {
        self.beat_due = self.clerk.not_before(Instant::now());
    }

    /// Whether the rules bind may have changed.
    pub(super) fn set_mode(&mut self) {
        let observes = !self.clerk.agent.is_bound();
        if let Some(prompt) = &self.prompt {
            prompt.observes(observes);
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        (self.clerk.caller.now_ms)()
    }

    pub(super) fn notice(&self, words: &str) {
        (self.clerk.caller.notice)(words);
    }
}

/// Begins to speak. Beside a log that is known to observe, a service that is away keeps nobody from it.
fn first_duty<T: Transport>(
    agent: &mut Agent<T>,
    caller: Caller,
) -> Result<(Option<Charter>, Duty), AgentError> {
    let began = agent.charter().and_then(|charter| {
        let duty = Duty::begin(agent, &charter, caller)?;
        Ok((Some(charter), duty))
    });
    match began {
        Err(error) if error.is_away() && !agent.is_bound() => {
            (caller.notice)(&format!(
                "the log only observes, so nothing waits for it: {}",
                with_sources(&error)
            ));
            Ok((None, Duty::Away))
        }
        began => began,
    }
}

/// Whether the rules of a charter bind.
pub(super) fn binds(charter: &Charter) -> bool {
    charter.mode == Mode::Enforce
}
