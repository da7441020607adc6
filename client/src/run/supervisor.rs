//! The supervisor: watches CMD and the clock, and never the network.

use std::io;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use ledger::codes::Refusal;
use ledger::record::AgentState;
use rustix::fd::OwnedFd;
use rustix::process::{Signal, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::child::{Running, Stream};
use super::{RunError, Surroundings};
use crate::disclosure::Secret;
use crate::http::{Ask, Standing};

/// How long CMD's output may go on after its end: what it left behind may hold its pipes open for ever.
const OUTPUT_AFTER_END: Duration = Duration::from_secs(2);

/// What there is to know.
pub(super) enum Event {
    /// CMD ended.
    Ended(io::Result<ExitStatus>),
    /// This process got a signal.
    Signal(i32),
    /// The log has answered.
    Standing(Standing),
    /// This process speaks for the agent no more.
    Fenced(String),
}

/// Why CMD was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its permit was about to lapse.
    Lapsed,
    /// The authority behind it ended.
    AuthorityEnded,
}

/// How it went.
pub(super) struct End {
    pub(super) status: ExitStatus,
    pub(super) cut: Option<Cut>,
    pub(super) duration_ms: u64,
    pub(super) outputs: Result<Vec<Secret>, Refusal>,
}

/// CMD under watch.
pub(super) struct Supervisor {
    handle: OwnedFd,
    grace: Duration,
    /// When CMD is asked to end, whatever becomes of its lease.
    stop_ms: u64,
    lease_ends_ms: Option<u64>,
    cut: Option<Cut>,
    ending: Ending,
    around: Surroundings,
}

/// How far CMD's end has been brought on.
#[derive(Clone, Copy)]
enum Ending {
    NotBegun,
    Asked(Instant),
    Forced,
}

/// Watches until CMD has ended.
pub(super) fn watch(
    running: Running,
    (grace, stop_ms): (Duration, u64),
    around: Surroundings,
    events: &Sender<Event>,
    queue: &Receiver<Event>,
) -> Result<End, RunError> {
    let begun = Instant::now();
    let (mut child, output) = (running.child, running.output);
    let waiter = events.clone();
    std::thread::spawn(move || waiter.send(Event::Ended(child.wait())));
    let mut supervisor = Supervisor {
        handle: running.handle,
        grace,
        stop_ms,
        lease_ends_ms: None,
        cut: None,
        ending: Ending::NotBegun,
        around,
    };
    let status = supervisor.watch(queue);
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    output
        .iter()
        .for_each(|stream| stream.wait(OUTPUT_AFTER_END));
    Ok(End {
        status: status.map_err(|source| RunError::Machine {
            what: "the program could not be waited for",
            source,
        })?,
        cut: supervisor.cut,
        duration_ms,
        outputs: output.iter().map(Stream::secret).collect(),
    })
}

impl Supervisor {
    fn watch(&mut self, queue: &Receiver<Event>) -> io::Result<ExitStatus> {
        loop {
            let ended = match queue.recv_timeout(self.next_look()) {
                Ok(Event::Ended(status)) => return status,
                Ok(event) => self.hear(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the thread that waits is gone"));
                }
            };
            let ended = ended.map(|why| (Cut::AuthorityEnded, why));
            self.bring_on(ended.or_else(|| self.by_the_clock()));
        }
    }

    /// Why CMD's authority has ended, if this says so.
    fn hear(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Signal(number) => {
                Signal::from_named_raw(number)
                    .into_iter()
                    .for_each(|signal| self.send(signal));
                None
            }
            Event::Standing(standing) => {
                self.lease_ends_ms = standing.lease_ends_ms.or(self.lease_ends_ms);
                ends_authority(&standing)
            }
            Event::Fenced(reason) => Some(reason),
            Event::Ended(_) => None,
        }
    }

    fn by_the_clock(&self) -> Option<(Cut, String)> {
        let now_ms = (self.around.now_ms)();
        if self.lease_ends_ms.is_some_and(|ends_ms| now_ms >= ends_ms) {
            return Some((Cut::AuthorityEnded, "the lease has ended".to_owned()));
        }
        let lapses = || (Cut::Lapsed, "the permit is about to lapse".to_owned());
        (now_ms >= self.stop_ms).then(lapses)
    }

    /// SIGTERM at once, SIGKILL after the grace.
    fn bring_on(&mut self, cause: Option<(Cut, String)>) {
        match (self.ending, cause) {
            (Ending::NotBegun, Some((cut, why))) => {
                (self.around.notice)(&format!("ending the program: {why}"));
                self.cut = Some(cut);
                self.send(Signal::TERM);
                self.ending = Ending::Asked(Instant::now());
            }
            (Ending::Asked(since), _) if since.elapsed() >= self.grace => {
                self.send(Signal::KILL);
                self.ending = Ending::Forced;
            }
            _ => {}
        }
    }

    fn send(&self, signal: Signal) {
        // CMD may be gone already, which is as good as any answer to a signal.
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// How long nothing happens by itself. A look every second costs nothing and sees a clock that was set.
    fn next_look(&self) -> Duration {
        const LOOK: Duration = Duration::from_secs(1);
        let now_ms = (self.around.now_ms)();
        let pause = match self.ending {
            Ending::NotBegun => {
                let due_ms = self.lease_ends_ms.unwrap_or(u64::MAX).min(self.stop_ms);
                Duration::from_millis(due_ms.saturating_sub(now_ms))
            }
            Ending::Asked(since) => self.grace.saturating_sub(since.elapsed()),
            Ending::Forced => LOOK,
        };
        pause.min(LOOK)
    }
}

/// Whether the log's answer leaves CMD nothing to act upon.
fn ends_authority(standing: &Standing) -> Option<String> {
    match (standing.state, standing.ask) {
        (AgentState::Stopped | AgentState::Quarantined, _) => {
            Some(format!("the agent is {}", standing.state))
        }
        (_, Ask::Stop) => Some("the log asks it to stop".to_owned()),
        (_, Ask::Restart) => Some("the log asks for another process".to_owned()),
        (_, Ask::GoOn) => None,
    }
}

/// Signals that a terminal sends go to CMD as well, which is of the same group: passed on they would come twice.
pub(super) fn pass_signals_on(events: &Sender<Event>) -> Result<(), RunError> {
    use std::io::IsTerminal as _;
    let from_terminal = [SIGINT, SIGQUIT];
    let at_terminal = io::stdin().is_terminal();
    let events = events.clone();
    let mut signals =
        Signals::new([SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT]).map_err(|source| {
            RunError::Machine {
                what: "signals cannot be passed on",
                source,
            }
        })?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let twice = at_terminal && from_terminal.contains(&signal);
            if !twice && events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    });
    Ok(())
}
