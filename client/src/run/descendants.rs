//! What CMD itself has started, and what it leaves behind.
//!
//! Linux gives a process whose parent has died to init, or to the nearest process above it that asks for such. This process
//! asks from the start, so whatever CMD starts stays below it, however often it forks, and is found in `/proc`.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal,
    set_child_subreaper, wait,
};

use super::RunError;

/// What became of a child.
pub(super) enum Change {
    Ended(ExitStatus),
    /// It was stopped, as by a key at the terminal.
    Stopped,
    /// It was let go on.
    Continued,
}

/// Takes in what loses its parent from now on.
pub(super) fn adopt() -> Result<(), RunError> {
    let adopted = set_child_subreaper(Some(getpid()));
    adopted.map_err(|error| RunError::Machine {
        what: "what the program leaves behind could not be found",
        source: error.into(),
    })
}

/// The next child that has changed, if one has. One that has ended is gone for good.
pub(super) fn reap() -> Option<(Pid, Change)> {
    loop {
        match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED | WaitOptions::CONTINUED) {
            Ok(Some((pid, status))) if status.stopped() => return Some((pid, Change::Stopped)),
            Ok(Some((pid, status))) if status.continued() => return Some((pid, Change::Continued)),
            Ok(Some((pid, status))) => {
                let status = ExitStatus::from_raw(status.as_raw());
                return Some((pid, Change::Ended(status)));
            }
            Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

/// How many processes are below this one and act, without these.
pub(super) fn count(without: &[Pid]) -> usize {
    if are_gone(without) {
        return 0;
    }
    let acts = |found: &Found| !found.stat.has_ended && !found.is_one_of(without);
    let found = below(getpid());
    found.into_iter().filter(acts).count()
}

/// Whether no process is below this one, without these, not even one that was not waited for. It is much cheaper than to
/// look at all processes of the machine, where the kernel lists children.
pub(super) fn are_gone(without: &[Pid]) -> bool {
    let is_other = |pid: &i32| !without.iter().any(|process| process.as_raw_pid() == *pid);
    match children_of_this() {
        Some(children) => !children.iter().any(is_other),
        None => below(getpid()).iter().all(|found| found.is_one_of(without)),
    }
}

/// Sends a signal to every process below one, without these.
pub(super) fn signal(signal: Signal, top: Pid, without: &[Pid]) {
    let found = below(top).into_iter();
    found
        .filter(|found| !found.stat.has_ended && !found.is_one_of(without))
        .for_each(|found| send(signal, &found));
}

/// The handle names one process; that it still has its parent tells that the number was not given to another meanwhile.
fn send(signal: Signal, found: &Found) {
    let named = Pid::from_raw(found.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let parent = || stat_of(found.pid).map(|stat| stat.parent);
    if let Some(handle) = named.filter(|_| parent() == Some(found.stat.parent)) {
        // One that is gone already needs no signal.
        let _ = pidfd_send_signal(&handle, signal);
    }
}

/// The children of this process, where the kernel lists them.
fn children_of_this() -> Option<Vec<i32>> {
    let pid = getpid().as_raw_pid();
    let list = std::fs::read_to_string(format!("/proc/self/task/{pid}/children")).ok()?;
    list.split_ascii_whitespace()
        .map(|pid| pid.parse().ok())
        .collect()
}

/// Every process below one, as `/proc` has them at this moment.
fn below(top: Pid) -> Vec<Found> {
    let mut children: BTreeMap<i32, Vec<Found>> = BTreeMap::new();
    for pid in processes() {
        if let Some(stat) = stat_of(pid) {
            let siblings = children.entry(stat.parent).or_default();
            siblings.push(Found { pid, stat });
        }
    }
    let (mut found, mut parents) = (Vec::new(), vec![top.as_raw_pid()]);
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).into_iter().flatten() {
            parents.push(child.pid);
            found.push(child);
        }
    }
    found
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A process.
struct Found {
    pid: i32,
    stat: Stat,
}

impl Found {
    fn is_one_of(&self, processes: &[Pid]) -> bool {
        let is_this = |process: &Pid| process.as_raw_pid() == self.pid;
        processes.iter().any(is_this)
    }
}

/// What `/proc` says about a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    has_ended: bool,
    parent: i32,
}

fn stat_of(pid: i32) -> Option<Stat> {
    Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

impl Stat {
    /// The third and the fourth field of `stat` (proc(5)); the second is a name in parentheses, in which anything may
    /// stand.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        Some(Self {
            has_ended: matches!(fields.next()?, "Z" | "X" | "x"),
            parent: fields.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_behind_any_name() {
        let stat = |has_ended, parent| Some(Stat { has_ended, parent });
        assert_eq!(Stat::parse("12 (sh) S 7 12 12 0 -1"), stat(false, 7));
        assert_eq!(Stat::parse("12 (a) R 1 (b) Z 7 12 12"), stat(true, 7));
        assert_eq!(Stat::parse("12 (sh"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn this_process_is_below_its_parent() {
        let parent = rustix::process::getppid().unwrap();
        let found = below(parent);
        assert!(found.iter().any(|found| found.is_one_of(&[getpid()])));
    }
}
