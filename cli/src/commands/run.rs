//! `run`: any program as an agent, with no change to it. And `tell`, by which a shell speaks to the run around it.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use client::run::{self, Program, ProgramError, Restarts, Signals};
use client::speaker::Caller;
use ledger::json::Value;
use ledger::text::Text;

use crate::commands::acting::{self, AgentOptions};
use crate::options::Span;
use crate::output;
use crate::session::{Session, now_ms};

/// What is run, and what for.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: that of the last run of CMD, or 128 and its number if a signal ended it; 125 if CMD was not run."
)]
pub(crate) struct Options {
    #[command(flatten)]
    agent: AgentOptions,
    /// What for, for everybody to read
    #[arg(long, value_name = "TEXT")]
    goal: Text,
    /// Who asked for it
    #[arg(long, value_name = "TEXT", default_value = "dragons run")]
    requester: Text,
    /// How long CMD may take to end once it is asked to, before it is killed
    #[arg(long, value_name = "SPAN", default_value = "5s")]
    grace: Span,
    /// Whether CMD is started again when it fails: it ends with another status than 0, or its permit is about to lapse
    #[arg(long, value_enum, value_name = "WHEN", default_value = "never")]
    restart: Restart,
    /// How often at most, in this run
    #[arg(long, value_name = "N", default_value = "5")]
    restarts: u32,
    /// How long to wait before the first time; each further time twice as long, to a minute at most
    #[arg(long, value_name = "SPAN", default_value = "1s")]
    backoff: Span,
    /// What is run in CMD's place once the agent was healed: a program, which gets CMD as its arguments
    #[arg(long, value_name = "PROGRAM")]
    on_heal: Option<OsString>,
    /// How long to wait for a service that is away once CMD has ended
    #[arg(long, value_name = "SPAN", default_value = "10s")]
    patience: Span,
    /// What becomes of processes that outlive CMD; without it they are ended, and kept beside a log that only observes
    #[arg(long, value_enum, value_name = "WHAT")]
    left_behind: Option<LeftBehind>,
    /// Run CMD in a PID namespace, so that whatever it has started ends with it; it takes the right to make one
    #[arg(long)]
    pid_namespace: bool,
    /// Hand the terminal on as it is: what CMD puts out there is not committed to, and counts as no progress
    #[arg(long)]
    no_pty: bool,
    /// The program and its arguments
    #[arg(
        required = true,
        value_name = "CMD",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// What makes CMD start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Restart {
    // Nothing but healing does. The help has a line for each option, so these have no texts of their own.
    Never,
    OnFailure,
}

/// What becomes of processes that outlive CMD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LeftBehind {
    // Ended after the grace, waited for, or left to act on; docs/agents.md tells more.
    End,
    Wait,
    Keep,
}

impl From<LeftBehind> for run::LeftBehind {
    fn from(choice: LeftBehind) -> Self {
        match choice {
            LeftBehind::End => Self::End,
            LeftBehind::Wait => Self::Wait,
            LeftBehind::Keep => Self::Keep,
        }
    }
}

/// What to tell the run around this command.
#[derive(Debug, Args)]
pub(crate) struct TellOptions {
    /// The socket of the run
    #[arg(
        long,
        value_name = "FILE",
        env = "DRAGONS_SOCKET",
        hide_env_values = true
    )]
    socket: PathBuf,
    /// What to say: a JSON object, such as '{"intent":{"scope":"read:books"}}'
    #[arg(required = true, value_name = "JSON")]
    lines: Vec<String>,
}

/// What is watched over.
#[derive(Debug, Args)]
pub(crate) struct WatcherOptions {
    /// The run, by the number of its process
    run: i32,
}

/// Runs CMD and gives the exit code that it ended with.
///
/// # Errors
///
/// Whatever kept CMD from being run.
pub(crate) fn run(session: &Session, options: Options) -> Result<u8> {
    let signals = Signals::hold()?;
    // What runs as the same user could otherwise look into this process, and find the key there.
    let private = rustix::process::DumpableBehavior::NotDumpable;
    rustix::process::set_dumpable_behavior(private).context("the key cannot be kept from CMD")?;
    let (called, arguments) = options.command.split_first().context("there is no CMD")?;
    let program = find(called, arguments.to_vec())?;
    let on_heal = options
        .on_heal
        .as_ref()
        .map(|called| find(called, options.command.clone()));
    let on_heal = on_heal.transpose()?;
    let agent = acting::open(session, &options.agent)?;
    let this = std::env::current_exe().context("this program does not know where it is")?;
    let caller = Caller {
        now_ms: || now_ms().unwrap_or_default(),
        notice: output::complain,
    };
    let options = run::Options {
        program,
        on_heal,
        directory: options.agent.directory().to_owned(),
        goal: options.goal,
        requester: options.requester,
        restarts: Restarts {
            most: match options.restart {
                Restart::Never => 0,
                Restart::OnFailure => options.restarts,
            },
            pause: Duration::from_millis(options.backoff.ms),
        },
        grace: Duration::from_millis(options.grace.ms),
        patience: Duration::from_millis(options.patience.ms),
        hidden: vec!["DRAGONS_KEY"],
        runtime: runtime(),
        watcher: vec![
            this.into(),
            "watcher".into(),
            std::process::id().to_string().into(),
        ],
        wants_terminal: !options.no_pty,
        own_numbers: options.pid_namespace,
        left_behind: options.left_behind.map(LeftBehind::into),
    };
    Ok(code(run::run(agent, &options, signals, caller)?))
}

fn find(called: &OsStr, arguments: Vec<OsString>) -> Result<Program, ProgramError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Program::find(called, arguments, std::env::split_paths(&path))
}

/// Where sockets lie: in the user's own directory for it, or in one for temporary files. The last is there for those
/// whose names are too long for a socket.
fn runtime() -> Vec<PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own = own.filter(|path| path.is_absolute());
    own.into_iter()
        .chain([std::env::temp_dir(), "/tmp".into()])
        .collect()
}

/// As a shell tells it.
fn code(status: ExitStatus) -> u8 {
    let by_signal = || status.signal().map(|number| 128 + number);
    let code = status.code().or_else(by_signal);
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

/// Watches over the program of a run that may be stopped itself.
///
/// # Errors
///
/// If it cannot.
pub(crate) fn watcher(options: &WatcherOptions) -> Result<()> {
    Ok(run::watch(options.run, output::complain)?)
}

/// Says lines to the run, and prints what it answers. Whether all was done is what it gives.
///
/// # Errors
///
/// If there is no run, or it hangs up.
pub(crate) fn tell(options: &TellOptions) -> Result<bool> {
    let socket = &options.socket;
    let mut stream =
        UnixStream::connect(socket).with_context(|| format!("no run at {socket:?}"))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut all_done = true;
    for line in &options.lines {
        ensure!(!line.contains('\n'), "a line break in {line:?}");
        writeln!(stream, "{line}")?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        let value = Value::parse(answer.trim_end().as_bytes()).context("the run hung up")?;
        all_done &= is_done(&value);
        output::json(&value)?;
    }
    Ok(all_done)
}

fn is_done(answer: &Value) -> bool {
    let done = ("ok".to_owned(), Value::Bool(true));
    matches!(answer, Value::Object(members) if members.contains(&done))
}
