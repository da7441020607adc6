//! Signals as a file that is read, which tells who has sent them; and sending any, also those of real time, which have no
//! names.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// The signals that this process holds back, read one after another.
#[derive(Debug)]
pub struct Held(OwnedFd);

/// A signal that somebody has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its number.
    pub number: i32,
    /// The number of the process that has sent it; 0 where the kernel has.
    pub sender: i32,
    /// Whether the kernel has sent it, as it does for a key of the terminal, and not a process.
    pub by_the_kernel: bool,
}

impl Held {
    /// Holds all signals back that can be, in this thread and in those that it will start.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn all() -> io::Result<Self> {
        // SAFETY: the set is ours, and filled before it is read. The file is new, and nobody else's.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            match libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()) {
                0 => {}
                error => return Err(io::Error::from_raw_os_error(error)),
            }
            match libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC) {
                -1 => Err(io::Error::last_os_error()),
                file => Ok(Self(OwnedFd::from_raw_fd(file))),
            }
        }
    }

    /// Waits for the next one.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn read(&self) -> io::Result<Sent> {
        let mut sent = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        // SAFETY: as many bytes are read as there is room for. All bytes of the structure are valid numbers.
        let sent = unsafe {
            let size = size_of::<libc::signalfd_siginfo>();
            if libc::read(self.0.as_raw_fd(), sent.as_mut_ptr().cast(), size) == -1 {
                return Err(io::Error::last_os_error());
            }
            sent.assume_init()
        };
        Ok(Sent {
            number: i32::try_from(sent.ssi_signo).map_err(io::Error::other)?,
            sender: sent.ssi_pid.cast_signed(),
            by_the_kernel: sent.ssi_code == libc::SI_KERNEL,
        })
    }
}

/// Has the kernel keep how a child has ended until it is waited for, also where this process was started to ignore that.
pub fn keep_children() {
    // SAFETY: the action is not ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Sends a signal to a process: a child that was not waited for yet, or its number may be another's.
///
/// # Errors
///
/// What the kernel says.
pub fn send_signal(pid: u32, signal: i32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill takes two numbers.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
