//! Running a program as an agent, with no change to it.
//!
//! ```text
//!             ┌── supervisor ──┐  ends CMD when authority ends, passes signals on
//!  terminal ──┤   main thread  ├── CMD ── stdin, stdout, stderr as usual
//!             └───────┬────────┘    │
//!                     │ events      │ DRAGONS_SOCKET: JSON lines
//!             ┌───────┴────────┐    │
//!    log ─────┤     clerk      ├────┘
//!             └────────────────┘  speaks for the agent, beats
//! ```
//!
//! The clerk and the socket are the [`speaker`](crate::speaker), which knows nothing of processes. The clerk is a thread
//! of its own because calls to a service take as long as they take, and authority ends when it ends. CMD never has the
//! key: it is in this process's memory, which CMD may not look into.
//!
//! A run may start CMD several times, one after another: each is a *life*, with an intent and a result of its own
//! under the one goal. `execution` decides what follows the end of a life.

mod beginning;
mod cgroup;
mod child;
mod closing;
mod descendants;
mod execution;
mod heal;
pub(crate) mod hints;
mod message;
mod output;
mod signals;
mod signs;
mod supervisor;
mod terminal;
mod version;
mod watcher;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use ledger::text::Text;

use crate::agent::{Agent, AgentError};
use crate::clock::LogClock;
use crate::http::Service;
use crate::manifest::ManifestError;
use crate::manifest::again::Directory;
use crate::program::{Program, ProgramError, Search};
use crate::speaker::{Caller, SocketError};
use crate::transport::Transport;

pub use signals::Signals;
pub use signs::Probe;
pub use terminal::is_raw;
pub use watcher::watch;

/// The variable that holds the goal's record hash for CMD.
pub const GOAL_VARIABLE: &str = "DRAGONS_GOAL";

/// The variable that holds the record hash of the intent under which CMD runs.
pub const INTENT_VARIABLE: &str = "DRAGONS_INTENT";

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program and its arguments.
    pub program: Program,
    /// What runs in the program's place once the agent was healed; the program itself if `None`.
    pub on_heal: Option<Program>,
    /// How the program is found when it is started again.
    pub search: Search,
    /// The clock that the agent dates its records by, and that ends a permit and a lease.
    pub clock: LogClock,
    /// The purpose.
    pub goal: Text,
    /// Who asked for it.
    pub requester: Text,
    /// What follows when CMD fails by itself.
    pub restarts: Restarts,
    /// The service whose events are followed, so that an order is heard before the next heartbeat.
    pub follow: Option<Service>,
    /// Whether CMD is a service, which runs on under the lease once it is up; `None` for a job.
    pub service: Option<ServiceGoal>,
    /// Where this process itself tells a service manager how it does, as `NOTIFY_SOCKET` has it.
    pub manager: Option<OsString>,
    /// What finds out whether CMD works.
    pub probe: Option<Probe>,
    /// How long CMD may take to end after SIGTERM.
    pub grace: Duration,
    /// How long to wait for a service that is away once CMD has ended.
    pub patience: Duration,
    /// Variables that CMD does not get, for they lead to the key.
    pub hidden: Vec<&'static str>,
    /// Where the socket's directory is made: in the first of these where that goes.
    pub runtime: Vec<PathBuf>,
    /// The command line of the watcher: a process that calls [`watch`].
    pub watcher: Vec<OsString>,
    /// Whether CMD gets a terminal of its own, where this process is at one.
    pub wants_terminal: bool,
    /// Whether CMD gets a namespace of process numbers, with which all that it starts ends.
    pub own_numbers: bool,
    /// What becomes of processes that outlive CMD: [by the mode](LeftBehind::by_mode) of the log if `None`.
    pub left_behind: Option<LeftBehind>,
}

/// What becomes of processes that outlive CMD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftBehind {
    /// They are ended, if they have not ended by themselves after the grace.
    End,
    /// The run goes on until they have ended.
    Wait,
    /// They act on, and the run has ended.
    Keep,
}

impl LeftBehind {
    /// A log that enforces lets nothing act on after its run; one that observes changes nothing.
    pub const fn by_mode(enforces: bool) -> Self {
        match enforces {
            true => Self::End,
            false => Self::Keep,
        }
    }
}

/// What becomes of the goal of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceGoal {
    /// It stands as long as CMD runs.
    Stands,
    /// It has its outcome once CMD is up, so that only goals of CMD's own are timed.
    Quiet,
}

/// Gives back to this process the signals that it was started with, for it is about to become another program.
pub fn let_signals_go() {
    process::Inherited::before_main().restore();
}

/// Whether this process was told, when it was started, to ignore a signal.
pub fn is_ignored(signal: i32) -> bool {
    process::Inherited::before_main().ignores(signal)
}

/// How often a program that fails is started again in one run. After an agent was healed it is started anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restarts {
    /// How often; 0 for never.
    pub most: u32,
    /// How long to wait before the first time; before each further one it is twice as long, to a minute at most.
    pub pause: Duration,
}

/// Why CMD was not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log, the service, or the journal does not let it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The directory holds no version any more.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The program cannot be run.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The agent is being healed, and not by this process.
    #[error("the agent is not healed: {0}")]
    NotHealed(String),
    /// A signal came before CMD was started.
    #[error("signal {0} came first")]
    Signal(i32),
    /// There is no socket for CMD.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// This machine does not let it.
    #[error("{what}")]
    Machine {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

impl RunError {
    /// Whether CMD was not run for want of authority, of a log, or of anything that is asked only because it is governed:
    /// beside a log that observes it would have run.
    pub const fn is_of_governance(&self) -> bool {
        matches!(
            self,
            Self::Agent(_)
                | Self::Manifest(_)
                | Self::Program(_)
                | Self::NotHealed(_)
                | Self::Socket(_)
        )
    }
}

/// Runs CMD under a goal of its own until nothing is left to do for it, and says what came of it. The exit status is
/// that of the last time that CMD ran.
///
/// The directory is that of the agent's version: it is looked at again before anything is started, and after it has ended.
///
/// This is for a process of its own: when authority ends, every process below this one is ended, CMD's or not.
///
/// # Errors
///
/// [`RunError`], before CMD was started. What goes wrong afterwards is told as a notice, for then CMD's own end counts.
pub fn run<T: Transport + Send>(
    agent: &mut Agent<T>,
    directory: &mut Directory,
    options: &Options,
    signals: Signals,
    caller: Caller,
) -> Result<ExitStatus, RunError> {
    let mut execution = execution::Execution::begin(agent, directory, options, signals, caller)?;
    let first = execution.first()?;
    Ok(execution.go_on(first))
}
