//! Faults at single system calls of a service, by strace. Each was injected, or the test says so.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Service, read};

/// How long strace may take to attach, and to end behind its tracee.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fault of a system call.
#[derive(Clone, Copy, Debug)]
pub struct Injection {
    /// The call.
    pub call: &'static str,
    /// What it does in place of its work: `error=EIO`, `signal=KILL`.
    pub fault: &'static str,
    /// Which call of each thread it is, counted from 1.
    pub when: usize,
}

impl Injection {
    fn flags(&self) -> [String; 4] {
        let Self { call, fault, when } = self;
        [
            // What is not traced is not tampered with.
            "-e".to_owned(),
            format!("trace={call}"),
            "-e".to_owned(),
            format!("inject={call}:{fault}:when={when}"),
        ]
    }
}

/// What strace wrote of a service.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
    strace: Option<Child>,
}

impl Service {
    /// The command that serves under strace, which stays a process of its own, so that signals and the exit code are the
    /// service's.
    pub fn traced(&self, injection: &Injection) -> (Command, Trace) {
        let trace = Trace {
            path: self.scratch("trace"),
            strace: None,
        };
        let serve = self.serve_command();
        let mut command = strace(&trace.path);
        command.arg("-D").args(injection.flags());
        command.arg(serve.get_program()).args(serve.get_args());
        for (name, value) in serve.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        (command, trace)
    }

    /// Attaches strace to the running service, for what it does with one file.
    ///
    /// # Panics
    /// If strace does not attach.
    pub fn attach(&self, injection: &Injection, file: &Path) -> Trace {
        let path = self.scratch("trace");
        let said = self.scratch("strace");
        let mut command = strace(&path);
        command.args(injection.flags()).arg("-P").arg(file);
        command.args(["-p", &self.process().0.to_string()]);
        let stderr = std::fs::File::create(&said).expect("a file");
        let strace = command
            .stderr(stderr)
            .stdout(Stdio::null())
            .spawn()
            .expect("strace starts");
        let began = Instant::now();
        while !read(&said).contains("attached") {
            assert!(began.elapsed() < PATIENCE, "{}", read(&said));
            std::thread::yield_now();
        }
        Trace {
            path,
            strace: Some(strace),
        }
    }

    /// The file that the store writes its groups to, ahead of all else.
    ///
    /// # Panics
    /// If there is none.
    pub fn write_ahead_log(&self) -> PathBuf {
        let files = std::fs::read_dir(self.data().join("store")).expect("a store");
        let paths = files.map(|file| file.expect("a file").path());
        let logs = paths.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.max().expect("a write-ahead log")
    }
}

impl Trace {
    /// How often the fault was injected, for signals whether it was. The service must have ended.
    ///
    /// # Panics
    /// If strace does not end behind it.
    pub fn injected(mut self) -> usize {
        if let Some(strace) = &mut self.strace {
            strace.wait().expect("its end");
        }
        let began = Instant::now();
        loop {
            // With -D strace outlives the service by a moment: its last line tells the end of the last thread.
            let trace = read(&self.path);
            if trace.ends_with("+++\n") || self.strace.is_some() {
                let killed = usize::from(trace.contains("+++ killed by SIGKILL +++"));
                return trace.matches("(INJECTED)").count() + killed;
            }
            assert!(began.elapsed() < PATIENCE, "{trace}");
            std::thread::yield_now();
        }
    }
}

fn strace(output: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o"]).arg(output);
    strace
}
