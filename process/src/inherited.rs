//! What this process was started with: which signals were ignored and which were blocked, before anything changed it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The highest number of a signal on Linux.
pub(crate) const LAST_SIGNAL: i32 = 64;

static IGNORED: AtomicU64 = AtomicU64::new(0);
static BLOCKED: AtomicU64 = AtomicU64::new(0);

/// Runs before `main`, and so before the runtime of Rust, which ignores SIGPIPE for itself.
#[used]
// SAFETY: the loader calls what is in this section, once, before any other thread is there. What is called uses
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
    pub fn restore(self) {
        for signal in 1..=LAST_SIGNAL {
            let mut action = Action::default();
            if self.ignores(signal) {
                action.handler = libc::SIG_IGN;
            }
            // What cannot be set, such as SIGKILL, stays as it is.
            act(signal, Some(&action), None);
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

/// What the kernel knows of a signal. The C library keeps two signals for itself and does not say what becomes of them, but
/// a program inherits these as well.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: libc::sighandler_t,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Asks the kernel, or tells it. What it does not allow stays as it is.
fn act(signal: i32, new: Option<&Action>, old: Option<&mut Action>) {
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    let old = old.map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: both are null or structures of ours that hold no function, as rt_sigaction(2) lays them out.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, size_of::<u64>()) };
}

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

extern "C" fn note() {
    let (mut ignored, mut blocked) = (0, 0);
    // SAFETY: the mask is ours, and filled by the call before it is read. Nothing is changed.
    unsafe {
        let mut mask = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut mask);
        for signal in 1..=LAST_SIGNAL {
            let mut action = Action::default();
            act(signal, None, Some(&mut action));
            if action.handler == libc::SIG_IGN {
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
