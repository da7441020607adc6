//! A terminal with a person at it: a program in a session of its own, whose screen is read and whose keys are typed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

/// The longest that words on the screen are waited for.
const LONGEST: Duration = Duration::from_secs(30);

/// A program at a terminal.
#[derive(Debug)]
pub struct Screen {
    /// The process, the leader of its session.
    pub child: Child,
    keys: File,
    name: String,
    /// What was read and not looked for yet.
    unread: String,
    shown: Receiver<String>,
}

impl Screen {
    /// Starts it in a terminal of 24 lines of 80 columns.
    ///
    /// # Panics
    /// If there is no terminal to be had, or the program does not start.
    pub fn start(command: &Command) -> Self {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let near = near.expect("a terminal");
        grantpt(&near).expect("a terminal of one's own");
        unlockpt(&near).expect("a terminal that opens");
        let name = ptsname(&near, Vec::new()).expect("a terminal with a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let far = rustix::fs::open(&name, flags, Mode::empty()).expect("its other side");
        let near = File::from(near);
        let mut screen = Command::new("setsid");
        screen
            .arg("--ctty")
            // However these tests were started: in the background of a script signals are ignored.
            .args(["env", "--default-signal"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => screen.env(name, value),
                None => screen.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            screen.current_dir(directory);
        }
        let far = || Stdio::from(far.try_clone().expect("a copy"));
        screen.stdin(far()).stdout(far()).stderr(far());
        screen.env("TERM", "xterm-256color");
        let child = screen.spawn().expect("a program that starts");
        let (show, shown) = mpsc::channel();
        let mut reader = near.try_clone().expect("a copy");
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                if show
                    .send(String::from_utf8_lossy(&chunk[..count]).into_owned())
                    .is_err()
                {
                    return;
                }
            }
        });
        let this = Self {
            child,
            keys: near,
            name: name.to_string_lossy().into_owned(),
            unread: String::new(),
            shown,
        };
        this.resize(24, 80);
        this
    }

    /// What the terminal is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Types.
    ///
    /// # Panics
    /// If nobody can.
    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Reads until these words are shown, and gives what was before them.
    ///
    /// # Panics
    /// If they are not shown.
    pub fn until(&mut self, words: &str) -> String {
        loop {
            if let Some((before, after)) = self.unread.split_once(words) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.unread = after;
                return before;
            }
            match self.shown.recv_timeout(LONGEST) {
                Ok(more) => self.unread.push_str(&more),
                Err(RecvTimeoutError::Timeout) => panic!("no {words:?} in {:?}", self.unread),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{words:?} never came: {:?}", self.unread)
                }
            }
        }
    }

    /// Gives the terminal another size.
    ///
    /// # Panics
    /// If it takes none.
    pub fn resize(&self, lines: u16, columns: u16) {
        let size = Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.keys, size).expect("a terminal");
    }

    /// Whether the terminal shows what is typed, as one that waits for lines does.
    ///
    /// # Panics
    /// If it does not say.
    pub fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.keys).expect("a terminal").local_modes;
        modes.contains(rustix::termios::LocalModes::ECHO)
    }

    /// Waits for the end, and gives the exit code.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn end(mut self) -> Option<i32> {
        self.child.wait().expect("its end").code()
    }
}
