//! An agent that is attended to, and whoever speaks at its socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::{Run, World};

/// A process that speaks for the agent `worker`.
#[derive(Debug)]
pub struct Attended {
    /// The service and the agent.
    pub world: World,
    /// The process.
    pub run: Run,
}

/// A connection to the socket.
#[derive(Debug)]
pub struct Talk {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Attended {
    /// An agent that may run `cat`, `sh` and `pwd`, read anything and spawn sub-agents, in a log that enforces.
    pub fn new() -> Self {
        Self::with("{\"liveness\":{\"heartbeat_ms\":150}}", &[])
    }

    /// Such an agent in a log whose charter has these members.
    ///
    /// # Panics
    /// If it does not begin.
    pub fn with(charter: &str, options: &[&str]) -> Self {
        let world = World::with_charter(charter, 60_000);
        world.write("agent.toml", AGENT);
        world.register();
        let allow = [
            "run:cat",
            "run:sh",
            "run:pwd",
            "run:exit",
            "read:**",
            "spawn:*",
            "write:src/**",
        ];
        let words = ["lease", "grant", "worker", "--key", "OPERATOR", "--allow"];
        world.succeed(world.dragons(&[&words, &allow[..]].concat()));
        let run = Self::start(&world, options);
        Self { world, run }
    }

    /// Starts a process that speaks for the agent, and waits until it does.
    ///
    /// # Panics
    /// If it does not begin.
    pub fn start(world: &World, options: &[&str]) -> Run {
        let mut run = Run::start(Self::command(world, options));
        let line = run.line();
        assert!(line.starts_with("listening on "), "{line:?}");
        run
    }

    /// The command that speaks for the agent.
    pub fn command(world: &World, options: &[&str]) -> std::process::Command {
        let words = [
            "attend", "--agent", "worker", "--dir", "DIR", "--key", "KEY", "--trust", "TRUST",
        ];
        let mut command = world.dragons(&[&words, options].concat());
        command.env("XDG_RUNTIME_DIR", world.service.scratch("runtime"));
        command
    }

    /// Where the socket is.
    pub fn socket(&self) -> PathBuf {
        self.world.service.scratch("runtime/dragons/worker/socket")
    }

    /// A connection to it.
    ///
    /// # Panics
    /// If nobody listens.
    pub fn talk(&self) -> Talk {
        Talk::to(&self.socket())
    }

    /// Says one line on a connection of its own.
    pub fn say(&self, line: &str) -> Value {
        self.talk().say(line)
    }

    /// Hands an event to a hook.
    ///
    /// # Panics
    /// If it does not start.
    pub fn hook(&self, words: &[&str], event: &str) -> Output {
        hook(&self.world, &self.socket(), words, event)
    }

    /// Ends it by a signal, and gives its exit code and what it said.
    pub fn end(self) -> (Option<i32>, String, World) {
        self.run.signal(Signal::TERM);
        let (code, _, said) = self.run.end();
        (code, said, self.world)
    }
}

impl Default for Attended {
    fn default() -> Self {
        Self::new()
    }
}

const AGENT: &str = "agent = \"worker\"\nversion = \"1\"\ncode = [\"src\"]\nconfig = [\"agent.toml\"]\nignore = []\n\
     capabilities = [\"run:*\", \"read:**\", \"write:**\", \"spawn:*\", \"tool:*\"]\nmax_inflight_ms = 60000\n";

/// Hands an event to a hook that asks at a socket.
///
/// # Panics
/// If it does not start.
pub fn hook(world: &World, socket: &Path, words: &[&str], event: &str) -> Output {
    let (host, options) = words.split_first().expect("a host");
    let mut command = world.dragons(&["hook", host]);
    command.args(options).arg("--socket").arg(socket);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("a program that starts");
    let stdin = child.stdin.take();
    // A hook that needs no event may be gone before it is written.
    let _ = stdin.expect("a pipe").write_all(event.as_bytes());
    child.wait_with_output().expect("its end")
}

impl Talk {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens.
    pub fn to(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("somebody who listens");
        let lines = BufReader::new(stream.try_clone().expect("a stream"));
        Self { stream, lines }
    }

    /// Says a line and waits for the next answer.
    pub fn say(&mut self, line: &str) -> Value {
        self.tell(line);
        self.hear()
    }

    /// Says a line.
    ///
    /// # Panics
    /// If nobody reads it.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.stream, "{line}").expect("somebody who reads");
    }

    /// The next answer; `null` at the end.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        match line.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&line).expect("an answer"),
        }
    }
}

/// The recorded events of a host, in their order: the name of each, and the event.
///
/// # Panics
/// If they are not there.
pub fn recorded(host: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("samples/hooks")
        .join(host);
    let files = std::fs::read_dir(folder).expect("events");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let event = |file: &PathBuf| {
        let name = file
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let name = name
            .split_once('-')
            .expect("a number and a name")
            .1
            .to_owned();
        (name, crate::read(file))
    };
    files.iter().map(event).collect()
}
