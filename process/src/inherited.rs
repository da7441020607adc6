//! What this process was started with: which signals were ignored and which were blocked, before anything changed it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The highest number of a signal on Linux.
pub(crate) const LAST_SIGNAL: i32 = 64;

static IGNORED: AtomicU64 = AtomicU64::new(0);
static BLOCKED: AtomicU64 = AtomicU64::new(0);

/// Runs before `main`, and so before the runtime of Rust, which ignores SIGPIPE for itself.
#[used]
// SAFETY: the loader calls what stands in this section, once, before any other thread is there. What is called uses
// nothing but system calls and two numbers.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = note;

/// Signals that this process was started with, as sets of bits: signal n is bit n - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    ignored: u64,
    blocked: u64,
}

impl Inherited {
    /// What was so before `main`.
    pub fn before_main() -> Self {
        Self {
            ignored: IGNORED.load(Ordering::Relaxed),
            blocked: BLOCKED.load(Ordering::Relaxed),
        }
    }

    /// Whether a signal was ignored.
    pub const fn ignores(self, signal: i32) -> bool {
        self.ignored & bit(signal) != 0
    }

    /// Makes it so again. A child calls this between its fork and its exec, where little is allowed.
    pub(crate) fn restore(self) {
        for signal in 1..=LAST_SIGNAL {
            let action = match self.ignores(signal) {
                true => libc::SIG_IGN,
                false => libc::SIG_DFL,
            };
            // SAFETY: neither of the two is a function of ours. What cannot be set, such as SIGKILL, stays as it is.
            unsafe { libc::signal(signal, action) };
        }
        // SAFETY: the set is ours, made empty before it is filled, and only read by sigprocmask.
        unsafe {
            let mut blocked = std::mem::zeroed();
            libc::sigemptyset(&raw mut blocked);
            for signal in (1..=LAST_SIGNAL).filter(|signal| self.blocked & bit(*signal) != 0) {
                libc::sigaddset(&raw mut blocked, signal);
            }
            libc::sigprocmask(libc::SIG_SETMASK, &raw const blocked, std::ptr::null_mut());
        }
    }
}

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

extern "C" fn note() {
    let (mut ignored, mut blocked) = (0, 0);
    // SAFETY: both structures are ours, and filled by the calls before they are read. Nothing is changed.
    unsafe {
        let mut mask = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut mask);
        for signal in 1..=LAST_SIGNAL {
            let mut action: libc::sigaction = std::mem::zeroed();
            let known = libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0;
            if known && action.sa_sigaction == libc::SIG_IGN {
                ignored |= bit(signal);
            }
            if libc::sigismember(&raw const mask, signal) == 1 {
                blocked |= bit(signal);
            }
        }
    }
    IGNORED.store(ignored, Ordering::Relaxed);
    BLOCKED.store(blocked, Ordering::Relaxed);
}
