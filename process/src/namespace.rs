//! A namespace of process numbers of a program's own.
//!
//! ```text
//! this process ─── keeper ──┊── first process ─── the program and all that it starts
//! ```
//!
//! When the first process of a namespace ends, the kernel ends all others in it, so nothing that the program has started
//! outlives it, whatever it does. The kernel treats that first process apart: signals that it does nothing about do nothing to it,
//! and orphans are its own. So the program is not the first; one that looks after it is, and a keeper outside tells how it ended.

use std::io;

use crate::fork::{Forked, fork};
use crate::session::{close_all_but, hold_all, look_after};
use crate::start::{checked, end_with};

/// Makes a namespace. Keeper and first process stay inside; what comes back is the program's own process.
pub(crate) fn begin() -> io::Result<()> {
    // SAFETY: none of these calls has preconditions. This process is the child of a fork and has one thread, as has
    // whatever it forks.
    unsafe {
        checked(libc::unshare(libc::CLONE_NEWPID))?;
        let all = hold_all();
        let mut pipe = [-1; 2];
        checked(libc::pipe2(
            pipe.as_mut_ptr(),
            libc::O_CLOEXEC | libc::O_NONBLOCK,
        ))?;
        let [from, to] = pipe;
        if let Forked::Parent(first) = fork()? {
            look_after(first, &all, Some(from));
        }
        checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        match fork()? {
            Forked::Child => end_with(1),
            Forked::Parent(program) => be_first(program, &all, to),
        }
    }
}

/// The first process: it reaps whatever is nobody's, and passes signals on to the program.
///
/// # Safety
///
/// The caller is the first process of a namespace, has one thread, and all signals are held back.
unsafe fn be_first(program: libc::pid_t, all: &libc::sigset_t, to: libc::c_int) -> ! {
    // SAFETY: the status is ours; the rest are numbers.
    unsafe {
        close_all_but(Some(to));
        loop {
            match libc::sigwaitinfo(all, std::ptr::null_mut()) {
                libc::SIGCHLD => reap(program, to),
                libc::SIGCONT => {
                    libc::kill(-program, libc::SIGCONT);
                    libc::kill(program, libc::SIGCONT);
                }
                signal if signal > 0 => drop(libc::kill(program, signal)),
                _ => {}
            }
        }
    }
}

/// # Safety
///
/// As for [`be_first`].
unsafe fn reap(program: libc::pid_t, to: libc::c_int) {
    let mut status: libc::c_int = 0;
    // SAFETY: as many bytes are written as the status has.
    unsafe {
        loop {
            let changed = libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED);
            if changed <= 0 {
                return;
            }
            if changed == program {
                libc::write(to, (&raw const status).cast(), size_of::<libc::c_int>());
            }
            if changed == program && !libc::WIFSTOPPED(status) {
                libc::_exit(0);
            }
        }
    }
}
