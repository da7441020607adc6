//! The watcher: a second process, which ends CMD when the run does not.
//!
//! A supervisor that was stopped, by CMD or by anybody, ends nothing when authority ends. So it tells another process
//! beforehand until when CMD may live, and tells it again whenever that changes. The watcher knows neither the key nor the
//! log; it has a time, and what is below the run. When the run itself dies the watcher ends what the kernel does not.
//!
//! ```text
//! run ── lines ──▶ watcher      until 81234567 5000     milliseconds since the machine's start, and the grace
//!                               cgroup /sys/fs/cgroup/… where CMD is
//!                               free                    CMD has ended
//!                               done                    so has the run, well
//! ```

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal, setsid,
};
use rustix::time::{ClockId, clock_gettime};

use super::output::timespec;
use super::{RunError, cgroup, descendants};

/// How long the run has for what the watcher would do otherwise.
const FIRST_FOR_THE_RUN: Duration = Duration::from_millis(500);

/// How soon the watcher looks again whether what it kills is gone.
const LOOK: Duration = Duration::from_millis(50);

/// The longest that it sleeps: its time goes on while the machine sleeps, and a sleep of its own does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// The run's end of it.
pub(super) struct Watcher {
    pid: Pid,
    /// Names it also once its number belongs to another.
    handle: Option<OwnedFd>,
    lines: Option<ChildStdin>,
    told: Option<Duration>,
}

impl Watcher {
    /// Starts it.
    pub(super) fn start(command: &[std::ffi::OsString]) -> Result<Self, RunError> {
        let failed = |source| RunError::Machine {
            what: "the program's watcher did not start",
            source,
        };
        let (first, rest) = command
            .split_first()
            .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let mut command = Command::new(first);
        command
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let pid = Pid::from_child(&child);
        Ok(Self {
            pid,
            handle: pidfd_open(pid, PidfdFlags::empty()).ok(),
            lines: child.stdin.take(),
            told: None,
        })
    }

    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// CMD may live so much longer. A change of less than a moment is not worth a line.
    pub(super) fn until(&mut self, left: Duration, grace: Duration) {
        const MOMENT: Duration = Duration::from_millis(100);
        let at = since_the_start().saturating_add(left);
        if self.told.is_none_or(|told| told.abs_diff(at) > MOMENT) {
            self.told = Some(at);
            self.tell(&format!("until {} {}", at.as_millis(), grace.as_millis()));
        }
    }

    /// Where CMD is.
    pub(super) fn is_in(&mut self, group: &cgroup::Cgroup) {
        self.tell(&format!("cgroup {}", group.path().display()));
    }

    /// CMD has ended.
    pub(super) fn free(&mut self) {
        self.told = None;
        self.tell("free");
    }

    /// One that is gone watches no more: somebody of the same user has ended it, who could have ended the run as well.
    fn tell(&mut self, line: &str) {
        let lines = self.lines.as_mut();
        let told = lines.is_some_and(|lines| writeln!(lines, "{line}").is_ok());
        if !told {
            self.lines = None;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tell("done");
        self.lines = None;
        // It ends by itself, unless somebody has stopped it.
        if let Some(handle) = &self.handle {
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
    }
}

/// What the watcher knows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Orders {
    /// Until when CMD may live, since the machine's start, and its grace.
    until: Option<(Duration, Duration)>,
    cgroup: Option<PathBuf>,
    is_done: bool,
}

/// Watches over what is below its parent until that has no more to say. It is for a process of its own, with nothing but
/// the lines on its stdin.
///
/// # Errors
///
/// If it cannot.
pub fn watch(parent: i32, notice: fn(&str)) -> io::Result<()> {
    // What is sent to the run's group, or from its terminal, is not for the watcher. It leads no group yet.
    let _ = setsid();
    let parent = Pid::from_raw(parent).filter(|parent| getppid() == Some(*parent));
    let Some(parent) = parent else {
        return Ok(());
    };
    let (mut orders, mut text) = (Orders::default(), Vec::new());
    let mut was_asked = false;
    loop {
        if wait_for_more(orders.pause(was_asked)) {
            let mut chunk = [0; 4096];
            let count = io::stdin().lock().read(&mut chunk)?;
            if count == 0 {
                break;
            }
            text.extend_from_slice(&chunk[..count]);
            orders.take_lines(&mut text);
        }
        match orders.due(since_the_start()) {
            Some(Signal::TERM) if !was_asked => {
                notice("the run does not answer, and its authority has ended: ending its program");
                descendants::signal(Signal::TERM, parent, &[getpid()]);
                was_asked = true;
            }
            Some(Signal::KILL) => {
                orders.cgroup.as_deref().map(cgroup::kill);
                descendants::signal(Signal::KILL, parent, &[getpid()]);
            }
            Some(_) => {}
            None => was_asked = false,
        }
    }
    if let Some(group) = orders.cgroup.filter(|_| !orders.is_done) {
        // The run has died. The kernel has killed CMD with it, and this kills what CMD had started.
        cgroup::kill(&group);
        cgroup::remove(&group);
    }
    Ok(())
}

fn wait_for_more(most: Duration) -> bool {
    let stdin = io::stdin();
    let mut files = [PollFd::new(&stdin, PollFlags::IN)];
    matches!(poll(&mut files, Some(&timespec(most))), Ok(1..))
}

/// The time since the machine was started, its sleep included.
fn since_the_start() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

impl Orders {
    /// Takes the whole lines, and leaves what has no end yet.
    fn take_lines(&mut self, text: &mut Vec<u8>) {
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            self.take(String::from_utf8_lossy(&line).trim_end());
        }
    }

    fn take(&mut self, line: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("until", times) => {
                let mut times = times.split(' ').filter_map(|time| time.parse().ok());
                let mut next = || times.next().map(Duration::from_millis);
                self.until = next().zip(next());
            }
            ("cgroup", path) => self.cgroup = Some(path.into()),
            ("free", _) => self.until = None,
            ("done", _) => self.is_done = true,
            _ => {}
        }
    }

    /// What is to be sent now.
    fn due(&self, now: Duration) -> Option<Signal> {
        let (until, grace) = self.until?;
        let late = now.checked_sub(until.saturating_add(FIRST_FOR_THE_RUN))?;
        Some(match late >= grace {
            true => Signal::KILL,
            false => Signal::TERM,
        })
    }

    fn pause(&self, was_asked: bool) -> Duration {
        let Some((until, _)) = self.until else {
            return LONGEST_SLEEP;
        };
        let at = until.saturating_add(FIRST_FOR_THE_RUN);
        match at.saturating_sub(since_the_start()) {
            Duration::ZERO if was_asked => LOOK,
            left => left.min(LONGEST_SLEEP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_taken_line_by_line_however_they_come() {
        let mut orders = Orders::default();
        let mut text = Vec::new();
        for byte in b"cgroup /a b\nuntil 1000 200\n" {
            text.push(*byte);
            orders.take_lines(&mut text);
        }
        let ms = Duration::from_millis;
        assert_eq!(orders.until, Some((ms(1000), ms(200))));
        assert_eq!(orders.cgroup.as_deref(), Some(std::path::Path::new("/a b")));
        for (now_ms, signal) in [
            (1499, None),
            (1500, Some(Signal::TERM)),
            (1699, Some(Signal::TERM)),
            (1700, Some(Signal::KILL)),
        ] {
            assert_eq!(orders.due(ms(now_ms)), signal, "{now_ms}");
        }
        orders.take("free");
        assert_eq!((orders.due(ms(9000)), orders.is_done), (None, false));
        orders.take("done");
        assert!(orders.is_done);
    }
}
