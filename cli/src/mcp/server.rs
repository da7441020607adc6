//! The server, as a program that this process starts and ends.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mcp::{Proxy, Streams};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

/// The signals that are passed on to the server.
const PASSED_ON: [i32; 6] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];

/// What leads to the key.
const KEY_VARIABLE: &str = "DRAGONS_KEY";

/// Those that ask for the end.
const ENDS: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];

/// How long what the server wrote is waited for once it has ended: a process that it has left behind may hold its stdout.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    events: (Sender<Event>, Receiver<Event>),
    grace: Duration,
}

/// What happens to it.
enum Event {
    /// A signal came to this process.
    Signal(i32),
    /// The client has said its last, and the server's stdin is closed.
    ClientEnded,
    /// All that the server wrote has passed.
    Passed,
    /// It has ended.
    Exited(io::Result<ExitStatus>),
}

/// How it ended.
pub(crate) struct Ended {
    /// What it ended with, as a shell tells it.
    pub(crate) code: u8,
    /// Whether the client had said its last before, or this process was asked to end it.
    pub(crate) was_asked: bool,
}

impl Server {
    /// Starts it. It gets the environment of this process but for what leads to the key, and its stderr.
    pub(crate) fn start(command: &[OsString], grace: Duration) -> Result<Self> {
        let (program, arguments) = command.split_first().context("there is no SERVER")?;
        let events = channel();
        pass_signals(&events.0).context("signals cannot be passed on")?;
        let child = command_of(program, arguments)
            .spawn()
            .with_context(|| format!("{program:?} cannot be run"))?;
        Ok(Self {
            child,
            events,
            grace,
        })
    }

    /// Says when a signal asks this process to end, where there is no program to pass it on to.
    pub(crate) fn asked_to_end() -> Result<Receiver<()>> {
        let ((events, came), (asks, asked)) = (channel(), channel());
        pass_signals(&events).context("signals cannot be heard")?;
        let waiting = thread::Builder::new().name("end".to_owned());
        waiting.spawn(move || {
            let is_end =
                |event: Event| matches!(event, Event::Signal(number) if ENDS.contains(&number));
            if came.into_iter().any(is_end) {
                // Whoever has ended already need not be asked.
                let _ = asks.send(());
            }
        })?;
        Ok(asked)
    }

    /// Relays between the client, at stdin and stdout of this process, and the server, until that has ended.
    pub(crate) fn relay(mut self, proxy: &Arc<Proxy>) -> Result<Ended> {
        let streams = self.child.stdin.take().zip(self.child.stdout.take());
        let (stdin, stdout) = streams.context("the server has no stdin and stdout")?;
        let process = Pid::from_child(&self.child);
        let (sender, events) = self.events;
        relay_in_background(proxy, stdin, stdout, &sender)?;
        let mut child = self.child;
        let waiting = sender.clone();
        thread::Builder::new()
            .name("wait".to_owned())
            .spawn(move || {
                let _ = waiting.send(Event::Exited(child.wait()));
            })?;
        Watch {
            proxy: Arc::clone(proxy),
            process,
            events,
            grace: self.grace,
            was_asked: false,
            has_passed: false,
            due: None,
        }
        .until_the_end()
    }
}

/// Watches a server until it has ended.
struct Watch {
    proxy: Arc<Proxy>,
    process: Pid,
    events: Receiver<Event>,
    grace: Duration,
    was_asked: bool,
    has_passed: bool,
    /// When it is ended with which signal, because it has not ended by itself.
    due: Option<(Instant, Signal)>,
}

impl Watch {
    fn until_the_end(mut self) -> Result<Ended> {
        loop {
            match self.next() {
                Ok(Event::Signal(number)) => {
                    self.was_asked |= ENDS.contains(&number);
                    self.signal(Signal::from_named_raw(number));
                }
                Ok(Event::ClientEnded) => {
                    self.was_asked = true;
                    self.due = Some((Instant::now() + self.grace, Signal::TERM));
                }
                Ok(Event::Passed) => self.has_passed = true,
                Ok(Event::Exited(status)) => {
                    self.hear_last_words();
                    return Ok(Ended {
                        code: code(status.context("the server's end cannot be seen")?),
                        was_asked: self.was_asked,
                    });
                }
                Err(RecvTimeoutError::Timeout) if self.is_at_work() => {
                    self.due = Some((Instant::now() + self.grace, Signal::TERM));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let due = self.due.take();
                    self.signal(due.map(|(_, signal)| signal));
                    self.due = due
                        .filter(|(_, signal)| *signal == Signal::TERM)
                        .map(|_| (Instant::now() + self.grace, Signal::KILL));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("the server is no longer watched")
                }
            }
        }
    }

    /// A client that says nothing more may still wait for answers.
    fn is_at_work(&self) -> bool {
        let is_asked_first = self.due.is_some_and(|(_, signal)| signal == Signal::TERM);
        is_asked_first && self.proxy.has_open_calls()
    }

    fn next(&self) -> Result<Event, RecvTimeoutError> {
        match self.due {
            None => self
                .events
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some((due, _)) => {
                let left = due.saturating_duration_since(Instant::now());
                self.events.recv_timeout(left)
            }
        }
    }

    fn hear_last_words(&self) {
        if self.has_passed {
            return;
        }
        let until = Instant::now() + LAST_WORDS;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::Passed) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn signal(&self, signal: Option<Signal>) {
        if let Some(signal) = signal {
            // It may have ended meanwhile, and its end is on the way here.
            let _ = kill_process(self.process, signal);
        }
    }
}

/// A program that is spoken with over its stdin and stdout. Where nothing leads to the key its environment is as it was,
/// even in its order.
pub(super) fn command_of(program: &OsStr, arguments: &[OsString]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if std::env::var_os(KEY_VARIABLE).is_some() {
        command.env_remove(KEY_VARIABLE);
    }
    command
}

fn relay_in_background(
    proxy: &Arc<Proxy>,
    stdin: ChildStdin,
    stdout: ChildStdout,
    events: &Sender<Event>,
) -> io::Result<()> {
    let streams = Streams {
        client_in: io::stdin(),
        client_out: io::stdout(),
        server_in: ServerIn {
            stdin,
            events: events.clone(),
        },
        server_out: stdout,
    };
    let (proxy, events) = (Arc::clone(proxy), events.clone());
    let relaying = thread::Builder::new().name("relay".to_owned());
    let relay = move || {
        // What cannot be relayed ends as what was relayed: the server's stdin is closed.
        let _ = mcp::relay(&proxy, streams);
        let _ = events.send(Event::Passed);
    };
    relaying.spawn(relay).map(drop)
}

/// The server's stdin, which says when it is closed.
struct ServerIn {
    stdin: ChildStdin,
    events: Sender<Event>,
}

impl Write for ServerIn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdin.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.flush()
    }
}

impl Drop for ServerIn {
    fn drop(&mut self) {
        let _ = self.events.send(Event::ClientEnded);
    }
}

/// A thread for each signal, which reads a stream that the signal writes to. One that this process was told to ignore the
/// server ignores too.
fn pass_signals(events: &Sender<Event>) -> io::Result<()> {
    for number in PASSED_ON {
        if client::run::is_ignored(number) {
            continue;
        }
        let (mut came, comes) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(number, comes)?;
        let events = events.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                while came.read(&mut [0]).is_ok_and(|count| count > 0) {
                    if events.send(Event::Signal(number)).is_err() {
                        return;
                    }
                }
            })?;
    }
    Ok(())
}

/// As a shell tells it.
fn code(status: ExitStatus) -> u8 {
    let by_signal = || status.signal().map(|number| 128 + number);
    let code = status.code().or_else(by_signal);
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}
