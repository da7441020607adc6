//! The supervisor: watches CMD and the clock, and never the network.
//!
//! ```text
//! CMD runs ──▶ CMD has ended ──▶ what it left behind is gone, or kept ──▶ its output is delivered
//!     └─ authority ends: SIGTERM, and SIGKILL after the grace, to CMD and to all below it ─┘
//! ```

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ledger::record::AgentState;
use process::Sent;
use rustix::process::{Pid, Signal, getpid, kill_process};
use signal_hook::consts::{SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH};

use super::child::Running;
use super::descendants::{self, Change};
use super::message::{Cut, End, Event};
use super::output::{Flow, Pump};
use super::signals::is_end;
use super::terminal::Terminal;
use super::watcher::Watcher;
use super::{LeftBehind, cgroup};
use crate::clock::LogClock;
use crate::speaker::{Caller, News};
use wire::{Ask, Standing};

/// How long CMD's output may go on after its end: what it left behind may hold its pipes open forever.
const OUTPUT_AFTER_END: Duration = Duration::from_secs(2);

/// How long what was killed may take to be gone: a moment, unless a device holds it.
const GONE_AFTER_KILL: Duration = Duration::from_secs(2);

/// How long the terminal stays CMD's for what it has said last.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How soon it is looked at again whether all are gone.
const LOOK_FOR_THE_LEFT: Duration = Duration::from_millis(20);

/// The limits of CMD.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) grace: Duration,
    /// When CMD is asked to end, whatever becomes of its lease: by the log's clock.
    pub(super) stop_ms: u64,
    pub(super) clock: LogClock,
    /// Whether a service is up; `None` for a job.
    pub(super) is_up: Option<Arc<AtomicBool>>,
    /// Whether the rules bind. Beside a log that observes, CMD runs as it would without.
    pub(super) enforces: bool,
    /// What becomes of processes that outlive CMD.
    pub(super) left_behind: LeftBehind,
    pub(super) caller: Caller,
}

impl Watch {
    /// When its permit is about to lapse: that of a service's start is of no more account once it is up.
    fn stop_ms(&self) -> u64 {
        let is_up = |is_up: &Arc<AtomicBool>| is_up.load(Ordering::Relaxed);
        match self.is_up.as_ref().is_some_and(is_up) {
            true => u64::MAX,
            false => self.stop_ms,
        }
    }

    /// The log's time, by which authority ends.
    fn log_ms(&self) -> u64 {
        let machine_ms = || (self.caller.now_ms)();
        self.clock.now_ms().unwrap_or_else(machine_ms)
    }
}

/// CMD under watch.
struct Supervisor<'a> {
    running: Running,
    watch: Watch,
    watcher: &'a mut Watcher,
    begun: Instant,
    lease_ends_ms: Option<u64>,
    cut: Option<(Cut, String)>,
    was_asked_to_end: bool,
    /// Whether the job that this process is of was asked to stop, and whether CMD has stopped.
    is_to_stop: bool,
    cmd_is_stopped: bool,
    /// Whether people know what a log that enforces would have ended CMD for.
    was_told: bool,
    /// Whether people know that CMD has left processes behind.
    was_told_of_the_left: bool,
    ending: Ending,
    over: Option<Over>,
}

/// How far the end of CMD, and of what it left behind, has been brought on.
#[derive(Clone, Copy)]
enum Ending {
    NotBegun,
    Asked(Instant),
    Forced(Instant),
}

/// CMD has ended.
struct Over {
    status: ExitStatus,
    duration_ms: u64,
    at: Instant,
    /// How many processes it left behind.
    left_behind: usize,
    /// Whether they are dealt with.
    is_alone: bool,
    /// A signal that came afterwards: nobody waits for the output any more.
    signal: Option<i32>,
}

/// Watches until CMD has ended, nothing of it acts any more, and its output is delivered.
pub(super) fn watch(
    running: Running,
    watch: Watch,
    watcher: &mut Watcher,
    queue: &Receiver<Event>,
) -> End {
    if let Some(group) = &running.cgroup {
        watcher.is_in(group);
    }
    let supervisor = Supervisor {
        running,
        watch,
        watcher,
        begun: Instant::now(),
        lease_ends_ms: None,
        cut: None,
        was_asked_to_end: false,
        is_to_stop: false,
        cmd_is_stopped: false,
        was_told: false,
        was_told_of_the_left: false,
        ending: Ending::NotBegun,
        over: None,
    };
    supervisor.watch(queue)
}

impl Supervisor<'_> {
    fn watch(mut self, queue: &Receiver<Event>) -> End {
        loop {
            self.tell_the_watcher();
            let cause = match queue.recv_timeout(self.next_look()) {
                Ok(event) => self.hear(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
            };
            // Also without a word from a child: a look costs nothing.
            self.reap();
            self.stop_along();
            self.bring_on(cause.or_else(|| self.by_the_clock()));
            if self.is_over() {
                return self.end();
            }
        }
    }

    /// Why CMD is to end, if this says so.
    fn hear(&mut self, event: Event) -> Option<(Cut, String)> {
        match event {
            Event::Signal(sent) => {
                self.pass(&sent);
                None
            }
            Event::News(News::Standing(standing)) => {
                self.lease_ends_ms = standing.lease_ends_ms.or(self.lease_ends_ms);
                ends_authority(&standing)
            }
            Event::News(News::Fenced(reason)) => Some((Cut::Fenced, reason)),
            Event::News(News::Denied(reason)) => Some((Cut::LeaseEnded, reason)),
            Event::News(News::OtherVersion(reason)) => Some((Cut::Replaced, reason)),
            Event::News(News::Stalled(reason)) => Some((Cut::Stalled, reason)),
            Event::Children | Event::Output => None,
        }
    }

    /// Passes a signal on, unless it has reached CMD already.
    fn pass(&mut self, sent: &Sent) {
        let number = sent.number;
        if let Some(over) = &mut self.over {
            over.signal = over.signal.or(is_end(number).then_some(number));
            return;
        }
        self.was_asked_to_end |= is_end(number);
        let has_reached_cmd = self.has_reached_cmd(sent);
        if !has_reached_cmd {
            // CMD was not waited for yet, so its number is its own. One that has ended needs no signal.
            let cmd = self.running.pid.as_raw_pid().unsigned_abs();
            let _ = process::send_signal(cmd, number);
        }
        match number {
            SIGTSTP | SIGTTIN | SIGTTOU => self.is_to_stop = true,
            SIGCONT => (self.is_to_stop, self.cmd_is_stopped) = (false, false),
            _ => {}
        }
    }

    fn has_reached_cmd(&mut self, sent: &Sent) -> bool {
        let Running { pid, terminal, .. } = &mut self.running;
        match sent.number {
            // A terminal of CMD's own says so itself when its size changes.
            SIGWINCH if terminal.resize() => sent.by_the_kernel,
            // It is about this process, which has asked for something from the background.
            SIGTTIN | SIGTTOU if sent.by_the_kernel => true,
            number => {
                if number == SIGCONT {
                    terminal.resume();
                }
                terminal.has_reached(*pid, sent)
            }
        }
    }

    fn reap(&mut self) {
        while let Some((pid, change)) = descendants::reap() {
            match change {
                _ if pid != self.running.pid => {}
                Change::Ended(status) => self.has_ended(status),
                Change::Stopped => {
                    self.cmd_is_stopped = true;
                    if self.cut.is_none() {
                        self.running.terminal.suspend(pid);
                    }
                }
                Change::Continued => self.cmd_is_stopped = false,
            }
        }
    }

    /// The shell around waits for the whole job to stop. Where CMD has made something else of what it was sent, nothing
    /// stops.
    fn stop_along(&mut self) {
        let stops = self.is_to_stop && self.cmd_is_stopped && self.cut.is_none();
        if stops && self.running.terminal.stops_with_its_job() {
            (self.is_to_stop, self.cmd_is_stopped) = (false, false);
            // It comes back when somebody sends SIGCONT, which passes on.
            let _ = kill_process(getpid(), Signal::STOP);
        }
    }

    fn has_ended(&mut self, status: ExitStatus) {
        let took = self.begun.elapsed().as_millis();
        self.running.terminal.end();
        self.over = Some(Over {
            status,
            duration_ms: u64::try_from(took).unwrap_or(u64::MAX),
            at: Instant::now(),
            left_behind: descendants::count(&self.helpers()),
            is_alone: false,
            signal: None,
        });
    }

    fn by_the_clock(&self) -> Option<(Cut, String)> {
        let now_ms = self.watch.log_ms();
        if self.lease_ends_ms.is_some_and(|ends_ms| now_ms >= ends_ms) {
            return Some((Cut::LeaseEnded, "the lease has ended".to_owned()));
        }
        let lapses = || (Cut::Lapsed, "the permit is about to lapse".to_owned());
        (now_ms >= self.watch.stop_ms()).then(lapses)
    }

    /// SIGTERM at once, SIGKILL after the grace, to CMD and to what it has started.
    fn bring_on(&mut self, cause: Option<(Cut, String)>) {
        match cause {
            // Nothing acts any more: what is left is to say what came of it.
            Some(_) if self.over.as_ref().is_some_and(|over| over.is_alone) => return,
            Some(cause) if self.watch.enforces => self.take_note(cause),
            Some((_, why)) if !std::mem::replace(&mut self.was_told, true) => {
                (self.watch.caller.notice)(&format!("the log only observes: {why}"));
            }
            _ => {}
        }
        match self.ending {
            Ending::NotBegun if self.cut.is_some() || self.left_is_to_end() => {
                self.send_all(Signal::TERM);
                self.ending = Ending::Asked(Instant::now());
            }
            Ending::Asked(since) if since.elapsed() >= self.watch.grace => {
                self.kill_all();
                self.ending = Ending::Forced(Instant::now());
            }
            // What was just starting another process may have got away with it.
            Ending::Forced(_) => self.kill_all(),
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

    /// Whether what CMD left behind has had its time, or somebody asks for the end of it.
    fn left_is_to_end(&self) -> bool {
        let Some(over) = self.over.as_ref().filter(|over| !over.is_alone) else {
            return false;
        };
        let had_its_time = over.at.elapsed() >= self.watch.grace;
        over.signal.is_some() || (self.watch.left_behind == LeftBehind::End && had_its_time)
    }

    fn send_all(&self, signal: Signal) {
        let cmd = self.running.pid;
        let without: Vec<Pid> = self.helpers().into_iter().chain([cmd]).collect();
        descendants::signal(signal, getpid(), &without);
        // The leader of a session passes a signal on to the program, which has got it just now.
        let is_leader = matches!(self.running.terminal, Terminal::Own(_));
        if self.over.is_none() && (!is_leader || signal == Signal::KILL) {
            // It may be gone already, which is as good as any answer to a signal.
            let _ = kill_process(cmd, signal);
        }
    }

    /// The processes of this run itself, which are not CMD's.
    fn helpers(&self) -> Vec<Pid> {
        let bystander = self.running.terminal.bystander();
        [Some(self.watcher.pid()), bystander]
            .into_iter()
            .flatten()
            .collect()
    }

    fn kill_all(&self) {
        if let Some(group) = &self.running.cgroup {
            cgroup::kill(group.path());
        }
        self.send_all(Signal::KILL);
    }

    /// Whether nothing of CMD acts any more, and whoever takes its output has it.
    fn is_over(&mut self) -> bool {
        let Some(since) = self.over.as_ref().map(|over| over.at.elapsed()) else {
            return false;
        };
        let goes = |pump: &Pump| pump.flow() == Flow::Goes;
        let is_delivered = !self.running.pumps.iter().any(goes);
        if is_delivered || since >= LAST_WORDS {
            self.running.terminal.give_back();
        }
        if !self.is_alone() {
            return false;
        }
        let has_signal = self.over.as_ref().is_some_and(|over| over.signal.is_some());
        // The result cannot wait for longer than its permit lasts.
        is_delivered || has_signal || (self.watch.enforces && self.by_the_clock().is_some())
    }

    /// Whether what CMD has left behind is gone, or may stay.
    fn is_alone(&mut self) -> bool {
        let Some(over) = &self.over else {
            return false;
        };
        if over.is_alone {
            return true;
        }
        let may_stay = self.watch.left_behind == LeftBehind::Keep && self.cut.is_none();
        let is_alone = match self.ending {
            _ if descendants::are_gone(&self.helpers()) => true,
            Ending::NotBegun => may_stay,
            Ending::Forced(since) if since.elapsed() >= GONE_AFTER_KILL => {
                (self.watch.caller.notice)(
                    "warning: a process that the program started does not end",
                );
                true
            }
            Ending::Asked(_) | Ending::Forced(_) => false,
        };
        if is_alone {
            self.be_alone();
        } else {
            self.tell_of_the_left();
        }
        is_alone
    }

    fn be_alone(&mut self) {
        self.watcher.free();
        for pump in &self.running.pumps {
            pump.finish(OUTPUT_AFTER_END);
        }
        if let Some(over) = &mut self.over {
            over.is_alone = true;
        }
    }

    fn tell_of_the_left(&mut self) {
        let is_known = self.cut.is_some() || self.was_told_of_the_left;
        let Some(over) = self.over.as_ref().filter(|_| !is_known) else {
            return;
        };
        self.was_told_of_the_left = true;
        let count = over.left_behind;
        let what = match self.watch.left_behind {
            LeftBehind::Wait => "the run waits for them".to_owned(),
            _ => format!(
                "they are ended in {} ms (--left-behind has other choices)",
                self.watch.grace.as_millis()
            ),
        };
        (self.watch.caller.notice)(&format!(
            "the program has ended and left processes behind: {count}; {what}"
        ));
    }

    fn end(self) -> End {
        self.running.terminal.give_back();
        let Running { pumps, .. } = self.running;
        let over = self.over.expect("whoever ends has an end");
        let outputs = pumps.iter().map(Pump::secret).collect();
        let undelivered = pumps.iter().find_map(Pump::take_error);
        let is_abandoned = over.signal.is_some();
        let late = |pump: &Pump| pump.flow() == Flow::Goes && !is_abandoned;
        End {
            status: over.signal.map_or(over.status, ExitStatus::from_raw),
            cut: self.cut,
            was_asked_to_end: self.was_asked_to_end || is_abandoned,
            duration_ms: over.duration_ms,
            outputs,
            left_behind: over.left_behind,
            undelivered,
            late: pumps.into_iter().filter(late).collect(),
        }
    }

    /// Until when CMD may live, should this process be unable to end it.
    fn tell_the_watcher(&mut self) {
        if self.watch.enforces && self.over.as_ref().is_none_or(|over| !over.is_alone) {
            let left = self.authority_left();
            self.watcher.until(left, self.watch.grace);
        }
    }

    fn authority_left(&self) -> Duration {
        let now_ms = self.watch.log_ms();
        let ends_ms = self
            .lease_ends_ms
            .unwrap_or(u64::MAX)
            .min(self.watch.stop_ms());
        Duration::from_millis(ends_ms.saturating_sub(now_ms))
    }

    /// How long nothing happens by itself. A look every second costs nothing and sees a clock that was set.
    fn next_look(&self) -> Duration {
        const LOOK: Duration = Duration::from_secs(1);
        if self.over.as_ref().is_some_and(|over| !over.is_alone) {
            return LOOK_FOR_THE_LEFT;
        }
        let pause = match self.ending {
            Ending::NotBegun if !self.watch.enforces => LOOK,
            Ending::NotBegun => self.authority_left(),
            Ending::Asked(since) => self.watch.grace.saturating_sub(since.elapsed()),
            Ending::Forced(_) => LOOK_FOR_THE_LEFT,
        };
        // A time that is over already has been heard of: it is not waited for again.
        match pause.is_zero() {
            true => LOOK,
            false => pause.min(LOOK),
        }
    }
}

/// Whether the log's answer leaves CMD nothing to act upon.
fn ends_authority(standing: &Standing) -> Option<(Cut, String)> {
    let Standing { state, epoch, .. } = standing;
    let (cut, why) = match standing.ask {
        Ask::Stop if matches!(state, AgentState::Stopped | AgentState::Quarantined) => {
            (Cut::Fenced, format!("the agent is {state}"))
        }
        // Whoever hears of it first, this process by its clock or the log by its own, says the same.
        Ask::Stop if standing.lease_ends_ms.is_none() => {
            (Cut::LeaseEnded, "the lease has ended".to_owned())
        }
        Ask::Stop => (Cut::Fenced, "the log asks it to stop".to_owned()),
        Ask::Restart => (
            Cut::Fenced,
            format!("the agent is {state}, and epoch {epoch} is for another process"),
        ),
        Ask::GoOn => return None,
    };
    Some((cut, why))
}
