//! The supervisor: watches CMD and the clock, and never the network.

use std::io;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use ledger::record::AgentState;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, Signal, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::child::Running;
use super::message::{Cut, End, Event};
use super::output::Stream;
use super::{RunError, descendants};
use crate::http::{Ask, Standing};
use crate::speaker::{Caller, News};

/// How long CMD's output may go on after its end: what it left behind may hold its pipes open for ever.
const OUTPUT_AFTER_END: Duration = Duration::from_secs(2);

/// What CMD is held to.
#[derive(Clone, Copy)]
pub(super) struct Watch {
    pub(super) grace: Duration,
    /// When CMD is asked to end, whatever becomes of its lease.
    pub(super) stop_ms: u64,
    /// Whether the rules bind. Beside a log that observes, CMD runs as it would without.
    pub(super) enforces: bool,
    pub(super) caller: Caller,
}

/// CMD under watch.
struct Supervisor {
    pid: Pid,
    handle: OwnedFd,
    watch: Watch,
    lease_ends_ms: Option<u64>,
    cut: Option<(Cut, String)>,
    was_asked_to_end: bool,
    /// Whether people know what a log that enforces would have ended CMD for.
    was_told: bool,
    ending: Ending,
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
    watch: Watch,
    events: &Sender<Event>,
    queue: &Receiver<Event>,
) -> Result<End, RunError> {
    let begun = Instant::now();
    let (mut child, output) = (running.child, running.output);
    let pid = Pid::from_child(&child);
    let waiter = events.clone();
    std::thread::spawn(move || waiter.send(Event::Ended(child.wait())));
    let mut supervisor = Supervisor {
        pid,
        handle: running.handle,
        watch,
        lease_ends_ms: None,
        cut: None,
        was_asked_to_end: false,
        was_told: false,
        ending: Ending::NotBegun,
    };
    let status = supervisor.watch(queue);
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    if status.is_ok() && supervisor.cut.is_some() {
        supervisor.end_descendants();
    }
    output
        .iter()
        .for_each(|stream| stream.wait(OUTPUT_AFTER_END));
    Ok(End {
        status: status.map_err(|source| RunError::Machine {
            what: "the program could not be waited for",
            source,
        })?,
        cut: supervisor.cut,
        was_asked_to_end: supervisor.was_asked_to_end,
        duration_ms,
        outputs: output.iter().map(Stream::secret).collect(),
    })
}

impl Supervisor {
    fn watch(&mut self, queue: &Receiver<Event>) -> io::Result<ExitStatus> {
        loop {
            let cause = match queue.recv_timeout(self.next_look()) {
                Ok(Event::Ended(status)) => return status,
                Ok(event) => self.hear(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the thread that waits is gone"));
                }
            };
            self.bring_on(cause.or_else(|| self.by_the_clock()));
        }
    }

    /// Why CMD is to end, if this says so.
    fn hear(&mut self, event: Event) -> Option<(Cut, String)> {
        match event {
            Event::Signal {
                number,
                reached_all,
            } => {
                self.was_asked_to_end |= is_end(number);
                if !reached_all {
                    Signal::from_named_raw(number)
                        .into_iter()
                        .for_each(|signal| self.send(signal));
                }
                None
            }
            Event::News(News::Standing(standing)) => {
                self.lease_ends_ms = standing.lease_ends_ms.or(self.lease_ends_ms);
                ends_authority(&standing).map(|why| (Cut::Fenced, why))
            }
            Event::News(News::Fenced(reason)) => Some((Cut::Fenced, reason)),
            Event::Ended(_) => None,
        }
    }

    fn by_the_clock(&self) -> Option<(Cut, String)> {
        let now_ms = (self.watch.caller.now_ms)();
        if self.lease_ends_ms.is_some_and(|ends_ms| now_ms >= ends_ms) {
            return Some((Cut::LeaseEnded, "the lease has ended".to_owned()));
        }
        let lapses = || (Cut::Lapsed, "the permit is about to lapse".to_owned());
        (now_ms >= self.watch.stop_ms).then(lapses)
    }

    /// SIGTERM at once, SIGKILL after the grace, to CMD and to what it has started.
    fn bring_on(&mut self, cause: Option<(Cut, String)>) {
        match cause {
            Some(cause) if self.watch.enforces => self.take_note(cause),
            Some((_, why)) if !std::mem::replace(&mut self.was_told, true) => {
                (self.watch.caller.notice)(&format!("the log only observes: {why}"));
            }
            _ => {}
        }
        match self.ending {
            Ending::NotBegun if self.cut.is_some() => {
                descendants::adopt();
                self.send(Signal::TERM);
                descendants::signal(Signal::TERM, self.pid);
                self.ending = Ending::Asked(Instant::now());
            }
            Ending::Asked(since) if since.elapsed() >= self.watch.grace => {
                self.send(Signal::KILL);
                self.ending = Ending::Forced;
            }
            _ => {}
        }
    }

    /// A graver reason takes the place of the one before, for it decides what follows.
    fn take_note(&mut self, (cut, why): (Cut, String)) {
        let is_graver = |(known, _): &(Cut, String)| cut > *known;
        if self.cut.as_ref().is_none_or(is_graver) {
            (self.watch.caller.notice)(&format!("ending the program: {why}"));
            self.cut = Some((cut, why));
        }
    }

    /// What CMD has started has what is left of the grace, and no more.
    fn end_descendants(&self) {
        let left = match self.ending {
            Ending::Asked(since) => self.watch.grace.saturating_sub(since.elapsed()),
            Ending::NotBegun | Ending::Forced => Duration::ZERO,
        };
        if !descendants::end(left, self.pid) {
            (self.watch.caller.notice)("warning: a process that the program started does not end");
        }
    }

    fn send(&self, signal: Signal) {
        // CMD may be gone already, which is as good as any answer to a signal.
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// How long nothing happens by itself. A look every second costs nothing and sees a clock that was set.
    fn next_look(&self) -> Duration {
        const LOOK: Duration = Duration::from_secs(1);
        let now_ms = (self.watch.caller.now_ms)();
        let pause = match self.ending {
            Ending::NotBegun if !self.watch.enforces => LOOK,
            Ending::NotBegun => {
                let lease_ends_ms = self.lease_ends_ms.unwrap_or(u64::MAX);
                let due_ms = lease_ends_ms.min(self.watch.stop_ms);
                Duration::from_millis(due_ms.saturating_sub(now_ms))
            }
            Ending::Asked(since) => self.watch.grace.saturating_sub(since.elapsed()),
            Ending::Forced => LOOK,
        };
        pause.min(LOOK)
    }
}

/// Whether the log's answer leaves CMD nothing to act upon.
fn ends_authority(standing: &Standing) -> Option<String> {
    let Standing { state, epoch, .. } = standing;
    match standing.ask {
        Ask::Stop if matches!(state, AgentState::Stopped | AgentState::Quarantined) => {
            Some(format!("the agent is {state}"))
        }
        Ask::Stop => Some("the log asks it to stop".to_owned()),
        Ask::Restart => Some(format!(
            "the agent is {state}, and epoch {epoch} is for another process"
        )),
        Ask::GoOn => None,
    }
}

/// Whether a signal asks for the end.
pub(super) const fn is_end(number: i32) -> bool {
    matches!(number, SIGTERM | SIGINT | SIGQUIT | SIGHUP)
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
            let event = Event::Signal {
                number: signal,
                reached_all: at_terminal && from_terminal.contains(&signal),
            };
            if events.send(event).is_err() {
                return;
            }
        }
    });
    Ok(())
}
