//! A bystander: a process in the group of this one, which does nothing but tell which signals it gets.
//!
//! A signal does not tell whether it was sent to one process or to its whole group. What the bystander gets as well was
//! sent to the group, and whoever else is in that has it already.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use crate::Sent;
use crate::fork::{Forked, fork};
use crate::session::{close_all_but, hold_all};
use crate::start::{checked, end_with};

/// How long the kernel may be at telling everybody of a group: whoever is told first is not to be faster than that.
const MOMENT: Duration = Duration::from_millis(2);

/// How long a bystander is waited for that does not answer: somebody has stopped it.
const LONGEST: Duration = Duration::from_secs(1);

/// Asks the bystander what it has got. It is the last of all that wait for it, so its word is the last as well.
const ASKS: i32 = 64;

/// What is told of a signal: its number, and who has sent it.
type Word = [i32; 2];

/// A bystander, which ends with this value or with the thread that made it.
#[derive(Debug)]
pub struct Bystander {
    pid: libc::pid_t,
    words: OwnedFd,
    heard: Vec<Word>,
}

impl Bystander {
    /// Makes one. All signals are held back already, as [`Held::all`](crate::Held::all) does it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn start() -> io::Result<Self> {
        let (words, to) = pipe()?;
        // SAFETY: getpid has no preconditions. The child calls system calls alone, and allocates nothing.
        unsafe {
            let parent = libc::getpid();
            match fork()? {
                Forked::Child => stand_by(parent, to.as_raw_fd()),
                Forked::Parent(pid) => Ok(Self {
                    pid,
                    words,
                    heard: Vec::new(),
                }),
            }
        }
    }

    /// The number of its process.
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it has got a signal too that this process has got.
    pub fn has_got(&mut self, sent: &Sent) -> bool {
        std::thread::sleep(MOMENT);
        self.listen();
        let word = [sent.number, sent.sender];
        let found = self.heard.iter().position(|heard| *heard == word);
        // Signals that come twice before somebody looks come once, so all that say the same are of this one.
        self.heard.retain(|heard| *heard != word);
        found.is_some()
    }

    /// Hears all that it has got by now.
    fn listen(&mut self) {
        // SAFETY: getpid has no preconditions, and kill takes two numbers.
        let this = unsafe {
            libc::kill(self.pid, ASKS);
            libc::getpid()
        };
        let begun = Instant::now();
        while begun.elapsed() < LONGEST {
            match self.next() {
                Some([ASKS, sender]) if sender == this => return,
                Some(word) => self.heard.push(word),
                None => self.wait(),
            }
        }
    }

    fn next(&self) -> Option<Word> {
        let mut word: Word = [0; 2];
        // SAFETY: as many bytes are read as there is room for, and all of them are valid numbers.
        let read = unsafe {
            let size = size_of::<Word>();
            libc::read(self.words.as_raw_fd(), word.as_mut_ptr().cast(), size)
        };
        (read == size_of::<Word>().cast_signed()).then_some(word)
    }

    fn wait(&self) {
        let mut file = libc::pollfd {
            fd: self.words.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one descriptor is told of, and lives as long as the call.
        unsafe { libc::poll(&raw mut file, 1, 100) };
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // SAFETY: both take numbers. As long as it was not waited for its number is its own.
        unsafe {
            if libc::waitpid(self.pid, std::ptr::null_mut(), libc::WNOHANG) == 0 {
                libc::kill(self.pid, libc::SIGKILL);
                libc::waitpid(self.pid, std::ptr::null_mut(), 0);
            }
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut files = [0; 2];
    // SAFETY: there is room for two descriptors, and they are nobody else's.
    unsafe {
        checked(libc::pipe2(
            files.as_mut_ptr(),
            libc::O_CLOEXEC | libc::O_NONBLOCK,
        ))?;
        let [from, to] = files;
        Ok((OwnedFd::from_raw_fd(from), OwnedFd::from_raw_fd(to)))
    }
}

/// Tells of each signal until it is killed.
///
/// # Safety
///
/// The caller is the child of a fork and has one thread.
unsafe fn stand_by(parent: libc::pid_t, to: libc::c_int) -> ! {
    // SAFETY: this process has nothing to lose: it holds no file but one and no lock, and never returns. The set and the
    // information are ours.
    unsafe {
        let all = hold_all();
        if end_with(parent).is_err() {
            libc::_exit(0);
        }
        close_all_but(Some(to));
        loop {
            let mut about: libc::siginfo_t = std::mem::zeroed();
            let number = libc::sigwaitinfo(&raw const all, &raw mut about);
            if number > 0 {
                let word: Word = [number, about.si_pid()];
                // Where nobody has listened for so long that there is no room, nobody will.
                libc::write(to, word.as_ptr().cast(), size_of::<Word>());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_hears_what_it_gets_and_takes_it_for_one_signal() {
        let _held = crate::Held::all().unwrap();
        let mut bystander = Bystander::start().unwrap();
        // SAFETY: getpid has no preconditions, and kill takes two numbers.
        let (this, number) = (unsafe { libc::getpid() }, libc::SIGUSR1);
        let sent = |sender| Sent {
            number,
            sender,
            by_the_kernel: false,
        };
        assert!(!bystander.has_got(&sent(this)));
        crate::send_signal(bystander.pid().unsigned_abs(), number).unwrap();
        assert!(!bystander.has_got(&sent(1)), "somebody else's");
        assert!(bystander.has_got(&sent(this)));
        assert!(!bystander.has_got(&sent(this)), "once");
    }
}
