//! Signs of life from CMD: what it tells its service manager, and what a probe finds. Each sign is a step of progress.
//!
//! CMD finds the socket of the service manager's protocol at `NOTIFY_SOCKET` (sd_notify(3)), a datagram each time:
//! `READY=1` says that it is up, `WATCHDOG=1` that it works. What it says is passed on to the service manager of this
//! process, if there is one.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::speaker::Job;

/// The variable that holds the path of the socket.
pub(super) const NOTIFY_VARIABLE: &str = "NOTIFY_SOCKET";

/// The longest message: a few short lines.
const MAX_MESSAGE_BYTES: usize = 4096;

/// A command that succeeds as long as the program works.
#[derive(Clone, Debug)]
pub struct Probe {
    /// What a shell runs.
    pub command: OsString,
    /// How often.
    pub every: Duration,
}

/// How many signs there were, for whoever counts them.
#[derive(Clone, Debug, Default)]
pub(super) struct Signs(Arc<AtomicU64>);

impl Signs {
    pub(super) fn count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Listens in the directory until the run has ended, and gives the socket's path.
    pub(super) fn listen(
        &self,
        directory: &Path,
        jobs: &Sender<Job>,
        manager: Option<OsString>,
    ) -> io::Result<PathBuf> {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path)?;
        let (signs, jobs) = (self.clone(), jobs.clone());
        let listening = std::thread::Builder::new().name("signs".to_owned());
        listening.spawn(move || {
            let mut message = [0; MAX_MESSAGE_BYTES];
            while let Ok(count) = socket.recv(&mut message) {
                let message = message.get(..count).unwrap_or_default();
                pass_on(message, manager.as_deref());
                if !signs.hear(message, &jobs) {
                    return;
                }
            }
        })?;
        Ok(path)
    }

    /// Whether anybody is left who wants to know.
    fn hear(&self, message: &[u8], jobs: &Sender<Job>) -> bool {
        message.split(|byte| *byte == b'\n').all(|line| match line {
            b"READY=1" => jobs.send(Job::Up).is_ok(),
            b"WATCHDOG=1" => {
                self.add();
                true
            }
            _ => true,
        })
    }

    /// Probes until the run has ended.
    pub(super) fn probe(&self, probe: &Probe) {
        let (signs, probe) = (self.clone(), probe.clone());
        let probing = std::thread::Builder::new().name("probe".to_owned());
        // Without a thread for it there is no progress by it, which is seen.
        let _ = probing.spawn(move || {
            loop {
                std::thread::sleep(probe.every);
                if probe.succeeds() {
                    signs.add();
                }
            }
        });
    }
}

impl Probe {
    /// The shell says so itself: whoever waits for all children of this process may learn first how it ended.
    fn succeeds(&self) -> bool {
        let mut shell = Command::new("/bin/sh");
        shell.args([
            "-c",
            "timeout \"$2\" sh -c \"$1\" >/dev/null 2>&1 && echo yes",
            "sh",
        ]);
        shell.arg(&self.command);
        shell.arg(format!("{}s", self.every.as_secs().max(1)));
        shell.env_remove("DRAGONS_KEY");
        shell
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let Ok(mut child) = shell.spawn() else {
            return false;
        };
        let mut said = String::new();
        let read = child
            .stdout
            .take()
            .map(|mut out| out.read_to_string(&mut said));
        let _ = child.wait();
        matches!(read, Some(Ok(_))) && said == "yes\n"
    }
}

/// The service manager of this process hears what its program says, as if nobody stood between them.
fn pass_on(message: &[u8], manager: Option<&OsStr>) {
    let Some(manager) = manager else { return };
    let address = match manager.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(manager),
    };
    // One that is gone hears nothing, and loses nothing by it.
    let _ = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(message, &address));
}
