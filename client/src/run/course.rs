//! The course of a run: one life of CMD after another, until nothing is left to do.
//!
//! ```text
//!            ┌── it failed, and is to be started again: after a pause ──┐
//!            ▼                                                          │
//! goal ──▶ intent ──▶ CMD ──▶ it ended ──▶ result ──────────────────────┴──▶ outcome ──▶ goodbye
//!            ▲                                │ by authority
//!            └── healed, in the new epoch ────┴──▶ stays down: quarantined, stopped, another process
//! ```

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use ledger::codes::Code;
use ledger::digest::RecordHash;
use ledger::escape;
use ledger::record::{AgentState, Mode, Status, ToolUse};

use super::child::Ready;
use super::closing::{self, Closing};
use super::heal::{Down, Healer};
use super::message::{Cut, End, Event};
use super::output::{Flow, Pump};
use super::program::Program;
use super::signals::{Signals, is_end};
use super::supervisor::{self, Watch};
use super::watcher::Watcher;
use super::{LeftBehind, Options, RunError, descendants};
use crate::agent::{Action, ActionResult, Agent, AgentError};
use crate::disclosure::Secret;
use crate::permit::Permit;
use crate::speaker::{Caller, Clerk, Job, Life, Socket, with_sources};
use crate::transport::Transport;

/// The longest pause before a program that failed is started again.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A run.
pub(super) struct Course<'a, T> {
    agent: &'a mut Agent<T>,
    options: &'a Options,
    caller: Caller,
    goal: RecordHash,
    mode: Mode,
    heartbeat: Duration,
    socket: Socket,
    jobs: Channel<Job>,
    events: Channel<Event>,
    watcher: Watcher,
    /// What is started next.
    program: Program,
    /// How often CMD was started again because it failed.
    restarts: u32,
}

type Channel<M> = (Sender<M>, Receiver<M>);

/// A life that is over.
pub(super) struct Over {
    life: Life,
    end: End,
}

/// What follows a life.
enum Next {
    Again,
    Done(ExitStatus),
}

impl<'a, T: Transport + Send> Course<'a, T> {
    /// Begins: everything that CMD needs is there before it is, and the agent runs and has a goal.
    pub(super) fn begin(
        agent: &'a mut Agent<T>,
        options: &'a Options,
        signals: Signals,
        caller: Caller,
    ) -> Result<Self, RunError> {
        descendants::adopt()?;
        let watcher = Watcher::start(&options.watcher)?;
        let socket = Socket::bind(&options.runtime)?;
        let jobs = mpsc::channel();
        socket.serve(&jobs.0, caller.notice)?;
        agent.start((caller.now_ms)())?;
        let charter = agent.charter()?;
        let events = signals.listen();
        let heartbeat = Duration::from_millis(charter.liveness.heartbeat_ms);
        let standing = agent.standing().map(|standing| standing.state);
        if charter.mode == Mode::Enforce && standing == Some(AgentState::Autohealing) {
            (caller.notice)("the agent is to be healed before it may act");
            let mut healer = Healer {
                agent: &mut *agent,
                heartbeat,
                directory: &options.directory,
                events: &events.1,
                caller,
            };
            healer.heal(&mut |_| ())?;
        }
        // A run that was killed, here or on a machine that is lost, could not say what came of what it had begun.
        agent.give_up_what_is_open((caller.now_ms)())?;
        let (title, requester) = (options.goal.clone(), options.requester.clone());
        let goal = agent.goal(title, requester, (caller.now_ms)())?.record();
        Ok(Self {
            program: options.program.clone(),
            mode: charter.mode,
            restarts: 0,
            agent,
            options,
            caller,
            goal,
            heartbeat,
            socket,
            jobs,
            events,
            watcher,
        })
    }

    /// The first life. Whatever keeps CMD from it is an error, and the goal is given up.
    pub(super) fn first(&mut self) -> Result<Over, RunError> {
        let first = self.live();
        if first.is_err() {
            let caller = self.caller;
            let agent = &mut *self.agent;
            Closing { agent, caller }.give_up(self.goal);
        }
        first
    }

    /// What follows the first life, until nothing is left to do.
    pub(super) fn go_on(mut self, first: Over) -> ExitStatus {
        let mut over = first;
        loop {
            match self.after(&mut over) {
                Next::Done(status) => return status,
                Next::Again => match self.again() {
                    Ok(next) => over = next,
                    Err(why) => return self.stay_down(&mut over, why),
                },
            }
        }
    }

    /// Asks for leave and runs CMD under it.
    fn live(&mut self) -> Result<Over, RunError> {
        self.forget_events()?;
        let ready = Ready::new(self.options.wants_terminal, &self.events.0)?;
        let now_ms = self.now_ms();
        let (permit, tool) = self.ask_leave(now_ms)?;
        let enforces = self.mode == Mode::Enforce;
        let watch = Watch {
            grace: self.options.grace,
            stop_ms: stop_before_lapse(&permit, now_ms, self.options.grace),
            enforces,
            left_behind: self
                .options
                .left_behind
                .unwrap_or(LeftBehind::by_mode(enforces)),
            caller: self.caller,
        };
        let steps = self.agent.progress();
        let life = Life::new(self.goal, &permit, tool, ready.lines(), steps);
        let lived = self.attend(life, ready, watch);
        if lived.is_err() {
            // A permit that nobody acted upon. What cannot be said now is settled by the next run.
            let result = ActionResult::of(permit.intent(), Status::Cancelled);
            let _ = self.agent.result(result, self.now_ms());
        }
        lived
    }

    /// The clerk works while the supervisor watches. An error means that CMD was not started: afterwards nothing fails.
    fn attend(&mut self, mut life: Life, ready: Ready, watch: Watch) -> Result<Over, RunError> {
        let (goal, intent) = (life.goal, life.intent);
        let news_of = self.events.0.clone();
        let clerk = Clerk {
            standing: self.agent.standing().copied(),
            agent: &mut *self.agent,
            life: &mut life,
            requester: self.options.requester.clone(),
            heartbeat: self.heartbeat,
            is_away: false,
            was_refused: false,
            news: Box::new(move |news| {
                // A supervisor that no longer listens has seen CMD end.
                let _ = news_of.send(Event::News(news));
            }),
            caller: self.caller,
        };
        let (jobs, job_queue) = (&self.jobs.0, &mut self.jobs.1);
        let (options, program, socket) = (self.options, &self.program, &self.socket);
        let (watcher, event_queue) = (&mut self.watcher, &self.events.1);
        let end = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("clerk".to_owned());
            let clerk = thread.spawn_scoped(scope, move || clerk.work(job_queue));
            let clerk = clerk.map_err(|source| RunError::Machine {
                what: "there is no thread for what the program says",
                source,
            })?;
            let running = ready.start(options, program, socket, goal, intent);
            let end =
                running.map(|running| supervisor::watch(running, watch, watcher, event_queue));
            // A clerk that is gone has nothing more to log, and has said why.
            let _ = jobs.send(Job::Finish);
            let _ = clerk.join();
            end
        })?;
        Ok(Over { life, end })
    }

    fn now_ms(&self) -> u64 {
        (self.caller.now_ms)()
    }

    /// What came in before CMD is there is about a life that is over, unless it is a signal to end.
    fn forget_events(&self) -> Result<(), RunError> {
        let ends = |event| match event {
            Event::Signal { number, .. } if is_end(number) => Some(number),
            _ => None,
        };
        let signal = self.events.1.try_iter().find_map(ends);
        signal.map_or(Ok(()), |number| Err(RunError::Signal(number)))
    }

    fn ask_leave(&mut self, now_ms: u64) -> Result<(Permit, ToolUse), RunError> {
        let program = &self.program;
        let nameless = || AgentError::from(Code::Malformed.because("the program has no name"));
        let tool = ToolUse {
            name: escape::name(program.name()).ok_or_else(nameless)?,
            digest: program.digest(),
        };
        let segment = escape::segment(program.name()).ok_or_else(nameless)?;
        let scope = format!("run:{segment}").parse().map_err(AgentError::from)?;
        let mut action = Action::new(self.goal, scope);
        action.tool = Some(tool.clone());
        let argv = Secret::kept("argv", program.argv()).map_err(AgentError::from)?;
        action.inputs = vec![argv];
        let permit = self.agent.intent(action, now_ms)?;
        if let Some(breach) = permit.breach() {
            (self.caller.notice)(&format!(
                "warning: the log only observes, and this breaks a rule: {breach}"
            ));
        }
        Ok((permit, tool))
    }

    fn after(&mut self, over: &mut Over) -> Next {
        let next = match over.end.cut {
            Some((Cut::Fenced, _)) => self.heal(over),
            _ if self.is_to_be_started_again(over) => self.back_off(over),
            _ => return self.finish(over),
        };
        match next {
            Ok(()) => Next::Again,
            Err(down) => Next::Done(self.stay_down(over, down)),
        }
    }

    fn heal(&mut self, over: &mut Over) -> Result<(), Down> {
        let caller = self.caller;
        self.healer().heal(&mut |agent| {
            // What came of the life before is said first of all in the new epoch.
            Closing { agent, caller }.life(&mut over.life, &over.end);
        })?;
        self.was_healed();
        Ok(())
    }

    fn was_healed(&mut self) {
        if let Some(program) = &self.options.on_heal {
            self.program = program.clone();
        }
    }

    fn is_to_be_started_again(&self, over: &Over) -> bool {
        let has_failed = match over.end.cut {
            None => !over.end.status.success(),
            Some((Cut::Lapsed, _)) => true,
            Some(_) => false,
        };
        let is_wanted = !over.end.was_asked_to_end && !over.life.has_outcome;
        has_failed && is_wanted && self.restarts < self.options.restarts.most
    }

    fn back_off(&mut self, over: &mut Over) -> Result<(), Down> {
        self.close(over);
        let (pause, most) = (self.options.restarts.pause, self.options.restarts.most);
        let pause = pause
            .saturating_mul(1 << self.restarts.min(16))
            .min(MAX_PAUSE);
        self.restarts += 1;
        let (n, status) = (self.restarts, over.end.status);
        (self.caller.notice)(&format!(
            "the program failed ({status}): started again in {} ms, {n} of {most}",
            pause.as_millis()
        ));
        if self.healer().back_off(pause)? {
            self.was_healed();
        }
        Ok(())
    }

    /// Another life, of the version that the lease is for, and of whatever the program is now.
    fn again(&mut self) -> Result<Over, Down> {
        self.healer().check_version()?;
        let program = self.program.read_again();
        self.program = program.map_err(|error| Down::Because(with_sources(&error)))?;
        self.live().map_err(|error| match error {
            RunError::Signal(number) => Down::Signal(number),
            error => Down::Because(with_sources(&error)),
        })
    }

    fn close(&mut self, over: &mut Over) {
        let caller = self.caller;
        let agent = &mut *self.agent;
        Closing { agent, caller }.life(&mut over.life, &over.end);
    }

    fn finish(&mut self, over: &mut Over) -> Next {
        let caller = self.caller;
        let agent = &mut *self.agent;
        Closing { agent, caller }.run(&mut over.life, &over.end, self.options.patience);
        Next::Done(self.deliver(over))
    }

    /// Waits until whoever takes the output has all of it, and tells how the run has ended then.
    fn deliver(&self, over: &mut Over) -> ExitStatus {
        let end = &mut over.end;
        while end.late.iter().any(|pump| pump.flow() == Flow::Goes) {
            match self.events.1.recv() {
                Ok(Event::Signal { number, .. }) if is_end(number) => {
                    return ExitStatus::from_raw(number);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let late = || end.late.iter().find_map(Pump::take_error);
        match end.undelivered.take().or_else(late) {
            Some(error) => {
                (self.caller.notice)(&format!("error: {}", closing::undelivered(&error)));
                failed(end.status)
            }
            None => end.status,
        }
    }

    fn stay_down(&mut self, over: &mut Over, down: Down) -> ExitStatus {
        let status = match down {
            Down::Signal(number) => ExitStatus::from_raw(number),
            Down::Because(why) => {
                (self.caller.notice)(&format!("the program is not started again: {why}"));
                over.end.status
            }
        };
        self.finish(over);
        status
    }

    fn healer(&mut self) -> Healer<'_, T> {
        Healer {
            agent: &mut *self.agent,
            heartbeat: self.heartbeat,
            directory: &self.options.directory,
            events: &self.events.1,
            caller: self.caller,
        }
    }
}

impl From<Down> for RunError {
    fn from(down: Down) -> Self {
        match down {
            Down::Signal(number) => Self::Signal(number),
            Down::Because(why) => Self::NotHealed(why),
        }
    }
}

/// A program that went well, and whose output did not, ends as one that could not write: with 1.
fn failed(status: ExitStatus) -> ExitStatus {
    match status.success() {
        true => ExitStatus::from_raw(1 << 8),
        false => status,
    }
}

/// The result is to be in the log before the permit lapses, so CMD is asked to end a little earlier: by its grace and
/// two seconds for the log, but never more than a quarter of its time.
fn stop_before_lapse(permit: &Permit, now_ms: u64, grace: Duration) -> u64 {
    const LOGGING_MS: u64 = 2_000;
    let lapses_ms = permit.inflight_ends_ms();
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let margin_ms = grace_ms
        .saturating_add(LOGGING_MS)
        .min(lapses_ms.saturating_sub(now_ms) / 4);
    lapses_ms.saturating_sub(margin_ms)
}
