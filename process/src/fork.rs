//! A fork that asks nothing but the kernel.
//!
//! The C library's own takes locks that another thread may hold, and knows no control groups. A child of this one may call
//! system calls alone until it becomes a program, and may fork again.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// As linux/sched.h has it: the number is larger than the type that the binding gives it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Who a process is after a fork.
pub(crate) enum Forked {
    /// The new one.
    Child,
    /// The old one, and the number of the new.
    Parent(libc::pid_t),
}

/// Forks this process.
///
/// # Safety
///
/// The child calls system calls alone, and allocates nothing.
pub(crate) unsafe fn fork() -> io::Result<Forked> {
    // SAFETY: the arguments ask for a child that shares nothing, as fork(2) makes it; what it does is the caller's promise.
    let cloned = unsafe { clone(&arguments()) };
    match cloned {
        // Old containers forbid the newer call altogether.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            // SAFETY: as above. Without a stack, and with no flag but the signal, the order of the others does not matter.
            let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
            who(pid)
        }
        cloned => cloned,
    }
}

/// Forks this process, and the child is in the control group of a directory from its first moment: to join one later
/// makes the kernel wait for all processors (clone(2), `CLONE_INTO_CGROUP`).
///
/// # Safety
///
/// As for [`fork`].
pub(crate) unsafe fn fork_into(cgroup: BorrowedFd<'_>) -> io::Result<Forked> {
    let mut arguments = arguments();
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    // SAFETY: as for fork; the group is a number.
    unsafe { clone(&arguments) }
}

fn arguments() -> libc::clone_args {
    // SAFETY: all members are numbers, and zero asks for nothing.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    arguments
}

/// # Safety
///
/// As for [`fork`]; and the arguments ask for no memory that both share.
unsafe fn clone(arguments: &libc::clone_args) -> io::Result<Forked> {
    let arguments = std::ptr::from_ref(arguments);
    // SAFETY: as many bytes are read as the arguments have.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, arguments, size_of::<libc::clone_args>()) };
    who(pid)
}

fn who(pid: libc::c_long) -> io::Result<Forked> {
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => libc::pid_t::try_from(pid)
            .map(Forked::Parent)
            .map_err(io::Error::other),
    }
}
