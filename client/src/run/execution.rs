//! The execution of a run: one life of CMD after another, until nothing is left to do.
//!
//! ```text
//!            ┌── it failed, and is to be started again: after a pause ──┐
//!            ▼                                                          │
//! goal ──▶ intent ──▶ CMD ──▶ it ended ──▶ result ──────────────────────┴──▶ outcome ──▶ goodbye
//!            ▲                                │ by authority
//!            └── healed, in the new epoch ────┴──▶ stays down: quarantined, stopped, another process
//! ```

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use ledger::digest::RecordHash;
use ledger::record::{Liveness, Mode, Status, ToolUse};

use super::beginning::Beginning;
use super::child::Ready;
use super::closing::{self, Closing};
use super::heal::{Down, Healer};
use super::hints;
use super::message::{Cut, End, Event};
use super::output::{Flow, Pump};
use super::signals::{Signals, is_end};
use super::signs::Signs;
use super::supervisor::{self, Watch};
use super::version;
use super::watcher::Watcher;
use super::{LeftBehind, Options, RunError, ServiceGoal, descendants};
use crate::agent::{Action, ActionResult, Agent, AgentError, FirstWords, SetOut};
use crate::disclosure::Secret;
use crate::manifest::again::Directory;
use crate::permit::Permit;
use crate::program::Program;
use crate::speaker::{
    Caller, Clerk, Desk, Job, Life, Program as Governed, Roots, Socket, Stall, StandingGoal,
    Unlogged, with_sources,
};
use crate::transport::Transport;

/// What a run ends with whose program is to be run by another version of the agent.
const NOT_RUN: i32 = 125;

/// The longest pause before a program that failed is started again.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A run.
pub(super) struct Execution<'a, T> {
    agent: &'a mut Agent<T>,
    directory: &'a mut Directory,
    options: &'a Options,
    caller: Caller,
    /// What is being done; none before the first start, and once the goal has its outcome.
    goal: Option<RecordHash>,
    mode: Mode,
    liveness: Liveness,
    socket: Socket,
    roots: Roots,
    jobs: Channel<Job>,
    events: Channel<Event>,
    watcher: Watcher,
    /// What is started next.
    program: Program,
    /// How often CMD was started again because it failed.
    restarts: u32,
    signs: Signs,
    /// Where CMD tells its service manager how it does.
    notify: Option<PathBuf>,
}

type Channel<M> = (Sender<M>, Receiver<M>);

/// A life that is over.
pub(super) struct Over {
    life: Life,
    end: End,
}

/// Permission to start the program.
struct Leave {
    goal: RecordHash,
    permit: Permit,
    action: Action,
    tool: ToolUse,
}

/// What follows a life.
enum Next {
    Again,
    Done(ExitStatus),
}

impl<'a, T: Transport + Send> Execution<'a, T> {
    /// Begins: everything that CMD needs is there before it is, and the agent runs and has a goal.
    pub(super) fn begin(
        agent: &'a mut Agent<T>,
        directory: &'a mut Directory,
        options: &'a Options,
        signals: Signals,
        caller: Caller,
    ) -> Result<Self, RunError> {
        descendants::adopt()?;
        let watcher = Watcher::start(&options.watcher)?;
        let socket = Socket::bind(&options.runtime)?;
        let jobs = mpsc::channel();
        let roots = Roots::default();
        let desk = Desk {
            jobs: jobs.0.clone(),
            roots: roots.clone(),
            prompt: None,
        };
        socket.serve(&desk, caller.notice)?;
        let beginning = Beginning {
            agent: &mut *agent,
            directory: &mut *directory,
            options,
            caller,
        };
        let (charter, events) = beginning.begin(signals)?;
        if let Some(service) = &options.follow {
            hints::follow(service, agent.name(), &jobs.0);
        }
        let signs = Signs::default();
        let notify = signs.listen(socket.folder(), &jobs.0, options.manager.clone());
        // A program that tells nobody how it does is one that tells of its work in other ways.
        let notify = notify.ok();
        if let Some(probe) = &options.probe {
            signs.probe(probe);
        }
        Ok(Self {
            program: options.program.clone(),
            mode: charter.mode,
            restarts: 0,
            agent,
            directory,
            options,
            caller,
            goal: None,
            liveness: charter.liveness,
            signs,
            notify,
            socket,
            roots,
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

    /// Asks for permission and runs CMD under it.
    fn live(&mut self) -> Result<Over, RunError> {
        self.forget_events()?;
        let ready = Ready::new(self.options.wants_terminal, &self.events.0)?;
        let Leave {
            goal,
            permit,
            action,
            tool,
        } = self.ask_leave()?;
        if let Err(error) = self.check_again() {
            self.leave_untaken(&permit);
            return Err(error);
        }
        let service = self.standing_goal(action, &permit);
        let enforces = self.mode == Mode::Enforce;
        let watch = Watch {
            is_up: service.as_ref().map(|service| Arc::clone(&service.is_up)),
            clock: self.options.clock.clone(),
            grace: self.options.grace,
            stop_ms: stop_before_lapse(&permit, self.options.grace),
            enforces,
            left_behind: self
                .options
                .left_behind
                .unwrap_or(LeftBehind::by_mode(enforces)),
            caller: self.caller,
        };
        let steps = self.agent.progress();
        let (lines, signs) = (ready.lines(), self.signs.count());
        let program = Governed {
            goal,
            intent: permit.intent(),
            tool,
        };
        let life = Life::new(Some(program.clone()), lines, signs, steps);
        let lived = self.attend(life, &program, ready, watch, service);
        if lived.is_err() {
            self.leave_untaken(&permit);
        }
        lived
    }

    /// A permit that nobody acted upon. What cannot be said now is settled by the next run.
    fn leave_untaken(&mut self, permit: &Permit) {
        let result = ActionResult::of(permit.intent(), Status::Cancelled);
        let _ = self.agent.result(result, self.now_ms());
    }

    /// Checks that what would start now is what was checked before asking for permission.
    fn check_again(&mut self) -> Result<(), RunError> {
        match version::check_before_start(self.directory, self.agent, &self.program) {
            Err(error) if self.mode == Mode::Observe => {
                (self.caller.notice)(&format!("the log only observes: {}", with_sources(&error)));
                Ok(())
            }
            checked => checked,
        }
    }

    /// The start of a service, which stands behind it as long as it runs; `None` for a job.
    fn standing_goal(&self, action: Action, permit: &Permit) -> Option<StandingGoal> {
        let options = self.options;
        options.service.map(|goal| StandingGoal {
            action,
            intent: permit.intent(),
            quiet: (goal == ServiceGoal::Quiet)
                .then(|| (options.goal.clone(), options.requester.clone())),
            epoch: self.agent.epoch(),
            begun: Instant::now(),
            permitted: Duration::from_millis(
                permit
                    .inflight_ends_ms()
                    .saturating_sub(permit.received_ms()),
            ),
            is_up: Arc::default(),
        })
    }

    /// The clerk works while the supervisor watches. An error means that CMD was not started: afterwards nothing fails.
    fn attend(
        &mut self,
        mut life: Life,
        governed: &Governed,
        ready: Ready,
        watch: Watch,
        service: Option<StandingGoal>,
    ) -> Result<Over, RunError> {
        let (goal, intent) = (governed.goal, governed.intent);
        let news_of = self.events.0.clone();
        let clerk = Clerk {
            standing: self.agent.standing().copied(),
            agent: &mut *self.agent,
            life: &mut life,
            requester: self.options.requester.clone(),
            heartbeat: Duration::from_millis(self.liveness.heartbeat_ms),
            is_away: false,
            left_alone_until: Instant::now(),
            was_refused: false,
            refused_beats: 0,
            waiting: VecDeque::new(),
            roots: self.roots.clone(),
            prompt: None,
            unlogged: Unlogged::default(),
            service,
            stall: Stall::by(&self.liveness),
            news: Box::new(move |news| {
                // A supervisor that no longer listens has seen CMD end.
                let _ = news_of.send(Event::News(news));
            }),
            caller: self.caller,
        };
        let (jobs, job_queue) = (&self.jobs.0, &mut self.jobs.1);
        let (options, program, socket) = (self.options, &self.program, &self.socket);
        let (watcher, event_queue) = (&mut self.watcher, &self.events.1);
        let notify = self.notify.as_deref();
        let end = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("clerk".to_owned());
            let clerk = thread.spawn_scoped(scope, move || clerk.work(job_queue));
            let clerk = clerk.map_err(|source| RunError::Machine {
                what: "there is no thread for what the program says",
                source,
            })?;
            let running = ready.start(options, program, socket, notify, goal, intent);
            let end =
                running.map(|running| supervisor::watch(running, watch, watcher, event_queue));
            // A clerk that is gone has nothing more to log, and has said why.
            let _ = jobs.send(Job::Finish);
            let _ = clerk.join();
            end
        })?;
        version::tell_what_is_new(self.directory, self.caller);
        // A quiet service has its outcome as soon as it is up, so its next start has a goal of its own.
        if life.has_outcome && self.options.service.is_some() {
            self.goal = None;
        }
        Ok(Over { life, end })
    }

    fn now_ms(&self) -> u64 {
        (self.caller.now_ms)()
    }

    /// What came in before CMD is there is about a life that is over, unless it is a signal to end.
    fn forget_events(&self) -> Result<(), RunError> {
        let ends = |event| match event {
            Event::Signal(sent) if is_end(sent.number) => Some(sent.number),
            _ => None,
        };
        let signal = self.events.1.try_iter().find_map(ends);
        signal.map_or(Ok(()), |number| Err(RunError::Signal(number)))
    }

    /// Asks for permission to start the program, and sets out for the goal where there is none yet.
    fn ask_leave(&mut self) -> Result<Leave, RunError> {
        let now_ms = self.now_ms();
        let (tool, action) = self.start_of_the_program()?;
        let (goal, permit) = match self.goal {
            Some(goal) => (goal, self.agent.intent(action(goal), now_ms)),
            None => {
                let words = FirstWords {
                    title: self.options.goal.clone(),
                    requester: self.options.requester.clone(),
                    action: &action,
                };
                let SetOut { goal, permit } = self.agent.set_out(&words, now_ms)?;
                (*self.goal.insert(goal), permit)
            }
        };
        let permit = permit?;
        if let Some(breach) = permit.breach() {
            (self.caller.notice)(&format!(
                "warning: the log only observes, and this breaks a rule: {breach}"
            ));
        }
        Ok(Leave {
            goal,
            permit,
            action: action(goal),
            tool,
        })
    }

    /// The tool that the program is, and what is done with it for a goal.
    fn start_of_the_program(
        &self,
    ) -> Result<(ToolUse, impl Fn(RecordHash) -> Action + use<T>), AgentError> {
        let program = &self.program;
        let tool = ToolUse {
            name: program.tool_name()?,
            digest: program.digest(),
        };
        let (scope, script) = (program.scope()?, program.script_digest());
        let argv = Secret::kept("argv", program.argv())?;
        let used = tool.clone();
        let action = move |goal| Action {
            tool: Some(used.clone()),
            script,
            inputs: vec![argv.clone()],
            ..Action::new(goal, scope.clone())
        };
        Ok((tool, action))
    }

    fn after(&mut self, over: &mut Over) -> Next {
        let next = match over.end.cut {
            Some((Cut::Fenced, _)) => self.heal(over),
            Some((Cut::Replaced, _)) if self.options.service.is_some() => self.replace(over),
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

    /// The lease is for another version. If the directory has become that, it is started as a new instance.
    fn replace(&mut self, over: &mut Over) -> Result<(), Down> {
        let because = |error: &dyn std::error::Error| Down::OtherVersion(with_sources(error));
        let now = self
            .directory
            .look_again()
            .map_err(|error| because(&error))?;
        self.agent.become_version(now.clone());
        self.directory.begin_anew();
        let now_ms = self.now_ms();
        self.agent.start(now_ms).map_err(|error| because(&error))?;
        self.close(over);
        (self.caller.notice)(
            "the lease is for the version that is here now: starting the program as that version",
        );
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
            Some((Cut::Lapsed | Cut::Stalled, _)) => true,
            Some(_) => false,
        };
        let is_done = over.life.has_outcome && self.options.service.is_none();
        let is_wanted = !over.end.was_asked_to_end && !is_done;
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
        if self.mode == Mode::Enforce {
            self.healer().check_version()?;
        }
        let version = self.directory.version();
        let program = self
            .program
            .find_again(&self.options.search, self.directory.path(), version);
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
                Ok(Event::Signal(sent)) if is_end(sent.number) => {
                    return ExitStatus::from_raw(sent.number);
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
            Down::OtherVersion(why) => {
                (self.caller.notice)(&format!(
                    "the lease is for another version, which is not here: {why}"
                ));
                ExitStatus::from_raw(NOT_RUN << 8)
            }
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
            liveness: self.liveness,
            directory: &mut *self.directory,
            clock: &self.options.clock,
            events: &self.events.1,
            caller: self.caller,
        }
    }
}

impl From<Down> for RunError {
    fn from(down: Down) -> Self {
        match down {
            Down::Signal(number) => Self::Signal(number),
            Down::Because(why) | Down::OtherVersion(why) => Self::NotHealed(why),
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
fn stop_before_lapse(permit: &Permit, grace: Duration) -> u64 {
    const LOGGING_MS: u64 = 2_000;
    let lapses_ms = permit.inflight_ends_ms();
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let margin_ms = grace_ms
        .saturating_add(LOGGING_MS)
        .min(lapses_ms.saturating_sub(permit.received_ms()) / 4);
    lapses_ms.saturating_sub(margin_ms)
}
