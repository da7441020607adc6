//! The socket: JSON lines from CMD, for its owner alone.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};

use super::Connection;
use super::clerk::Job;
use super::request::{Answer, Request};

/// The variable that holds the socket's path for CMD.
pub const SOCKET_VARIABLE: &str = "DRAGONS_SOCKET";

/// The longest line: an intent's inputs, each as long as a value may be, and room to spare.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// How many connections are served at once: a program's own workers, each with one.
const MAX_CONNECTIONS: usize = 64;

/// A socket in a directory of its own, both gone when it is dropped.
pub(crate) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    directory: tempfile::TempDir,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SocketError {
    /// What could not be done.
    what: &'static str,
    /// Why.
    source: io::Error,
}

impl Socket {
    /// Makes the socket in the first of these directories in which it can be.
    pub(crate) fn bind(runtime: &[PathBuf]) -> Result<Self, SocketError> {
        let mut made = Err(io::ErrorKind::NotFound.into());
        for directory in runtime {
            made = Self::bind_in(directory);
            if made.is_ok() {
                break;
            }
        }
        made.map_err(|source| SocketError {
            what: "the program's socket could not be made",
            source,
        })
    }

    /// Its directory is open to its owner alone, so nobody else gets as far as its own mode. The path of a socket has
    /// about a hundred bytes, so that a directory which is there and open may still be none for it.
    fn bind_in(runtime: &Path) -> io::Result<Self> {
        let private = |mode| std::fs::Permissions::from_mode(mode);
        let directory = tempfile::Builder::new()
            .prefix("dragons-")
            .permissions(private(0o700))
            .tempdir_in(runtime)?;
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, private(0o600))?;
        Ok(Self {
            path,
            listener,
            directory,
        })
    }

    /// The directory that it lies in, which nobody else can open.
    pub(crate) fn folder(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Serves until the process ends.
    pub(crate) fn serve(&self, jobs: &Sender<Job>, notice: fn(&str)) -> Result<(), SocketError> {
        let listener = self.listener.try_clone();
        let listener = listener.map_err(|source| SocketError {
            what: "the program's socket could not be served",
            source,
        })?;
        let (jobs, open) = (jobs.clone(), Arc::new(AtomicUsize::new(0)));
        let serving = std::thread::Builder::new().name("socket".to_owned());
        let serving = serving.spawn(move || {
            for (connection, stream) in (0..).zip(listener.incoming().flatten()) {
                if !is_own(&stream) {
                    notice("warning: another user reached for the program's socket");
                    continue;
                }
                if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
                    open.fetch_sub(1, Ordering::Relaxed);
                    continue;
                }
                let (jobs, count) = (jobs.clone(), Arc::clone(&open));
                let conversation = std::thread::Builder::new().name("conversation".to_owned());
                let conversation = conversation.spawn(move || {
                    // Whoever hangs up does not want an answer.
                    let _ = converse(&stream, connection, &jobs);
                    count.fetch_sub(1, Ordering::Relaxed);
                });
                if conversation.is_err() {
                    open.fetch_sub(1, Ordering::Relaxed);
                }
            }
        });
        serving.map(drop).map_err(|source| SocketError {
            what: "the program's socket could not be served",
            source,
        })
    }
}

/// Whether the process at the other end is the same user's, as the kernel knows it.
fn is_own(stream: &UnixStream) -> bool {
    let peer = rustix::net::sockopt::socket_peercred(stream);
    peer.is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// A line in, a line out.
fn converse(mut stream: &UnixStream, connection: Connection, jobs: &Sender<Job>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = (&mut reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(());
        }
        let answer = ask(line.trim_ascii(), connection, jobs);
        // In one piece: who reads once and takes it for a line is right, as short programs do.
        stream.write_all(format!("{}\n", answer.to_json()).as_bytes())?;
        if count as u64 == MAX_LINE_BYTES {
            return Ok(());
        }
    }
}

fn ask(line: &[u8], connection: Connection, jobs: &Sender<Job>) -> Answer {
    let request = match Request::parse(line) {
        Ok(request) => request,
        Err(refusal) => return Answer::refused(refusal.code.as_str(), &refusal.detail),
    };
    let (reply, answer) = mpsc::channel();
    let sent = jobs.send(Job::Ask(Box::new(request), connection, reply));
    let answer = sent.ok().and_then(|()| answer.recv().ok());
    answer.unwrap_or_else(|| Answer::refused("stopping", "the run has ended"))
}
