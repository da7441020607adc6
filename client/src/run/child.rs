//! The program's process. What can fail is there before it is; from then on what becomes of it is the truth.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Sender;

use ledger::digest::RecordHash;
use process::{Inherited, Place, Start, is_one_file};
use rustix::fd::{AsFd, OwnedFd};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::Pid;
use rustix::termios::isatty;

use super::cgroup::Cgroup;
use super::message::Event;
use super::output::Pump;
use super::signs::NOTIFY_VARIABLE;
use super::terminal::{Terminal, duplicate};
use super::{GOAL_VARIABLE, INTENT_VARIABLE, Options, RunError};
use crate::program::Program;
use crate::speaker::{SOCKET_VARIABLE, Socket};

/// How much a pipe of CMD's holds, where the system allows it: it goes on writing while its output is digested.
const PIPE_BYTES: usize = 256 * 1024;

/// Variables by which a service manager names the process that they are for.
const NUMBERS: [&str; 3] = ["LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID"];

/// All that CMD needs except its permission.
pub(super) struct Ready {
    stdio: [Option<OwnedFd>; 3],
    place: Place,
    pumps: Vec<Pump>,
    terminal: Terminal,
    cgroup: Option<Cgroup>,
    lines: Arc<AtomicU64>,
}

/// CMD as it runs.
pub(super) struct Running {
    pub(super) pid: Pid,
    pub(super) pumps: Vec<Pump>,
    pub(super) terminal: Terminal,
    pub(super) cgroup: Option<Cgroup>,
}

impl Ready {
    /// Gets everything.
    pub(super) fn new(wants_terminal: bool, events: &Sender<Event>) -> Result<Self, RunError> {
        let failed = |source| RunError::Machine {
            what: "the program's input and output cannot be passed on",
            source,
        };
        let lines = Arc::new(AtomicU64::new(0));
        let terminal = Terminal::open(wants_terminal)?;
        let mut pumps = Vec::new();
        let stdio = match &terminal {
            Terminal::Own(own) => {
                let to = duplicate(io::stdout().as_fd()).map_err(failed)?;
                let from = own.output().map_err(failed)?;
                pumps.push(Pump::start("output", from, to, &lines, events)?);
                own.pass_keys_on()?;
                own.stdio().map_err(failed)?
            }
            _ => {
                let mut outlet = |name, to: OwnedFd| {
                    let (from, writes) = pipe().map_err(failed)?;
                    pumps.push(Pump::start(name, from, to, &lines, events)?);
                    Ok::<OwnedFd, RunError>(writes)
                };
                let [stdout, stderr] = outlets(&mut outlet, failed)?;
                [None, stdout, stderr]
            }
        };
        Ok(Self {
            stdio,
            place: terminal.place(),
            pumps,
            terminal,
            cgroup: Cgroup::make(),
            lines,
        })
    }

    /// How many lines CMD has put out so far.
    pub(super) fn lines(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lines)
    }

    /// Starts CMD. It gets this process's stdin, environment and directory, but for what leads to the key; files that
    /// this process has open are not its, because they are opened to be closed on exec.
    pub(super) fn start(
        mut self,
        options: &Options,
        program: &Program,
        socket: &Socket,
        notify: Option<&Path>,
        goal: RecordHash,
        intent: RecordHash,
    ) -> Result<Running, RunError> {
        let (mut environment, own_number) = environment(options);
        environment.push((SOCKET_VARIABLE.into(), socket.path().into()));
        environment.push((GOAL_VARIABLE.into(), goal.to_string().into()));
        environment.push((INTENT_VARIABLE.into(), intent.to_string().into()));
        if let Some(notify) = notify {
            environment.push((NOTIFY_VARIABLE.into(), notify.into()));
        }
        let path = program.held_path(socket.folder());
        let path = path.map_err(|source| RunError::Machine {
            what: "the program's file cannot be handed on",
            source,
        })?;
        let start = Start {
            path: &path,
            called: program.called(),
            arguments: program.arguments(),
            environment,
            own_number,
            stdio: self.stdio,
            place: self.place,
            cgroup: self.cgroup.as_ref().and_then(|group| group.open().ok()),
            own_numbers: options.own_numbers,
            signals: Inherited::before_main(),
        };
        self.terminal.prepare();
        let started = start.spawn().map_err(|source| {
            self.terminal.end();
            self.terminal.give_back();
            RunError::Machine {
                what: "the program cannot be run",
                source,
            }
        })?;
        self.terminal.begin();
        let cgroup = self.cgroup.filter(|_| started.is_in_cgroup);
        Ok(Running {
            pid: Pid::from_raw(started.pid).expect("a process that was started has a number"),
            pumps: self.pumps,
            terminal: self.terminal,
            cgroup,
        })
    }
}

/// Both outputs. What is one open file stays one, so that lines keep their order; what is a terminal is handed on.
fn outlets(
    open: &mut impl FnMut(&'static str, OwnedFd) -> Result<OwnedFd, RunError>,
    failed: impl Fn(io::Error) -> RunError,
) -> Result<[Option<OwnedFd>; 2], RunError> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let both = is_one_file(&stdout, &stderr);
    let mut outlet = |name, file: rustix::fd::BorrowedFd<'_>| match isatty(file) {
        true => Ok(None),
        false => open(name, duplicate(file).map_err(&failed)?).map(Some),
    };
    if both {
        let Some(pipe) = outlet("output", stdout.as_fd())? else {
            return Ok([None, None]);
        };
        let copy = duplicate(pipe.as_fd()).map_err(&failed)?;
        return Ok([Some(pipe), Some(copy)]);
    }
    let stdout = outlet("stdout", stdout.as_fd())?;
    Ok([stdout, outlet("stderr", stderr.as_fd())?])
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC)?;
    // One that stays as it is does as well.
    let _ = fcntl_setpipe_size(&writes, PIPE_BYTES);
    Ok((reads, writes))
}

/// This process's variables without those that lead to the key; and apart the names of those that name this process,
/// where they are to name CMD.
fn environment(options: &Options) -> (Vec<(OsString, OsString)>, Vec<OsString>) {
    let own = OsString::from(std::process::id().to_string());
    let is_hidden = |name: &OsString| options.hidden.iter().any(|hidden| name == hidden);
    let names_this = |name: &OsString, value: &OsString| {
        NUMBERS.iter().any(|number| name == number) && *value == own
    };
    let set_here = [
        SOCKET_VARIABLE,
        NOTIFY_VARIABLE,
        GOAL_VARIABLE,
        INTENT_VARIABLE,
    ];
    let all = std::env::vars_os()
        .filter(|(name, _)| !is_hidden(name) && !set_here.iter().any(|set| name == set));
    let (numbers, others): (Vec<_>, Vec<_>) =
        all.partition(|(name, value)| names_this(name, value));
    (others, numbers.into_iter().map(|(name, _)| name).collect())
}
