//! A copy of the store as it is now, from the process that has it open.
//!
//! A running service holds its store alone. So it listens on a socket in its data folder that its own user alone can
//! reach: whoever connects gets the path of a snapshot, which is there until the connection ends.
//!
//! ```text
//! DATA/backup.sock     {"snapshot":"/srv/dragons/backup.store"}   or   {"error":"…"}
//! DATA/backup.store/   a store of its own, while a backup is made
//! ```

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::json::{Value, object};
use store::Store;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::init;

/// Where a running service is asked.
const SOCKET: &str = "backup.sock";

/// The path of a snapshot.
const SNAPSHOT: &str = "backup.store";

/// The longest answer: two paths.
const MAX_ANSWER_BYTES: u64 = 16_384;

/// A store that can be copied: nobody writes to it.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    /// While it is open the snapshot is there. Without a service the store itself is copied.
    _service: Option<net::UnixStream>,
}

impl Source {
    /// The path of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Asks the service that runs on a data folder for a snapshot; without one, gives the store itself.
///
/// # Errors
/// [`SnapshotError`].
pub fn take(data: &Path) -> Result<Source, SnapshotError> {
    let socket = data.join(SOCKET);
    let stream = match net::UnixStream::connect(&socket) {
        Ok(stream) => stream,
        Err(error) if is_absent(&error) => {
            return Ok(Source {
                path: init::store_path(data),
                _service: None,
            });
        }
        Err(error) => return Err(SnapshotError::Unreached { socket, error }),
    };
    let mut answer = String::new();
    let read = BufReader::new((&stream).take(MAX_ANSWER_BYTES)).read_line(&mut answer);
    read.map_err(|error| SnapshotError::Unreached { socket, error })?;
    Ok(Source {
        path: path_in(&answer)?,
        _service: Some(stream),
    })
}

/// A service that was killed leaves its socket behind.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn path_in(answer: &str) -> Result<PathBuf, SnapshotError> {
    let members = match Value::parse(answer.trim_end().as_bytes()) {
        Ok(Value::Object(members)) => members,
        _ => return Err(SnapshotError::Unanswered),
    };
    match members.into_iter().next() {
        Some((name, Value::Text(path))) if name == "snapshot" => Ok(path.into()),
        Some((name, Value::Text(why))) if name == "error" => Err(SnapshotError::Failed { why }),
        _ => Err(SnapshotError::Unanswered),
    }
}

/// Gives snapshots of a store to processes that may use the data folder, one at a time.
#[derive(Debug)]
pub struct Snapshots {
    socket: PathBuf,
    stop: watch::Sender<bool>,
    giving: JoinHandle<()>,
}

impl Snapshots {
    /// Begins. Whoever has the store open is alone on its data folder, so what a killed process left there goes.
    ///
    /// # Errors
    /// If there can be no socket, such as when its path is longer than 107 bytes.
    pub fn offer(data: &Path, store: Arc<dyn Store>) -> io::Result<Self> {
        let data = std::path::absolute(data)?;
        let (socket, snapshot) = (data.join(SOCKET), data.join(SNAPSHOT));
        remove(&snapshot)?;
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        let (stop, stopped) = watch::channel(false);
        let giving = tokio::spawn(give(listener, Snapshot { snapshot, store }, stopped));
        Ok(Self {
            socket,
            stop,
            giving,
        })
    }

    /// Ends. A backup that is under way fails.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        // It does not panic; if it did, there is nothing left to end.
        let _ = self.giving.await;
        if let Err(error) = fs::remove_file(&self.socket) {
            tracing::warn!(%error, "the socket for backups was not removed");
        }
    }
}

/// Where a snapshot of which store goes.
#[derive(Clone)]
struct Snapshot {
    snapshot: PathBuf,
    store: Arc<dyn Store>,
}

async fn give(listener: UnixListener, snapshot: Snapshot, mut stopped: watch::Receiver<bool>) {
    loop {
        let came = tokio::select! {
            came = listener.accept() => came,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        match came {
            Ok((stream, _)) => snapshot.give_to(stream, &mut stopped).await,
            Err(error) => {
                tracing::error!(%error, "no more backups can be made of the running service");
                return;
            }
        }
    }
}

impl Snapshot {
    /// Makes a snapshot, says where it is, and removes it when the other end has gone or the service stops.
    async fn give_to(&self, stream: UnixStream, stopped: &mut watch::Receiver<bool>) {
        let answer = match apart(self, Self::make).await {
            Ok(()) => object([("snapshot", self.snapshot.to_string_lossy().as_ref().into())]),
            Err(error) => {
                tracing::error!(error, "no snapshot was made for a backup");
                object([("error", error.into())])
            }
        };
        let answer = answer.to_json();
        tokio::select! {
            () = hold(&stream, &answer) => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
        let removed = apart(self, |it| {
            remove(&it.snapshot).map_err(|error| error.to_string())
        });
        if let Err(error) = removed.await {
            tracing::error!(error, "the snapshot of a backup was not removed");
        }
    }

    fn make(&self) -> Result<(), String> {
        // One that broke off in the middle.
        remove(&self.snapshot).map_err(|error| error.to_string())?;
        let made = self.store.snapshot(&self.snapshot);
        made.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }
}

/// Runs what waits for a disk where nobody waits for it.
async fn apart(
    snapshot: &Snapshot,
    work: impl FnOnce(&Snapshot) -> Result<(), String> + Send + 'static,
) -> Result<(), String> {
    let snapshot = snapshot.clone();
    let done = tokio::task::spawn_blocking(move || work(&snapshot)).await;
    done.unwrap_or_else(|error| Err(error.to_string()))
}

/// Answers, and waits for the end of the connection.
async fn hold(stream: &UnixStream, answer: &str) {
    let line = format!("{answer}\n");
    // A line of this length fits into the buffer of a socket that is new.
    if stream.writable().await.is_err() || stream.try_write(line.as_bytes()).is_err() {
        return;
    }
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut [0; 64]) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Why nobody gave a store to copy.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The socket is there and cannot be used.
    #[error("the service cannot be asked at {}", socket.display())]
    Unreached {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The service ended in the middle, or is not one.
    #[error("the service did not answer")]
    Unanswered,
    /// The service has no snapshot to give.
    #[error("the service made no snapshot: {why}")]
    Failed {
        /// Why.
        why: String,
    },
}
