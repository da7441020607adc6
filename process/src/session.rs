//! A session of a program's own, at a terminal of its own.
//!
//! ```text
//! this process ─── leader of the session ─── the program, in the group in the foreground
//! ```
//!
//! The kernel stops no program by Ctrl-Z whose group nobody of its session looks after. So the leader stays, as a copy of
//! this process that does nothing but look after the program: it passes signals on, stops when the program stops, and
//! ends as the program ends. Whoever started it sees in it what they would see in the program.

use std::io;

use crate::fork::{Forked, fork};
use crate::start::{checked, end_with};

/// Makes a session at the terminal that is stdin. The leader stays inside; what comes back is the program's own process.
pub(crate) fn begin() -> io::Result<()> {
    // SAFETY: none of these calls has preconditions but sigprocmask, whose set is ours and filled first. This process is
    // the child of a fork, so it has one thread, and what it forks in turn has one.
    unsafe {
        checked(libc::setsid())?;
        checked(libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0))?;
        let all = hold_all();
        let leader = libc::getpid();
        match fork()? {
            Forked::Child => {
                end_with(leader)?;
                checked(libc::setpgid(0, 0))?;
                // SIGTTOU, which is for those who ask from the background, is held back.
                checked(libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid()))
            }
            Forked::Parent(program) => look_after(program, &all, None),
        }
    }
}

/// Holds all signals back, and gives the set of them.
///
/// # Safety
///
/// The caller is the child of a fork and has one thread.
pub(crate) unsafe fn hold_all() -> libc::sigset_t {
    // SAFETY: the set is ours, and filled before it is read.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        all
    }
}

/// Does as the program does, until that has ended. One that cannot stop or die by a signal itself writes its statuses to a
/// file, which does not block.
///
/// # Safety
///
/// The caller is the child of a fork and has one thread, and all signals are held back.
pub(crate) unsafe fn look_after(
    program: libc::pid_t,
    all: &libc::sigset_t,
    statuses: Option<libc::c_int>,
) -> ! {
    let look = libc::timespec {
        tv_sec: 0,
        tv_nsec: 200_000_000,
    };
    // SAFETY: this process has nothing to lose: it holds no file but one and no lock, and never returns.
    unsafe {
        // The program's end is to be the end of what it holds open.
        close_all_but(statuses);
        loop {
            let signal = match statuses {
                None => libc::sigwaitinfo(all, std::ptr::null_mut()),
                Some(_) => libc::sigtimedwait(all, std::ptr::null_mut(), &raw const look),
            };
            match signal {
                libc::SIGCHLD => follow(program, all, statuses),
                libc::SIGCONT => {
                    libc::kill(-program, libc::SIGCONT);
                    libc::kill(program, libc::SIGCONT);
                }
                signal if signal > 0 => drop(libc::kill(program, signal)),
                _ => {
                    let stopped = statuses.and_then(|file| newest(file));
                    if stopped.is_some_and(|status| libc::WIFSTOPPED(status)) {
                        libc::kill(libc::getpid(), libc::SIGSTOP);
                    }
                }
            }
        }
    }
}

/// Stops as the program has stopped, or ends as it has ended.
///
/// # Safety
///
/// As for [`look_after`].
unsafe fn follow(program: libc::pid_t, all: &libc::sigset_t, statuses: Option<libc::c_int>) {
    let mut status = 0;
    // SAFETY: the status is ours; the rest are numbers.
    unsafe {
        while libc::waitpid(program, &raw mut status, libc::WNOHANG | libc::WUNTRACED) == program {
            if libc::WIFSTOPPED(status) {
                libc::kill(libc::getpid(), libc::SIGSTOP);
                continue;
            }
            // One that was killed has not told the end of another.
            let told = statuses.and_then(|file| newest(file));
            let status = told
                .filter(|told| !libc::WIFSTOPPED(*told))
                .unwrap_or(status);
            if libc::WIFEXITED(status) {
                libc::_exit(libc::WEXITSTATUS(status));
            }
            let signal = libc::WTERMSIG(status);
            libc::signal(signal, libc::SIG_DFL);
            libc::kill(libc::getpid(), signal);
            libc::sigprocmask(libc::SIG_UNBLOCK, all, std::ptr::null_mut());
            libc::_exit(128 + signal);
        }
    }
}

/// The last status in a file.
///
/// # Safety
///
/// The file holds nothing but statuses, and does not block.
unsafe fn newest(file: libc::c_int) -> Option<libc::c_int> {
    let (mut status, mut last) = (0, None);
    // SAFETY: as many bytes are read as the status has.
    unsafe {
        while libc::read(file, (&raw mut status).cast(), size_of::<libc::c_int>()) > 0 {
            last = Some(status);
        }
    }
    last
}

/// Closes all files but one.
///
/// # Safety
///
/// Nothing that this process does later needs another one.
pub(crate) unsafe fn close_all_but(file: Option<libc::c_int>) {
    let last = libc::c_uint::MAX;
    // SAFETY: close_range takes three numbers.
    unsafe {
        match file.map(libc::c_int::unsigned_abs) {
            None => drop(libc::syscall(libc::SYS_close_range, 0, last, 0)),
            Some(file) => {
                libc::syscall(libc::SYS_close_range, 0, file.saturating_sub(1), 0);
                libc::syscall(libc::SYS_close_range, file + 1, last, 0);
            }
        }
    }
}
