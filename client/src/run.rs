//! Running a program as an agent, with no change to it.
//!
//! ```text
//!             ┌── supervisor ──┐  ends CMD when authority ends, passes signals on
//!  terminal ──┤   main thread  ├── CMD ── stdin, stdout, stderr as ever
//!             └───────┬────────┘    │
//!                     │ events      │ DRAGONS_SOCKET: JSON lines
//!             ┌───────┴────────┐    │
//!    log ─────┤     clerk      ├────┘
//!             └────────────────┘  owns key and journal, beats
//! ```
//!
//! The clerk is a thread of its own because calls to a service take as long as they take, and authority ends when it
//! ends. CMD never has the key: it is in this process's memory, which CMD may not look into.

mod child;
mod clerk;
mod request;
mod socket;
mod supervisor;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::mpsc;
use std::time::Duration;

use ledger::digest::{Digest, RecordHash};
use ledger::record::ToolUse;
use ledger::text::{Name, Text};

use crate::agent::{Action, Agent, AgentError};
use crate::disclosure::{MAX_VALUE_BYTES, Secret};
use crate::permit::Permit;
use crate::transport::Transport;

pub use child::{Program, ProgramError};
pub use request::{Answer, Request};
pub use socket::SOCKET_VARIABLE;

/// The variable that holds the goal's record hash for CMD.
pub const GOAL_VARIABLE: &str = "DRAGONS_GOAL";

/// The variable that holds the record hash of the intent under which CMD runs.
pub const INTENT_VARIABLE: &str = "DRAGONS_INTENT";

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program and its arguments.
    pub program: Program,
    /// What for.
    pub goal: Text,
    /// Who asked for it.
    pub requester: Text,
    /// How long CMD may take to end after SIGTERM.
    pub grace: Duration,
    /// How long to wait for a service that is away once CMD has ended.
    pub patience: Duration,
    /// Variables that CMD does not get, for they lead to the key.
    pub hidden: Vec<&'static str>,
    /// Where the socket's directory is made.
    pub runtime: PathBuf,
    /// How a program is made to end with its parent: put in front of its own command line, if given.
    pub leash: Option<Vec<OsString>>,
}

/// What is asked of whoever runs: the time, and what to do with words for people.
#[derive(Clone, Copy)]
pub struct Surroundings {
    /// Milliseconds since the epoch.
    pub now_ms: fn() -> u64,
    /// Says something to people.
    pub notice: fn(&str),
}

/// Why CMD was not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log, the service, or the journal does not let it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The program cannot be run.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// This machine does not let it.
    #[error("{what}")]
    Machine {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs CMD under a goal and an intent of its own, and says what came of it.
///
/// # Errors
///
/// [`RunError`], before CMD was started. What goes wrong afterwards is told as a notice, for then CMD's own end counts.
pub fn run<T: Transport + Send>(
    mut agent: Agent<T>,
    options: &Options,
    around: Surroundings,
) -> Result<ExitStatus, RunError> {
    let now_ms = (around.now_ms)();
    agent.start(now_ms)?;
    let heartbeat_ms = agent.liveness()?.heartbeat_ms;
    let goal = agent.goal(options.goal.clone(), options.requester.clone(), now_ms)?;
    let goal = goal.record();
    let (permit, tool) = match ask_leave(&mut agent, options, goal, now_ms) {
        Ok(leave) => leave,
        Err(error) => {
            give_up(&mut agent, goal, (around.now_ms)());
            return Err(error);
        }
    };
    if let Some(breach) = permit.breach() {
        (around.notice)(&format!(
            "warning: the log only observes, and this breaks a rule: {breach}"
        ));
    }
    let (jobs, job_queue) = mpsc::channel();
    let (events, event_queue) = mpsc::channel();
    let running = match prepare(options, &permit, goal, &jobs, &events, around) {
        Ok(running) => running,
        Err(error) => {
            give_back(&mut agent, &permit, goal, (around.now_ms)());
            return Err(error);
        }
    };
    let stop_ms = stop_before_lapse(&permit, now_ms, options.grace);
    let clerk = clerk::Clerk {
        standing: agent.standing().copied(),
        agent,
        goal,
        intent: permit.intent(),
        tool,
        requester: options.requester.clone(),
        heartbeat: Duration::from_millis(heartbeat_ms),
        patience: options.patience,
        lines: running.lines(),
        work: clerk::Work::default(),
        events: events.clone(),
        around,
    };
    std::thread::scope(|scope| {
        let clerk = scope.spawn(move || clerk.work(&job_queue));
        let limits = (options.grace, stop_ms);
        let end = supervisor::watch(running, limits, around, &events, &event_queue)?;
        let status = end.status;
        // A clerk that is gone has nothing more to log, and has said why.
        let _ = jobs.send(clerk::Job::Finish(end));
        let _ = clerk.join();
        Ok(status)
    })
}

/// Everything that CMD needs is there before it is.
fn prepare(
    options: &Options,
    permit: &Permit,
    goal: RecordHash,
    jobs: &mpsc::Sender<clerk::Job>,
    events: &mpsc::Sender<supervisor::Event>,
    around: Surroundings,
) -> Result<child::Running, RunError> {
    let socket = socket::Socket::bind(&options.runtime)?;
    socket.serve(jobs, around.notice)?;
    supervisor::pass_signals_on(events)?;
    child::spawn(options, socket, goal, permit.intent())
}

fn ask_leave<T: Transport>(
    agent: &mut Agent<T>,
    options: &Options,
    goal: RecordHash,
    now_ms: u64,
) -> Result<(Permit, ToolUse), RunError> {
    let program = &options.program;
    let scope = format!("run:{}", program.name()).parse();
    let tool = ToolUse {
        name: program.name().parse().map_err(AgentError::from)?,
        digest: program.digest(),
    };
    let mut action = Action::new(goal, scope.map_err(AgentError::from)?);
    action.tool = Some(tool.clone());
    let argv = named("argv", program.argv()).map_err(AgentError::from)?;
    action.inputs = vec![argv];
    Ok((agent.intent(action, now_ms)?, tool))
}

/// A value under its name; one that is too long to be kept is replaced by its digest, and the name says so.
fn named(name: &str, value: Vec<u8>) -> Result<Secret, ledger::codes::Refusal> {
    if value.len() <= MAX_VALUE_BYTES {
        return Secret::new(name.parse()?, value);
    }
    digested(name, Digest::of(&[&value]))
}

fn digested(name: &str, digest: Digest) -> Result<Secret, ledger::codes::Refusal> {
    let name: Name = format!("{name}.digest").parse()?;
    Secret::new(name, digest.to_string().into_bytes())
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

/// Without leave there is nothing to do for the goal. Whatever cannot be said now is settled by the next run.
fn give_up<T: Transport>(agent: &mut Agent<T>, goal: RecordHash, now_ms: u64) {
    let given_up = agent.outcome(goal, ledger::record::Verdict::Abandoned, vec![], now_ms);
    if given_up.is_ok_and(|filed| filed.is_logged()) {
        let _ = agent.goodbye(now_ms);
    }
}

/// A permit that nobody acted upon.
fn give_back<T: Transport>(agent: &mut Agent<T>, permit: &Permit, goal: RecordHash, now_ms: u64) {
    let deed = crate::agent::Deed::of(permit.intent(), ledger::record::Status::Cancelled);
    if agent.result(deed, now_ms).is_ok() {
        give_up(agent, goal, now_ms);
    }
}
