//! The start of a program: what its process does between fork and exec.

use std::ffi::{CString, OsStr, OsString, c_char};
use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::fork::{Forked, fork, fork_into};
use crate::{Inherited, namespace, session};

/// Room for the digits of any process number, and for the NUL behind them.
const PID_ROOM: usize = 12;

/// Where among the processes of its terminal a program is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the group of this process, as a shell's pipeline is one group.
    SameGroup,
    /// In a group of its own, so that a signal to this process's group is not its too.
    OwnGroup,
    /// In a group of its own, to which the terminal at its stdin listens from now on.
    Foreground,
    /// In a session of its own, whose terminal is its stdin. The child is the leader of that session, in which everything
    /// shows that becomes of the program.
    OwnSession,
}

/// A program that is to be started.
#[derive(Debug)]
pub struct Start<'a> {
    /// The file that is executed.
    pub path: &'a Path,
    /// What the program is called: its first word.
    pub called: &'a OsStr,
    /// Its further words.
    pub arguments: &'a [OsString],
    /// All variables that it gets.
    pub environment: Vec<(OsString, OsString)>,
    /// Variables that name the program's own process, whose number nobody knows before there is one.
    pub own_number: Vec<OsString>,
    /// stdin, stdout, stderr; this process's own where there is none.
    pub stdio: [Option<OwnedFd>; 3],
    /// Where it is put.
    pub place: Place,
    /// The directory of the control group that it is to be in.
    pub cgroup: Option<OwnedFd>,
    /// Whether it gets process numbers of its own, and all that it starts ends with it.
    pub own_numbers: bool,
    /// The signals that it begins with.
    pub signals: Inherited,
}

/// A program that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The number of its process, which its parent has to wait for.
    pub pid: i32,
    /// Whether it is in the control group. The kernel may not let it, and then it runs all the same.
    pub is_in_cgroup: bool,
}

impl Start<'_> {
    /// Starts it. It is killed with the thread that calls this.
    ///
    /// # Errors
    ///
    /// What the kernel says, also of the exec: then nothing was run.
    pub fn spawn(self) -> io::Result<Started> {
        let words = Words::new(&self)?;
        let (failures, to) = io::pipe()?;
        // SAFETY: getpid has no preconditions.
        let this = unsafe { libc::getpid() };
        let before = hold_signals();
        // SAFETY: the child calls system calls alone, and allocates nothing: all it needs was made before.
        let forked = unsafe { self.fork() };
        match forked {
            Ok((Forked::Child, _)) => end_for(&self.become_program(words, this), &to),
            Ok((Forked::Parent(pid), is_in_cgroup)) => {
                set_signals(&before);
                drop(to);
                heard_nothing(failures, pid)?;
                Ok(Started { pid, is_in_cgroup })
            }
            Err(error) => {
                set_signals(&before);
                Err(error)
            }
        }
    }

    /// Forks, into the control group if the kernel lets it.
    ///
    /// # Safety
    ///
    /// As for [`fork`].
    unsafe fn fork(&self) -> io::Result<(Forked, bool)> {
        // SAFETY: the caller's promise.
        unsafe {
            let inside = self
                .cgroup
                .as_ref()
                .and_then(|cgroup| fork_into(cgroup.as_fd()).ok());
            match inside {
                Some(forked) => Ok((forked, true)),
                None => Ok((fork()?, false)),
            }
        }
    }

    /// What the child does. What comes back is why it is not the program.
    fn become_program(self, mut words: Words, parent: libc::pid_t) -> io::Error {
        let begun = || {
            // The runtime of Rust holds 0, 1 and 2 open, so no file of ours is one of them.
            for (file, number) in self.stdio.iter().zip(0..) {
                if let Some(file) = file {
                    // SAFETY: dup2 takes two numbers.
                    checked(unsafe { libc::dup2(file.as_raw_fd(), number) })?;
                }
            }
            end_with(parent)?;
            if self.own_numbers {
                namespace::begin()?;
            }
            take(self.place)?;
            self.signals.restore();
            Ok(())
        };
        match begun() {
            Ok(()) => words.execute(),
            Err(error) => error,
        }
    }
}

/// Holds all signals back, so that no handler of this process runs in its child. Gives those that were held back before.
fn hold_signals() -> libc::sigset_t {
    // SAFETY: both sets are ours, and filled before they are read.
    unsafe {
        let (mut all, mut before) = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn set_signals(held: &libc::sigset_t) {
    // SAFETY: the set is only read.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, held, std::ptr::null_mut()) };
}

/// Ends the child, which tells its parent why.
fn end_for(error: &io::Error, to: &PipeWriter) -> ! {
    let number = error.raw_os_error().unwrap_or(libc::EIO);
    // SAFETY: as many bytes are written as the number has. The child holds nothing that has to be given back.
    unsafe {
        let bytes = (&raw const number).cast();
        libc::write(to.as_raw_fd(), bytes, size_of::<libc::c_int>());
        libc::_exit(127)
    }
}

/// Waits until the child is the program, or hears why not: then it is gone.
fn heard_nothing(mut failures: PipeReader, pid: libc::pid_t) -> io::Result<()> {
    let mut number = [0; size_of::<libc::c_int>()];
    match failures.read_exact(&mut number) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        heard => {
            // SAFETY: waitpid takes numbers, and no place for a status.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            heard?;
            let number = libc::c_int::from_ne_bytes(number);
            Err(io::Error::from_raw_os_error(number))
        }
    }
}

/// The kernel kills this process when the thread that started it is gone; it may be gone already.
pub(crate) fn end_with(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: prctl with this option takes one number.
    unsafe {
        checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        match libc::getppid() == parent {
            true => Ok(()),
            false => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    }
}

fn take(place: Place) -> io::Result<()> {
    // SAFETY: none of these calls touches memory but tcsetpgrp, which is given a number.
    unsafe {
        match place {
            Place::SameGroup => {}
            Place::OwnGroup => checked(libc::setpgid(0, 0))?,
            Place::Foreground => {
                checked(libc::setpgid(0, 0))?;
                // A process of the background may not ask, unless it ignores what it would be stopped by.
                libc::signal(libc::SIGTTOU, libc::SIG_IGN);
                checked(libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid()))?;
            }
            Place::OwnSession => session::begin()?,
        }
    }
    Ok(())
}

pub(crate) fn checked(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// What exec takes, made before the fork.
struct Words {
    path: CString,
    arguments: Vec<CString>,
    variables: Vec<Vec<u8>>,
    /// Which of the variables end in the process number, and where it begins.
    numbers: Vec<(usize, usize)>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
}

// SAFETY: the pointers lead into the same value, whose buffers never move or change hands by themselves.
unsafe impl Send for Words {}
// SAFETY: as above; what changes a buffer takes the value exclusively.
unsafe impl Sync for Words {}

impl Words {
    fn new(start: &Start<'_>) -> io::Result<Self> {
        let words =
            std::iter::once(start.called).chain(start.arguments.iter().map(OsString::as_os_str));
        let words = words.map(|word| CString::new(word.as_bytes()));
        let mut this = Self {
            path: CString::new(start.path.as_os_str().as_bytes())?,
            arguments: words.collect::<Result<_, _>>()?,
            variables: Vec::new(),
            numbers: Vec::new(),
            argv: Vec::new(),
            envp: Vec::new(),
        };
        for (name, value) in &start.environment {
            this.variable(name, value)?;
        }
        for name in &start.own_number {
            let at = name.len() + 1;
            this.variable(name, OsStr::new(&"\u{1}".repeat(PID_ROOM)))?;
            this.numbers.push((this.variables.len() - 1, at));
        }
        let null = std::iter::once(std::ptr::null());
        this.argv = this
            .arguments
            .iter()
            .map(|word| word.as_ptr())
            .chain(null.clone())
            .collect();
        let pointers = this
            .variables
            .iter()
            .map(|variable| variable.as_ptr().cast());
        this.envp = pointers.chain(null).collect();
        Ok(this)
    }

    fn variable(&mut self, name: &OsStr, value: &OsStr) -> io::Result<()> {
        let text = [name.as_bytes(), b"=", value.as_bytes()].concat();
        self.variables
            .push(CString::new(text)?.into_bytes_with_nul());
        Ok(())
    }

    /// Becomes the program; what comes back is why not. A file without an interpreter is given to the shell, as `env`
    /// does it.
    fn execute(&mut self) -> io::Error {
        // SAFETY: getpid has no preconditions.
        let pid = unsafe { libc::getpid() };
        for (variable, at) in &self.numbers {
            if let Some(room) = self
                .variables
                .get_mut(*variable)
                .and_then(|text| text.get_mut(*at..))
            {
                write_number(pid.unsigned_abs(), room);
            }
        }
        // SAFETY: path, argv and envp are NUL-terminated, and live as long as this value.
        unsafe { libc::execvpe(self.path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
        io::Error::last_os_error()
    }
}

/// Decimal digits and a NUL, without allocating.
fn write_number(mut number: u32, room: &mut [u8]) {
    let mut digits = [0; PID_ROOM];
    let mut count = 0;
    while count == 0 || number > 0 {
        digits[count] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        count += 1;
    }
    for (to, digit) in room
        .iter_mut()
        .zip(digits[..count].iter().rev().chain(&[0]))
    {
        *to = *digit;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn start<'a>(path: &'a Path, arguments: &'a [OsString]) -> Start<'a> {
        Start {
            path,
            called: OsStr::new("sh"),
            arguments,
            environment: vec![("A".into(), "b=c".into())],
            own_number: vec!["LISTEN_PID".into()],
            stdio: [None, None, None],
            place: Place::OwnGroup,
            cgroup: None,
            own_numbers: false,
            signals: Inherited::before_main(),
        }
    }

    #[test]
    fn a_program_gets_its_words_its_variables_and_its_number() {
        let script = [
            "-c",
            "echo \"$0 $1 $A\"; test $$ = $LISTEN_PID && echo own",
            "zero",
            "one",
        ];
        let script = script.map(OsString::from);
        let (mut from, to) = io::pipe().unwrap();
        let start = Start {
            stdio: [None, Some(to.into()), None],
            ..start(Path::new("/bin/sh"), &script)
        };
        let started = start.spawn().unwrap();
        let mut out = String::new();
        from.read_to_string(&mut out).unwrap();
        let mut status = -1;
        // SAFETY: the status is ours.
        unsafe { libc::waitpid(started.pid, &raw mut status, 0) };
        assert_eq!((out.as_str(), status), ("zero one b=c\nown\n", 0));
        assert!(!started.is_in_cgroup);
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error_of_the_start() {
        let refused = start(Path::new("/no/such/program"), &[]).spawn();
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(
            start(Path::new("/bin/sh"), &["a\0b".into()])
                .spawn()
                .is_err()
        );
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 7, 10, 4_194_304, u32::MAX] {
            let mut room = [1; PID_ROOM];
            write_number(number, &mut room);
            let end = room.iter().position(|byte| *byte == 0).unwrap();
            assert_eq!(room[..end], *number.to_string().as_bytes());
        }
    }
}
