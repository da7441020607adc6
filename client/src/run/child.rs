//! The program's process: started, with its output passed on.

use std::io;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ledger::digest::RecordHash;
use rustix::fd::OwnedFd;

use super::output::Stream;
use super::program::Program;
use super::{GOAL_VARIABLE, INTENT_VARIABLE, Options, RunError};
use crate::speaker::{SOCKET_VARIABLE, Socket};

/// CMD as it runs.
pub(super) struct Running {
    pub(super) child: Child,
    /// Names the process for as long as it is held, also once its number belongs to another.
    pub(super) handle: OwnedFd,
    pub(super) output: [Stream; 2],
    lines: Arc<AtomicU64>,
}

/// Starts CMD. It gets this process's stdin, environment and directory, but for what leads to the key; files that
/// this process has open are not its, because they are opened to be closed on exec.
pub(super) fn spawn(
    options: &Options,
    program: &Program,
    socket: &Socket,
    goal: RecordHash,
    intent: RecordHash,
) -> Result<Running, RunError> {
    let failed = |what| move |source| RunError::Machine { what, source };
    let mut command = program.command(options.leash.as_deref());
    for hidden in &options.hidden {
        command.env_remove(hidden);
    }
    command
        .env(SOCKET_VARIABLE, socket.path())
        .env(GOAL_VARIABLE, goal.to_string())
        .env(INTENT_VARIABLE, intent.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(failed("the program did not start"))?;
    let pid = rustix::process::Pid::from_child(&child);
    let handle = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    let handle = handle.map_err(|error| failed("the program got no handle")(error.into()))?;
    let lines = Arc::new(AtomicU64::new(0));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = [
        Stream::copy("stdout", stdout, io::stdout(), &lines),
        Stream::copy("stderr", stderr, io::stderr(), &lines),
    ];
    Ok(Running {
        child,
        handle,
        output,
        lines,
    })
}

impl Running {
    /// How many lines CMD has put out so far.
    pub(super) fn lines(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lines)
    }
}
