//! Speaking for an agent whose processes others start: an IDE's agent, a web worker, a hook.
//!
//! ```text
//!   log ◄── post ── clerk ◄── jobs ◄── the agent's socket ◄── hooks, proxies, SDKs
//!            └── duty: speaks, heals, is down, or idles until somebody asks
//! ```
//!
//! The [`speaker`](crate::speaker) does what any speaker does. The post is what `dragons run` has for its program: it
//! begins, heals, compares the version, ends goals of sessions that fall silent, says goodbye when nothing is to be done,
//! and begins again when something is.

mod duty;
mod post;
mod signals;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::text::Text;

use crate::agent::{Agent, AgentError};
use crate::http::Service;
use crate::manifest::ManifestError;
use crate::manifest::again::Directory;
use crate::run::hints;
use crate::speaker::{Caller, Desk, Prompt, Roots, Socket, SocketError, Unlogged};
use crate::transport::Transport;

/// How to speak for an agent.
#[derive(Debug)]
pub struct Options {
    /// Where the socket is.
    pub place: Place,
    /// Who is said to ask for what a session is about.
    pub requester: Text,
    /// How long nothing may be asked before the agent says goodbye.
    pub idle: Duration,
    /// The service whose events are followed, so that an order is heard before the next heartbeat.
    pub follow: Option<Service>,
}

/// Where the socket is.
#[derive(Debug)]
pub enum Place {
    /// At a path, where it is made.
    At(PathBuf),
    /// A service manager has made it, and hands it on.
    Given(std::os::unix::net::UnixListener),
}

/// Why nobody speaks for the agent.
#[derive(Debug, thiserror::Error)]
pub enum AttendError {
    /// Somebody does already.
    #[error("another process already speaks for the agent at {0:?}")]
    Taken(PathBuf),
    /// There is no socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The log, the service, or the journal does not let it.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The directory holds no version any more.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// This machine does not let it.
    #[error("{what}")]
    Machine {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// What asks for the end.
#[derive(Debug)]
pub enum End<'a> {
    /// A signal to this process.
    Signal,
    /// Whoever holds the other end of this stream: a byte, or that it is closed.
    Stream(&'a UnixStream),
}

/// Speaks for the agent until a signal asks for the end. `ready` is called with the socket's path once it is served.
///
/// # Errors
///
/// [`AttendError`], before anything was served. A notice says what goes wrong afterwards.
pub fn attend<T: Transport>(
    agent: &mut Agent<T>,
    directory: &mut Directory,
    options: &Options,
    caller: Caller,
    ready: &mut dyn FnMut(&Path) -> std::io::Result<()>,
) -> Result<(), AttendError> {
    attend_until(End::Signal, agent, directory, options, caller, ready)
}

/// As [`attend`], until what is named asks for the end.
///
/// # Errors
///
/// As [`attend`].
pub fn attend_until<T: Transport>(
    end: End<'_>,
    agent: &mut Agent<T>,
    directory: &mut Directory,
    options: &Options,
    caller: Caller,
    ready: &mut dyn FnMut(&Path) -> std::io::Result<()>,
) -> Result<(), AttendError> {
    let socket = socket(&options.place)?;
    let (jobs, mut queue) = std::sync::mpsc::channel();
    let ends = match end {
        End::Signal => signals::end_with(&jobs),
        End::Stream(stream) => signals::end_when_asked(stream, &jobs),
    };
    ends.map_err(|source| AttendError::Machine {
        what: "nobody could ask for the end",
        source,
    })?;
    let unlogged = Unlogged::default();
    let prompt = Prompt::start(unlogged.clone(), caller.now_ms);
    let prompt = prompt.map_err(|source| AttendError::Machine {
        what: "there is no thread for answers in time",
        source,
    })?;
    let desk = Desk {
        jobs: jobs.clone(),
        roots: Roots::beside(directory.path(), caller.notice),
        prompt: Some(prompt),
    };
    let mut life = post::life();
    let mut post = post::Post::begin(
        agent, directory, &mut life, &desk, unlogged, options, caller,
    )?;
    if let Some(service) = &options.follow {
        hints::follow(service, post.agent_name(), &jobs);
    }
    socket.serve(&desk, caller.notice)?;
    ready(socket.path()).map_err(|source| AttendError::Machine {
        what: "it cannot be said that the socket is there",
        source,
    })?;
    post.keep(&mut queue);
    Ok(())
}

fn socket(place: &Place) -> Result<Socket, AttendError> {
    match place {
        Place::Given(listener) => {
            let listener = listener
                .try_clone()
                .map_err(|source| AttendError::Machine {
                    what: "the socket that was handed on cannot be used",
                    source,
                })?;
            Ok(Socket::given(listener)?)
        }
        Place::At(path) => Socket::bind_at(path).map_err(|error| match error.is_taken() {
            true => AttendError::Taken(path.clone()),
            false => error.into(),
        }),
    }
}
