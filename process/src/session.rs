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

use crate::start::{checked, end_with};

/// Makes a session at the terminal that is stdin. The leader stays inside; what comes back is the program's own process.
pub(crate) fn begin() -> io::Result<()> {
    // SAFETY: none of these calls has preconditions but sigprocmask, whose set is ours and filled first. This process is
    // the child of a fork, so it has one thread, and what it forks in turn has one.
    unsafe {
        checked(libc::setsid())?;
        checked(libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0))?;
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        let leader = libc::getpid();
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                end_with(leader)?;
                checked(libc::setpgid(0, 0))?;
                // SIGTTOU, which is for those who ask from the background, is held back.
                checked(libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid()))
            }
            program => look_after(program, &all),
        }
    }
}

/// # Safety
///
/// The caller is the child of a fork and has one thread, and all signals are held back.
unsafe fn look_after(program: libc::pid_t, all: &libc::sigset_t) -> ! {
    // SAFETY: this process has nothing to lose: it holds no file and no lock, and never returns.
    unsafe {
        // The program's end is to be the end of what it holds open.
        libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
        loop {
            match libc::sigwaitinfo(all, std::ptr::null_mut()) {
                libc::SIGCHLD => follow(program, all),
                libc::SIGCONT => drop(libc::kill(-program, libc::SIGCONT)),
                signal if signal > 0 => drop(libc::kill(program, signal)),
                _ => {}
            }
        }
    }
}

/// Stops as the program has stopped, or ends as it has ended.
///
/// # Safety
///
/// As for [`look_after`].
unsafe fn follow(program: libc::pid_t, all: &libc::sigset_t) {
    let mut status = 0;
    // SAFETY: the status is ours; the rest are numbers.
    unsafe {
        while libc::waitpid(program, &raw mut status, libc::WNOHANG | libc::WUNTRACED) == program {
            if libc::WIFSTOPPED(status) {
                libc::kill(libc::getpid(), libc::SIGSTOP);
            } else if libc::WIFEXITED(status) {
                libc::_exit(libc::WEXITSTATUS(status));
            } else {
                let signal = libc::WTERMSIG(status);
                libc::signal(signal, libc::SIG_DFL);
                libc::kill(libc::getpid(), signal);
                libc::sigprocmask(libc::SIG_UNBLOCK, all, std::ptr::null_mut());
                libc::_exit(128 + signal);
            }
        }
    }
}
