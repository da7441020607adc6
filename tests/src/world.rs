//! A service that beats fast, an agent of it, and programs that run as that agent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::shell::signs;
use crate::{Service, causes, dragons, read};

/// A service, and the directory of the agent `worker`, which is registered.
#[derive(Debug)]
pub struct World {
    /// The service.
    pub service: Service,
}

impl World {
    /// An agent with a lease, with actions of a minute.
    pub fn new() -> Self {
        let world = Self::without_lease(60_000);
        world.lease();
        world
    }

    /// An agent without a lease, whose actions take this long at most.
    pub fn without_lease(max_inflight_ms: u64) -> Self {
        Self::with_charter("{\"liveness\":{\"heartbeat_ms\":150}}", max_inflight_ms)
    }

    /// An agent without a lease, in a log whose charter differs from the usual by these members.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn with_charter(members: &str, max_inflight_ms: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let charter = directory.path().join("charter.json");
        std::fs::write(&charter, members).expect("a file");
        let service = Service::with(&["--charter", charter.to_str().expect("UTF-8")], &[]);
        let world = Self { service };
        world.write("src/work.sh", "echo work\n");
        world.write("README.md", "one\ntwo\n");
        let config = format!(
            "agent = \"worker\"\nversion = \"1\"\ncode = [\"src\"]\nconfig = [\"agent.toml\"]\nignore = []\n\
             capabilities = [\"run:*\", \"read:**\"]\nmax_inflight_ms = {max_inflight_ms}\n"
        );
        world.write("agent.toml", &config);
        world.succeed(world.dragons(&["keygen", "--name", "worker", "--out", "KEY"]));
        world.register();
        world
    }

    /// Registers the version that is in the agent's directory.
    ///
    /// # Panics
    /// If it is refused.
    pub fn register(&self) {
        let files = ["DIR", "--agent-key", "KEY", "--key", "OPERATOR"];
        let words = [&["manifest", "register"], files.as_slice()].concat();
        self.succeed(self.dragons(&words));
    }

    /// Writes a file of the agent.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.service.scratch("agent").join(name);
        let directory = path.parent().expect("a directory");
        std::fs::create_dir_all(directory).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    /// Grants the agent a lease for the programs of these tests.
    pub fn lease(&self) {
        self.lease_by(&[]);
    }

    /// Grants such a lease with further options.
    pub fn lease_by(&self, options: &[&str]) {
        let allow = [
            "run:sh",
            "run:python3",
            "run:node",
            "run:cat",
            "run:resume",
            "read:README.md",
        ];
        let words = [
            &["lease", "grant", "worker", "--key", "OPERATOR"],
            options,
            &["--allow"],
            &allow[..],
        ]
        .concat();
        self.succeed(self.dragons(&words));
    }

    /// Gives an order about the agent.
    pub fn order(&self, verb: &str) {
        let words = [
            "agent", verb, "worker", "--reason", "a test", "--key", "OPERATOR",
        ];
        self.succeed(self.dragons(&words));
    }

    /// A command line in which a few words stand for files of this test.
    ///
    /// # Panics
    /// If the programs are not built.
    pub fn dragons(&self, words: &[&str]) -> Command {
        let mut command = dragons().command();
        let bin = dragons().path().parent().and_then(std::path::Path::to_str);
        let bin = bin.expect("a directory in UTF-8");
        let path = std::env::var("PATH").expect("a PATH");
        command
            .env("DRAGONS_SERVER", self.service.url())
            .env("XDG_STATE_HOME", self.service.scratch("state"))
            .env("PATH", format!("{bin}:{path}"))
            .current_dir(self.service.scratch("agent"));
        if signs(&words.join(" ")) && !words.contains(&"--trust") {
            command.arg("--trust").arg(self.service.trust());
        }
        for word in words {
            match *word {
                "KEY" => command.arg(self.service.scratch("agent.pem")),
                "OPERATOR" => command.arg(self.service.key("operator")),
                "DIR" => command.arg(self.service.scratch("agent")),
                "TRUST" => command.arg(self.service.trust()),
                word => command.arg(word),
            };
        }
        command
    }

    /// `dragons run` with options and a program.
    pub fn run(&self, options: &[&str], program: &[&str]) -> Command {
        let common = [
            "run", "--agent", "worker", "--goal", "test", "--key", "KEY", "--trust", "TRUST",
        ];
        self.dragons(&[&common, options, &["--"], program].concat())
    }

    /// A command that another one runs, such as a shell that says `exec "$@"`.
    ///
    /// # Panics
    /// If there is no other.
    pub fn within(&self, outer: &[&str], inner: &Command) -> Command {
        let (program, arguments) = outer.split_first().expect("a program");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg(inner.get_program())
            .args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(self.service.scratch("agent"));
        command
    }

    /// `dragons run` with a script.
    pub fn shell(&self, script: &str) -> Command {
        self.run(&[], &["sh", "-c", script])
    }

    /// Runs a command that must succeed, and gives what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn succeed(&self, mut command: Command) -> String {
        let output = command.output().expect("a program that starts");
        let code = output.status.code();
        assert_eq!(code, Some(0), "{command:?}\n{}", stderr(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What the service says about the agent.
    pub fn agent(&self) -> Value {
        self.service.get("/v1/agents/worker").json()
    }

    /// All entries of the log.
    pub fn entries(&self) -> Vec<Value> {
        let get = |index| self.service.get(&format!("/v1/entries/{index}")).json();
        (0..self.service.size()).map(get).collect()
    }

    /// What an auditor is told of the whole log, without a network: the report of `dragons verify`.
    ///
    /// # Panics
    /// If the log does not hold.
    pub fn report(&self) -> Value {
        let pack = self.service.scratch("all.pack.jsonl");
        let pack = pack.to_str().expect("UTF-8");
        self.succeed(self.dragons(&["export", "-o", pack, "--trust", "TRUST"]));
        let mut verify = self.dragons(&["verify", pack, "--trust", "TRUST", "--json"]);
        let output = verify.output().expect("a program that starts");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(report["verdict"], "verified", "{report}");
        report
    }

    /// What `dragons report` tells of the whole log beside watchdogs, by this map and these files with alerts.
    ///
    /// # Panics
    /// If it is not made, or does not hold when it is checked.
    pub fn day_30(&self, map: &str, alerts: &[&str]) -> Value {
        let out = self.service.scratch("day-30");
        let map_file = self.service.scratch("map.toml");
        std::fs::write(&map_file, map).expect("a file");
        let mut report = self.dragons(&["report", "--from", "-1d", "--trust", "TRUST"]);
        report.arg("--map").arg(map_file).arg("--out").arg(&out);
        for file in alerts {
            report.args(["--alerts", file]);
        }
        self.succeed(report);
        let mut check = self.dragons(&["report", "check", "--trust", "TRUST"]);
        check.arg(&out);
        self.succeed(check);
        serde_json::from_str(&read(&out.join("report.json"))).expect("JSON")
    }

    /// What the report of the whole log finds, each as the code, by whom, and at which index. Where control itself was
    /// late by more than the charter's tolerance is left out: with clocks as short as those of tests that says
    /// how busy the machine was.
    ///
    /// # Panics
    /// If the log does not hold, or a transition does not stand directly behind the record that causes it.
    pub fn findings(&self) -> Vec<(String, String, u64)> {
        causes::check(&self.entries());
        let report = self.report();
        let findings = report["findings"].as_array().expect("findings").iter();
        let of = |finding: &Value| {
            let text = |member: &str| finding[member].as_str().expect("a text").to_owned();
            let index = finding["index"].as_u64().expect("an index");
            (text("code"), text("by"), index)
        };
        let is_late = |code: &str| ["duty-missed", "control-gap"].contains(&code);
        let findings = findings.map(of);
        findings.filter(|(code, ..)| !is_late(code)).collect()
    }

    /// Holds the whole log to that, and to there being nothing that anybody did wrong.
    ///
    /// # Panics
    /// If there is.
    pub fn blames_nobody(&self) {
        let findings = self.findings();
        assert!(findings.is_empty(), "{findings:?}");
    }

    /// The payloads of the entries of a kind.
    pub fn payloads(&self, kind: &str) -> Vec<Value> {
        let entries = self.entries().into_iter();
        let of_kind = entries.filter(|entry| entry["kind"] == kind);
        of_kind.map(|entry| entry["payload"].clone()).collect()
    }

    /// The payloads of the agent's receipts of a phase.
    pub fn receipts(&self, phase: &str) -> Vec<Value> {
        let mut receipts = self.payloads("receipt");
        receipts.retain(|receipt| receipt["phase"] == phase);
        receipts
    }

    /// The first entry with a receipt of a phase.
    ///
    /// # Panics
    /// If there is none.
    pub fn entry_of(&self, phase: &str) -> Value {
        let is = |entry: &Value| entry["kind"] == "receipt" && entry["payload"]["phase"] == phase;
        self.entries().into_iter().find(is).expect("a receipt")
    }

    /// What is behind the commitments, by name.
    ///
    /// # Panics
    /// If the journal is not there.
    pub fn disclosed(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let logs = std::fs::read_dir(self.service.scratch("state/dragons")).expect("a journal");
        for log in logs {
            let file = log.expect("an entry").path();
            for line in read(&file.join("worker/disclosures.jsonl")).lines() {
                let one: Value = serde_json::from_str(line).expect("JSON");
                let value = tlog::base64::decode(one["value"].as_str().expect("a value"));
                let name = one["name"].as_str().expect("a name").to_owned();
                found.push((name, value.expect("base64")));
            }
        }
        found
    }

    /// Where the service listens.
    pub fn address(&self) -> String {
        self.service.url().trim_start_matches("http://").to_owned()
    }

    /// Starts the service again where it was, so that whoever knows its address finds it.
    pub fn restart_at(&mut self, address: &str) {
        self.service.start_at(address);
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// What a program wrote to stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The longest that a run may take before it is killed, so that a test that waits for its words has an end.
const LONGEST: Duration = Duration::from_secs(60);

/// A run that goes on until its test lets it: its stdin is open, its output is read line by line.
#[derive(Debug)]
pub struct Run {
    /// The process.
    pub child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    /// Nothing comes this way: that the other end is gone says that the test is over.
    _watched: Sender<()>,
}

impl Run {
    /// Starts it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("a program that starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (watched, over) = mpsc::channel::<()>();
        let pid = Pid::from_child(&child);
        std::thread::spawn(move || {
            if over.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        Self {
            child,
            stdout,
            stderr,
            _watched: watched,
        }
    }

    /// The next line of stdout; empty at its end.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        line
    }

    /// Reads what the program prints up to this line.
    ///
    /// # Panics
    /// If it ends before.
    pub fn until_line(&mut self, wanted: &str) {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "it ended before {wanted:?}");
            if line.trim() == wanted {
                return;
            }
        }
    }

    /// Reads stderr until a line with these words.
    ///
    /// # Panics
    /// If it ends before.
    pub fn until(&mut self, words: &str) -> String {
        let mut read = String::new();
        loop {
            let from = read.len();
            let count = self.stderr.read_line(&mut read).expect("a line");
            assert!(count > 0, "no {words:?} in:\n{read}");
            if read[from..].contains(words) {
                return read[from..].to_owned();
            }
        }
    }

    /// Writes a line to stdin.
    ///
    /// # Panics
    /// If nobody reads it.
    pub fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{line}").expect("somebody who reads");
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a process");
    }

    /// Closes stdin and waits for the end: the exit code, and what was not read yet of stdout and stderr.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        drop(self.child.stdin.take());
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).expect("UTF-8");
        self.stderr.read_to_string(&mut err).expect("UTF-8");
        (self.child.wait().expect("its end").code(), out, err)
    }
}

/// A test that ends early leaves nothing running.
impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
