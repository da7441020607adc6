//! What CMD has started in its turn: it ends with CMD when authority ends, or CMD could act on by a process of its own.
//!
//! Linux gives a process whose parent has died to init, or to the nearest process above it that asks for such. From the
//! moment that authority ends this process asks. So what is below CMD then stays below this process until it has
//! ended, and is found in `/proc`. What had left CMD before, as a daemon does, is out of reach.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitpid,
};

/// How long what was killed may take to be gone: a moment, unless a device holds it.
const GONE_AFTER_KILL: Duration = Duration::from_secs(2);

/// How soon it is looked at again whether all are gone.
const LOOK: Duration = Duration::from_millis(20);

/// Takes in what loses its parent from now on.
pub(super) fn adopt() {
    // Where this cannot be had, what CMD itself has started is found as long as CMD is there.
    let _ = set_child_subreaper(Some(getpid()));
}

/// Sends a signal to every process below this one but CMD, which has got it.
pub(super) fn signal(signal: Signal, cmd: Pid) {
    for (pid, parent) in below(getpid()) {
        if pid != cmd.as_raw_pid() {
            send(signal, pid, parent);
        }
    }
}

/// Waits until every process below this one has ended, and kills what has not when the time is over. Whether all are
/// gone. CMD has ended, and been waited for: all children that are left are adopted ones.
pub(super) fn end(within: Duration, cmd: Pid) -> bool {
    let begun = Instant::now();
    while !are_gone() {
        let waited = begun.elapsed();
        if waited >= within.saturating_add(GONE_AFTER_KILL) {
            return false;
        }
        if waited >= within {
            signal(Signal::KILL, cmd);
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// Whether no child is left. What is below a child that ends becomes a child.
fn are_gone() -> bool {
    loop {
        match waitpid(None, WaitOptions::NOHANG) {
            Ok(None) => return false,
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

/// The handle names one process; that it still has its parent tells that the number was not given to another meanwhile.
fn send(signal: Signal, pid: i32, parent: i32) {
    let named = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let Some(handle) = named.filter(|_| parent_of(pid) == Some(parent)) {
        // One that is gone already needs no signal.
        let _ = pidfd_send_signal(&handle, signal);
    }
}

/// Every process below one, with its parent, as `/proc` has them at this moment.
fn below(top: Pid) -> Vec<(i32, i32)> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in processes() {
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut parents) = (Vec::new(), vec![top.as_raw_pid()]);
    while let Some(parent) = parents.pop() {
        for pid in children.remove(&parent).into_iter().flatten() {
            found.push((pid, parent));
            parents.push(pid);
        }
    }
    found
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent_of(pid: i32) -> Option<i32> {
    parent_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The fourth field of `stat` (proc(5)); the second is a name in parentheses, in which anything may stand.
fn parent_in(stat: &str) -> Option<i32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parent_in("12 (sh) S 7 12 12 0 -1"), Some(7));
        assert_eq!(parent_in("12 (a) R 1 (b) S 7 12 12"), Some(7));
        assert_eq!(parent_in("12 (sh"), None);
        assert_eq!(parent_in(""), None);
    }

    #[test]
    fn this_process_is_below_its_parent() {
        let parent = rustix::process::getppid().unwrap();
        let found = below(parent);
        assert!(found.contains(&(getpid().as_raw_pid(), parent.as_raw_pid())));
    }
}
