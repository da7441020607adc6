//! `run`: any program as an agent, with no change to it. And `tell`, by which a shell speaks to the run around it.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use client::agent::{Agent, Patience};
use client::clock::LogClock;
use client::http::Service;
use client::identity::LogIdentity;
use client::journal::{self, Journal};
use client::manifest::again::Directory;
use client::program::{Program, ProgramError, Search};
use client::run::{self, Probe, Restarts, RunError, ServiceGoal, Signals};
use client::speaker::Caller;
use ledger::json::Value;
use ledger::record::Mode;
use ledger::text::Text;

use crate::commands::acting::{self, AgentOptions};
use crate::options::Span;
use crate::output;
use crate::session::{Session, now_ms, state_home};
use crate::trusted;

/// What is run, and what for.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: that of the last run of CMD, or 128 and its number if a signal ended it; 125 if CMD was not run."
)]
pub(crate) struct Options {
    #[command(flatten)]
    agent: AgentOptions,
    /// The goal, which goes into the log
    #[arg(long, value_name = "TEXT")]
    goal: Text,
    /// Who asked for the work
    #[arg(long, value_name = "TEXT", default_value = "dragons run")]
    requester: Text,
    /// How long CMD may take to end after SIGTERM before it is killed
    #[arg(long, value_name = "SPAN", default_value = "5s")]
    grace: Span,
    /// Whether to start CMD again when it ends with a status other than 0, or when its permit is about to lapse
    #[arg(long, value_enum, value_name = "WHEN", default_value = "never")]
    restart: Restart,
    /// The largest number of restarts in this run
    #[arg(long, value_name = "N", default_value = "5")]
    restarts: u32,
    /// How long to wait before the first restart; each further wait is twice as long, up to a minute
    #[arg(long, value_name = "SPAN", default_value = "1s")]
    backoff: Span,
    /// A program to run in place of CMD after the agent was healed; it gets CMD as its arguments
    #[arg(long, value_name = "PROGRAM")]
    on_heal: Option<OsString>,
    /// How long to wait for a service that is away: before CMD starts, when CMD asks for permission, and after CMD has ended
    #[arg(long, value_name = "SPAN", default_value = "30s")]
    patience: Span,
    /// Run CMD even if the manifest and the system do not pin it, under the scope run:@any/NAME, which `run:*` does not allow
    #[arg(long)]
    any_program: bool,
    /// Treat CMD as a service: once it is up (READY=1 on NOTIFY_SOCKET, or alive for 2 s), it runs for as long as it has a lease
    #[arg(long)]
    service: bool,
    /// Close the goal once the service is up, so that only the service's own goals are timed
    #[arg(long, requires = "service")]
    quiet: bool,
    /// A shell command that succeeds while CMD works: each success counts as progress
    #[arg(long, value_name = "COMMAND")]
    probe: Option<OsString>,
    /// How often to run the probe
    #[arg(long, value_name = "SPAN", default_value = "10s", requires = "probe")]
    probe_every: Span,
    /// The log's mode, until this machine has read the log's charter once
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<ModeOption>,
    /// What happens to processes that outlive CMD; defaults to end, or to keep if the log is in observe mode
    #[arg(long, value_enum, value_name = "WHAT")]
    left_behind: Option<LeftBehind>,
    /// Run CMD in a PID namespace, so that everything it started ends with it; needs the right to create one
    #[arg(long)]
    pid_namespace: bool,
    /// Pass the terminal through: the log gets no commitment to CMD's output there, and the output does not count as progress
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

/// What a log does with what breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ModeOption {
    Observe,
    Enforce,
}

impl From<ModeOption> for Mode {
    fn from(option: ModeOption) -> Self {
        match option {
            ModeOption::Observe => Self::Observe,
            ModeOption::Enforce => Self::Enforce,
        }
    }
}

/// How long a program waits beside a log that only observes: nobody is to notice that it is there.
const OBSERVED_PATIENCE: Duration = Duration::from_secs(2);

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
    /// The run's socket
    #[arg(
        long,
        value_name = "FILE",
        env = "DRAGONS_SOCKET",
        hide_env_values = true
    )]
    socket: PathBuf,
    /// A request: a JSON object, such as '{"intent":{"scope":"read:books"}}'
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
pub(crate) fn run(session: &Session, options: &Options) -> Result<u8> {
    let signals = Signals::hold()?;
    let is_over = signals.asked_to_end();
    // What runs as the same user could otherwise look into this process, and find the key there.
    let private = rustix::process::DumpableBehavior::NotDumpable;
    rustix::process::set_dumpable_behavior(private).context("the key cannot be kept from CMD")?;
    let mut mode = options.mode.map(Mode::from);
    mode = mode.or_else(|| kept_mode(session, &options.agent));
    let prepared = match prepare(session, options, mode, &is_over) {
        // Nobody knew it, and the service does: a log that observes tolerates the breach, so the program runs.
        Err(_) if mode.is_none() && observes(session) => {
            mode = Some(Mode::Observe);
            prepare(session, options, mode, &is_over)
        }
        prepared => prepared,
    };
    let ended = prepared.and_then(|mut prepared| {
        let ended = prepared.run(signals);
        if !prepared.agent.is_bound() {
            mode = Some(Mode::Observe);
        }
        ended
    });
    match ended {
        Err(kept) if may_run_all_the_same(mode, &kept) && !is_over.load(Ordering::Relaxed) => {
            ungoverned(options, &kept)
        }
        ended => ended,
    }
}

/// All that a run needs.
struct Prepared {
    agent: Agent<Service>,
    directory: Directory,
    options: run::Options,
}

impl Prepared {
    fn run(&mut self, signals: Signals) -> Result<u8> {
        let caller = Caller {
            now_ms: || now_ms().unwrap_or_default(),
            notice: output::complain,
        };
        let (agent, directory) = (&mut self.agent, &mut self.directory);
        Ok(code(run::run(
            agent,
            directory,
            &self.options,
            signals,
            caller,
        )?))
    }
}

fn prepare(
    session: &Session,
    options: &Options,
    mode: Option<Mode>,
    is_over: &Arc<AtomicBool>,
) -> Result<Prepared> {
    let observes = mode == Some(Mode::Observe);
    let directory = Directory::read(options.agent.directory())?;
    options.agent.check(&directory.version().manifest)?;
    let search = Search {
        path: std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect(),
        allows_any: options.any_program || observes,
    };
    let (called, arguments) = options.command.split_first().context("there is no CMD")?;
    let program = find(called, arguments.to_vec(), &search, &directory)?;
    let on_heal = options
        .on_heal
        .as_ref()
        .map(|called| find(called, options.command.clone(), &search, &directory));
    let on_heal = on_heal.transpose()?;
    let clock = LogClock::default();
    let agent = acting::open_version(session, directory.version().clone(), clock.clone())?;
    let patience = Duration::from_millis(options.patience.ms);
    let agent = agent.patient(Patience {
        span: if observes {
            patience.min(OBSERVED_PATIENCE)
        } else {
            patience
        },
        say: output::complain,
        is_over: Arc::clone(is_over),
    });
    let this = std::env::current_exe().context("this program does not know where it is")?;
    let run_options = run::Options {
        program,
        on_heal,
        search,
        clock,
        follow: Some(session.service()?),
        service: options.service.then_some(match options.quiet {
            true => ServiceGoal::Quiet,
            false => ServiceGoal::Stands,
        }),
        manager: std::env::var_os("NOTIFY_SOCKET"),
        probe: options.probe.clone().map(|command| Probe {
            command,
            every: Duration::from_millis(options.probe_every.ms),
        }),
        goal: options.goal.clone(),
        requester: options.requester.clone(),
        restarts: Restarts {
            most: match options.restart {
                Restart::Never => 0,
                Restart::OnFailure => options.restarts,
            },
            pause: Duration::from_millis(options.backoff.ms),
        },
        grace: Duration::from_millis(options.grace.ms),
        patience,
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
    Ok(Prepared {
        agent,
        directory,
        options: run_options,
    })
}

/// What the journal says about the log's mode, for a run that cannot begin.
pub(crate) fn kept_mode(session: &Session, options: &AgentOptions) -> Option<Mode> {
    let trust = trusted::vouched_for(session, &session.service().ok()?).ok()??;
    let log = LogIdentity::pinned(&trust).ok()?;
    let agent = options.name()?;
    Journal::mode_told_in(&journal::directory(&state_home().ok()?, log.log, &agent))
}

/// Whether the log observes, by the charter that the service shows. A log that nobody here has vouched for lets nothing run:
/// anybody can serve one that observes.
fn observes(session: &Session) -> bool {
    let mode = || {
        let service = session.service()?.within(OBSERVED_PATIENCE);
        let trust =
            trusted::vouched_for(session, &service)?.context("this log is not known here")?;
        let log = LogIdentity::pinned(&trust)?;
        anyhow::Ok(client::agent::mode_of(&service, &log)?)
    };
    mode().is_ok_and(|mode| mode == Mode::Observe)
}

/// Whether CMD was not run only because it is governed, by a log that only observes.
fn may_run_all_the_same(mode: Option<Mode>, kept: &anyhow::Error) -> bool {
    let by_run = kept.downcast_ref::<RunError>();
    mode == Some(Mode::Observe) && by_run.is_none_or(RunError::is_of_governance)
}

/// Becomes CMD, as it would run without us: beside a log that observes nothing may keep it from that.
fn ungoverned(options: &Options, kept: &anyhow::Error) -> Result<u8> {
    output::complain(&format!(
        "the log only observes, so the program runs anyway, without a record: {kept:#}"
    ));
    let (called, arguments) = options.command.split_first().context("there is no CMD")?;
    let mut command = Command::new(called);
    run::let_signals_go();
    let error = command.args(arguments).env_remove("DRAGONS_KEY").exec();
    Err(error).with_context(|| format!("{called:?} cannot be run"))
}

fn find(
    called: &OsStr,
    arguments: Vec<OsString>,
    search: &Search,
    directory: &Directory,
) -> Result<Program, ProgramError> {
    let program = Program::find(
        called,
        arguments,
        search,
        directory.path(),
        directory.version(),
    )?;
    if let Some(other) = program.passed_over() {
        output::complain(&format!(
            "note: {called:?} is {:?} here, and not {other:?}, which nothing binds to the agent: `programs_from` of agent.toml \
             can name its directory",
            program.path()
        ));
    }
    Ok(program)
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
