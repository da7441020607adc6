//! The program: found, digested, started, its output passed on and counted.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger::digest::{Digest, RecordHash};
use rustix::fd::OwnedFd;
use sha2::{Digest as _, Sha256};

use super::socket::{SOCKET_VARIABLE, Socket};
use super::{GOAL_VARIABLE, INTENT_VARIABLE, Options, RunError};
use crate::disclosure::{MAX_VALUE_BYTES, Secret};

/// How much is read of a pipe at a time: what a pipe of Linux holds.
const CHUNK_BYTES: usize = 64 * 1024;

/// A program that is there, with its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    called: OsString,
    arguments: Vec<OsString>,
    name: String,
    digest: Digest,
}

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is none of the name.
    #[error("there is no program {called:?}")]
    NotFound {
        /// What it was called.
        called: OsString,
    },
    /// It cannot be read, so nobody could say later what ran.
    #[error("the program {path:?} could not be read")]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its name is no part of a scope.
    #[error("the program {path:?} has a name that is not UTF-8")]
    Name {
        /// Where it is.
        path: PathBuf,
    },
}

impl Program {
    /// Finds a program as a shell does: a name with a slash is a path, any other is looked for in the directories.
    ///
    /// # Errors
    ///
    /// [`ProgramError`].
    pub fn find(
        called: &OsStr,
        arguments: Vec<OsString>,
        directories: impl Iterator<Item = PathBuf>,
    ) -> Result<Self, ProgramError> {
        let is_path = called.as_bytes().contains(&b'/');
        let found = match is_path {
            true => Some(PathBuf::from(called)).filter(|path| is_executable(path)),
            false => directories
                .map(|directory| directory.join(called))
                .find(|path| is_executable(path)),
        };
        let path = found.ok_or_else(|| ProgramError::NotFound {
            called: called.to_owned(),
        })?;
        let name = Path::new(called).file_name().and_then(OsStr::to_str);
        let name = name.ok_or_else(|| ProgramError::Name { path: path.clone() })?;
        Ok(Self {
            name: name.to_owned(),
            called: called.to_owned(),
            digest: digest(&path)?,
            path,
            arguments,
        })
    }

    /// The program as it is now: its file may be another than it was.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Unreadable`].
    pub(super) fn read_again(&self) -> Result<Self, ProgramError> {
        Ok(Self {
            digest: digest(&self.path)?,
            ..self.clone()
        })
    }

    /// Its name without directories: the resource of the scope that it runs under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest of its file.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The command line, each word ended by a NUL as the system has it.
    pub fn argv(&self) -> Vec<u8> {
        let words = std::iter::once(&self.called).chain(&self.arguments);
        words
            .flat_map(|word| word.as_bytes().iter().copied().chain([0]))
            .collect()
    }

    fn command(&self, leash: Option<&[OsString]>) -> Command {
        let Some((first, rest)) = leash.and_then(<[OsString]>::split_first) else {
            let mut command = Command::new(&self.path);
            command.arg0(&self.called).args(&self.arguments);
            return command;
        };
        let mut command = Command::new(first);
        command.args(rest).arg(&self.path).arg(&self.called);
        command.args(&self.arguments);
        command
    }
}

fn digest(path: &Path) -> Result<Digest, ProgramError> {
    let digest = crate::manifest::content::digest(path);
    digest.map_err(|source| ProgramError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn is_executable(path: &Path) -> bool {
    let metadata = path.metadata();
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// CMD as it runs.
pub(super) struct Running {
    pub(super) child: Child,
    /// Names the process for as long as it is held, also once its number belongs to another.
    pub(super) handle: OwnedFd,
    pub(super) output: [Stream; 2],
    lines: Arc<AtomicU64>,
}

/// A stream of CMD's, passed on.
pub(super) struct Stream {
    name: &'static str,
    seen: Arc<Mutex<Seen>>,
    /// Nothing ever comes this way; it is closed when the stream is.
    end: Receiver<()>,
}

/// What has come down a stream.
#[derive(Default)]
struct Seen {
    hasher: Sha256,
    /// All of it, as long as that is short enough to be kept.
    kept: Option<Vec<u8>>,
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

impl Stream {
    fn copy(
        name: &'static str,
        from: Option<impl Read + Send + 'static>,
        to: impl Write + Send + 'static,
        lines: &Arc<AtomicU64>,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            kept: Some(Vec::new()),
            ..Seen::default()
        }));
        let (own, lines) = (Arc::clone(&seen), Arc::clone(lines));
        let (open, end) = mpsc::channel();
        std::thread::spawn(move || {
            if let Some(from) = from {
                copy(from, to, &own, &lines);
            }
            drop(open);
        });
        Self { name, seen, end }
    }

    /// Waits for the end of the stream, but not for ever: what CMD has left behind may hold it open.
    pub(super) fn wait(&self, most: Duration) {
        // Closed and still open after that time are both as good.
        let _ = self.end.recv_timeout(most);
    }

    /// What came down it, to be committed to.
    pub(super) fn secret(&self) -> Result<Secret, ledger::codes::Refusal> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &seen.kept {
            Some(kept) => super::named(self.name, kept.clone()),
            None => {
                let digest = Digest::from_bytes(seen.hasher.clone().finalize().into());
                super::digested(self.name, digest)
            }
        }
    }
}

/// Whoever no longer listens to us is as good as not listening to CMD: the pipe is closed, and CMD learns of it.
fn copy(mut from: impl Read, mut to: impl Write, seen: &Mutex<Seen>, lines: &AtomicU64) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let bytes = &chunk[..count];
        let ends = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        lines.fetch_add(ends, Ordering::Relaxed);
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(bytes);
        if to.write_all(bytes).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.kept = self
            .kept
            .take()
            .filter(|kept| kept.len() + bytes.len() <= MAX_VALUE_BYTES);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
    }
}
