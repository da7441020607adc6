//! The socket: JSON lines from whatever acts, for its owner alone.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::answer::{Answer, By};
use super::conversation::{Conversation, Desk};
use super::places::{Place, Places};

/// The variable that holds the socket's path for CMD.
pub const SOCKET_VARIABLE: &str = "DRAGONS_SOCKET";

/// How many connections are served at once: a program's own workers, each with one, and hooks, which come and go.
const MAX_CONNECTIONS: usize = 256;

/// How long a connection waits for a place before it is answered that there is none.
const WAITING: Duration = Duration::from_secs(2);

/// A socket, gone when it is dropped unless somebody else has made it.
pub(crate) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    made: Made,
}

/// What of it is removed in the end.
enum Made {
    /// A directory of its own.
    Directory(tempfile::TempDir),
    /// The file.
    File,
    /// Nothing: a service manager holds it.
    Nothing,
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

impl SocketError {
    /// Whether somebody speaks there already.
    pub fn is_taken(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
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
            made: Made::Directory(directory),
        })
    }

    /// Makes the socket at a path that others know. What is there and answers is somebody else's.
    ///
    /// # Errors
    ///
    /// [`SocketError`]; its source is [`io::ErrorKind::AddrInUse`] if somebody answers there.
    pub(crate) fn bind_at(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError {
            what: "the socket could not be made",
            source,
        };
        Self::take_place(path).map_err(failed)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, private).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            made: Made::File,
        })
    }

    /// Takes a socket that a service manager has made and listens at.
    ///
    /// # Errors
    ///
    /// [`SocketError`] if it has no path.
    pub(crate) fn given(listener: UnixListener) -> Result<Self, SocketError> {
        let failed = |source| SocketError {
            what: "the socket that was handed on has no path",
            source,
        };
        let address = listener.local_addr().map_err(failed)?;
        let path = address.as_pathname().map(Path::to_owned);
        let path = path.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        Ok(Self {
            path,
            listener,
            made: Made::Nothing,
        })
    }

    /// Its directory is made for its owner alone; one that is there already may not be writable to others. A socket that
    /// nobody listens at is what a process left that was killed.
    fn take_place(path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let made = std::fs::metadata(folder)?;
        let is_private =
            made.uid() == rustix::process::geteuid().as_raw() && made.mode() & 0o022 == 0;
        if !is_private {
            let why = format!("{folder:?} is not this user's alone: chmod 700");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        match UnixStream::connect(path) {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The directory that it is in, which nobody else can open.
    pub(crate) fn folder(&self) -> &Path {
        match &self.made {
            Made::Directory(directory) => directory.path(),
            _ => self.path.parent().unwrap_or(Path::new(".")),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Serves until the process ends.
    pub(crate) fn serve(&self, desk: &Desk, notice: fn(&str)) -> Result<(), SocketError> {
        let failed = |source| SocketError {
            what: "the socket could not be served",
            source,
        };
        let listener = self.listener.try_clone().map_err(failed)?;
        let desk = desk.clone();
        let serving = std::thread::Builder::new().name("socket".to_owned());
        let serving = serving.spawn(move || serve(&listener, &desk, notice));
        serving.map(drop).map_err(failed)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if matches!(self.made, Made::File) {
            // It may have ended already, which does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn serve(listener: &UnixListener, desk: &Desk, notice: fn(&str)) {
    let places = Places::new(MAX_CONNECTIONS);
    for (connection, stream) in (0..).zip(listener.incoming().flatten()) {
        if !is_own(&stream) {
            notice("warning: another user tried to use the agent's socket");
            continue;
        }
        let Some(place) = places.take(WAITING) else {
            has_no_place(&stream);
            continue;
        };
        let conversation = Conversation {
            connection,
            desk: desk.clone(),
        };
        hold(conversation, stream, place);
    }
}

fn hold(conversation: Conversation, stream: UnixStream, place: Place) {
    let thread = std::thread::Builder::new().name("conversation".to_owned());
    // Without a thread the connection ends, which its other end sees.
    let _ = thread.spawn(move || {
        // Whoever hangs up does not want an answer.
        let _ = conversation.hold(&stream);
        drop(place);
    });
}

fn has_no_place(mut stream: &UnixStream) {
    let full = Answer::refused("busy", "too many connections are open", By::Speaker);
    // It is short, so there is room for it; whoever hung up does not want it.
    let _ = stream.write_all(full.into_line(None).as_bytes());
}

/// Whether the process at the other end is the same user's, as the kernel knows it.
fn is_own(stream: &UnixStream) -> bool {
    let peer = rustix::net::sockopt::socket_peercred(stream);
    peer.is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}
