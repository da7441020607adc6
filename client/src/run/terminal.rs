//! The terminal: whether CMD gets one of its own, and what passes between that and the person's.
//!
//! Where stdin, stdout and stderr are the person's terminal, CMD gets another one, on whose near side this process sits:
//! it passes keys in and output out, so that the output can be committed to, and the size as it changes. The person's own
//! terminal is made to pass every key as it is: what a key means is for CMD's to say.
//!
//! Where CMD stops, as by Ctrl-Z, this process gives the terminal back and stops as well, so that the shell around sees
//! what it would have seen.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use process::{Bystander, Place, Sent};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpgid, getpgrp, getpid, kill_process, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetpgrp,
    tcsetwinsize,
};

use super::RunError;
use super::output::{timespec, write};

/// How soon it is looked at again whether this process has come to the foreground.
const LOOK: Duration = Duration::from_millis(200);

/// How many keys are read at a time.
const KEYS_BYTES: usize = 4096;

/// Whether the person's terminal is in a mode in which a line needs a carriage return at its end.
static IS_RAW: AtomicBool = AtomicBool::new(false);

/// Whether a line for people needs a carriage return at its end just now.
pub fn is_raw() -> bool {
    IS_RAW.load(Ordering::Relaxed)
}

/// How CMD stands to the person's terminal.
pub(super) enum Terminal {
    /// It has none: it is in a group of its own, and signals reach it through this process alone.
    None,
    /// Some of its descriptors are the terminal: it is one of a pipeline, and in its group. What tells which signals went to
    /// all of that; without it only what the kernel sends is known to have.
    Shared(Option<Bystander>),
    /// All are, and it has the foreground to itself.
    Lent(Lent),
    /// It has one of its own.
    Own(Own),
}

/// The person's terminal, lent to CMD.
pub(super) struct Lent {
    outer: OwnedFd,
}

/// A terminal of CMD's own.
pub(super) struct Own {
    shared: Arc<Between>,
    /// CMD's side, until CMD has it.
    far: Option<OwnedFd>,
}

/// Both sides of it.
struct Between {
    outer: OwnedFd,
    near: OwnedFd,
    /// How the person's terminal was before.
    saved: Termios,
    /// Written when CMD has ended.
    wake: OwnedFd,
    /// Whether the person's terminal is as it was before, and is to stay so for now.
    is_given_back: AtomicBool,
}

impl Terminal {
    /// Looks at what this process has, and makes what CMD gets.
    pub(super) fn open(wants_own: bool) -> Result<Self, RunError> {
        let are = [
            io::stdin().is_terminal(),
            io::stdout().is_terminal(),
            io::stderr().is_terminal(),
        ];
        if !are.contains(&true) {
            return Ok(Self::None);
        }
        if are.contains(&false) {
            return Ok(Self::Shared(Bystander::start().ok()));
        }
        let failed = |error: Errno| RunError::Machine {
            what: "the program got no terminal",
            source: error.into(),
        };
        let outer = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 0).map_err(failed)?;
        match wants_own {
            true => Own::open(outer).map(Self::Own).map_err(failed),
            false => Ok(Self::Lent(Lent { outer })),
        }
    }

    /// Where CMD is put.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::None => Place::OwnGroup,
            Self::Shared(_) => Place::SameGroup,
            Self::Lent(lent) if is_in_front(&lent.outer) => Place::Foreground,
            Self::Lent(_) => Place::OwnGroup,
            Self::Own(_) => Place::OwnSession,
        }
    }

    /// Whether a signal to this process has reached CMD by itself, as what is sent to a whole group does.
    pub(super) fn has_reached(&mut self, cmd: Pid, sent: &Sent) -> bool {
        match self {
            Self::Shared(bystander) if getpgid(Some(cmd)) == Ok(getpgrp()) => match bystander {
                Some(bystander) => bystander.has_got(sent),
                None => sent.by_the_kernel,
            },
            _ => false,
        }
    }

    /// Whether this process is to stop with the rest of its job. Elsewhere it [suspends](Self::suspend) itself.
    pub(super) const fn stops_with_its_job(&self) -> bool {
        matches!(self, Self::None | Self::Shared(_))
    }

    /// A process of this run that is not CMD's.
    pub(super) fn bystander(&self) -> Option<Pid> {
        match self {
            Self::Shared(Some(bystander)) => Pid::from_raw(bystander.pid()),
            _ => None,
        }
    }

    /// CMD is about to be started: its first words come out as it says them.
    pub(super) fn prepare(&self) {
        if let Self::Own(own) = self {
            own.shared.take();
        }
    }

    /// CMD is there, with what it was given.
    pub(super) fn begin(&mut self) {
        if let Self::Own(own) = self {
            // The near side sees the end of it when CMD and its children have let go, and nobody else holds it.
            own.far = None;
        }
    }

    /// CMD has ended.
    pub(super) fn end(&self) {
        match self {
            Self::None | Self::Shared(_) => {}
            Self::Lent(lent) => lent.take_back(),
            Self::Own(own) => {
                let _ = rustix::io::write(&own.shared.wake, &1_u64.to_ne_bytes());
            }
        }
    }

    /// CMD's last words are out: the person's terminal is as it was before.
    pub(super) fn give_back(&self) {
        if let Self::Own(own) = self {
            own.shared.give_back();
        }
    }

    /// The person's terminal has another size, and so has CMD's, if it has one of its own.
    pub(super) fn resize(&self) -> bool {
        match self {
            Self::Own(own) => {
                own.shared.resize();
                true
            }
            Self::None | Self::Shared(_) | Self::Lent(_) => false,
        }
    }

    /// This process was let go on.
    pub(super) fn resume(&self) {
        match self {
            Self::Own(own) => {
                own.shared.take();
                own.shared.resize();
            }
            Self::Lent(_) | Self::None | Self::Shared(_) => {}
        }
    }

    /// CMD was stopped at the terminal: so is this process, until the shell around lets it go on. Then so is CMD.
    pub(super) fn suspend(&self, cmd: Pid) {
        match self {
            Self::None | Self::Shared(_) => return,
            Self::Lent(lent) => lent.take_back(),
            Self::Own(own) => own.shared.give_back(),
        }
        // It comes back when somebody sends SIGCONT.
        let _ = kill_process(getpid(), Signal::STOP);
        if let Self::Lent(lent) = self {
            lent.give(cmd);
        }
        self.resume();
        let _ = kill_process_group(cmd, Signal::CONT);
    }
}

/// Whether the group of this process is the one that the terminal listens to.
fn is_in_front(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
}

impl Lent {
    fn give(&self, cmd: Pid) {
        if is_in_front(&self.outer) {
            let _ = tcsetpgrp(&self.outer, cmd);
        }
    }

    /// Whoever asks from the background would be stopped, were that signal not held back.
    fn take_back(&self) {
        let _ = tcsetpgrp(&self.outer, getpgrp());
    }
}

impl Own {
    fn open(outer: OwnedFd) -> Result<Self, Errno> {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let far = rustix::fs::open(
            ptsname(&near, Vec::new())?,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let saved = tcgetattr(&outer)?;
        tcsetattr(&far, OptionalActions::Now, &saved)?;
        rustix::io::ioctl_fionbio(&near, true)?;
        let shared = Between {
            outer,
            near,
            saved,
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            is_given_back: AtomicBool::new(true),
        };
        shared.resize();
        Ok(Self {
            shared: Arc::new(shared),
            far: Some(far),
        })
    }

    /// What CMD gets as stdin, stdout and stderr.
    pub(super) fn stdio(&self) -> io::Result<[Option<OwnedFd>; 3]> {
        let far = self.far.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let copy = || far.try_clone().map(Some);
        Ok([copy()?, copy()?, copy()?])
    }

    /// The side that CMD's output comes out of.
    pub(super) fn output(&self) -> io::Result<OwnedFd> {
        self.shared.near.try_clone()
    }

    /// Passes keys on until CMD has ended.
    pub(super) fn pass_keys_on(&self) -> Result<(), RunError> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("keys".to_owned());
        let thread = thread.spawn(move || {
            let mut keys = [0; KEYS_BYTES];
            while let Some(count) = shared.read_keys(&mut keys) {
                if write(shared.near.as_fd(), &keys[..count]).is_err() {
                    return;
                }
            }
        });
        thread.map(drop).map_err(|source| RunError::Machine {
            what: "there is no thread for the terminal",
            source,
        })
    }
}

impl Between {
    fn take(&self) {
        self.is_given_back.store(false, Ordering::SeqCst);
        self.go_raw();
    }

    fn give_back(&self) {
        self.is_given_back.store(true, Ordering::SeqCst);
        self.restore();
    }

    fn go_raw(&self) {
        if is_in_front(&self.outer) && !self.is_given_back.load(Ordering::SeqCst) {
            let mut raw = self.saved.clone();
            raw.make_raw();
            let set = tcsetattr(&self.outer, OptionalActions::Now, &raw);
            IS_RAW.store(set.is_ok(), Ordering::Relaxed);
        }
    }

    fn restore(&self) {
        if IS_RAW.swap(false, Ordering::Relaxed) {
            // A terminal that is gone needs no mode.
            let _ = tcsetattr(&self.outer, OptionalActions::Now, &self.saved);
        }
    }

    fn resize(&self) {
        if let Ok(size) = tcgetwinsize(&self.outer) {
            let _ = tcsetwinsize(&self.near, size);
        }
    }

    /// The next keys, or none when CMD has ended or the terminal is gone. Who is not in the foreground leaves them to
    /// who is.
    fn read_keys(&self, keys: &mut [u8]) -> Option<usize> {
        loop {
            let in_front = is_in_front(&self.outer);
            if in_front && !is_raw() {
                self.go_raw();
            }
            match self.wait_for_keys(in_front) {
                Awaited::End => return None,
                Awaited::Nothing => {}
                Awaited::Keys => match rustix::io::read(&self.outer, &mut *keys) {
                    Ok(0) => return None,
                    Ok(count) => return Some(count),
                    // It may just have gone to the background.
                    Err(Errno::AGAIN | Errno::INTR | Errno::IO) if !is_in_front(&self.outer) => {}
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(_) => return None,
                },
            }
        }
    }

    fn wait_for_keys(&self, in_front: bool) -> Awaited {
        let mut both = [
            PollFd::new(&self.wake, PollFlags::IN),
            PollFd::new(&self.outer, PollFlags::IN),
        ];
        let files = match in_front {
            true => &mut both[..],
            false => &mut both[..1],
        };
        let _ = poll(files, Some(&timespec(LOOK)));
        let [wake, outer] = both.each_ref().map(|file| !file.revents().is_empty());
        match (wake, outer) {
            (true, _) => Awaited::End,
            (false, true) => Awaited::Keys,
            (false, false) => Awaited::Nothing,
        }
    }
}

/// What came while keys were waited for.
enum Awaited {
    Keys,
    Nothing,
    End,
}

impl Drop for Between {
    fn drop(&mut self) {
        self.restore();
    }
}

/// A borrowed descriptor of this process's own, as an owned one.
pub(super) fn duplicate(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(file, 0)?)
}
