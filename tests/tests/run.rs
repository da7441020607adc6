//! `dragons run` and its like, with a real service and real programs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use ledger::record::{Body, LeaseRevocation};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{Service, dragons, dragonsd, read};

/// A service that beats fast, and an agent with a lease.
struct World {
    service: Service,
}

impl World {
    fn new() -> Self {
        let world = Self::without_lease(60_000);
        world.lease();
        world
    }

    fn without_lease(max_inflight_ms: u64) -> Self {
        let directory = tempfile_charter("{\"liveness\":{\"heartbeat_ms\":150}}");
        let charter = directory.path().join("charter.json");
        let service = Service::with(&["--charter", charter.to_str().unwrap()], &[]);
        let agent = service.scratch("agent");
        std::fs::create_dir_all(agent.join("src")).unwrap();
        std::fs::write(agent.join("src/work.sh"), "echo work\n").unwrap();
        std::fs::write(agent.join("README.md"), "one\ntwo\n").unwrap();
        let config = format!(
            "agent = \"worker\"\nversion = \"1\"\ncode = [\"src\"]\nconfig = [\"agent.toml\"]\nignore = []\n\
             capabilities = [\"run:*\", \"read:**\"]\nmax_inflight_ms = {max_inflight_ms}\n"
        );
        std::fs::write(agent.join("agent.toml"), config).unwrap();
        let world = Self { service };
        world.succeed(world.dragons(&["keygen", "--name", "worker", "--out", "KEY"]));
        let register = [
            "manifest",
            "register",
            "DIR",
            "--agent-key",
            "KEY",
            "--key",
            "OPERATOR",
        ];
        world.succeed(world.dragons(&register));
        world
    }

    fn lease(&self) {
        let allow = [
            "run:sh",
            "run:python3",
            "run:node",
            "run:cat",
            "read:README.md",
        ];
        let words = [
            &["lease", "grant", "worker", "--key", "OPERATOR", "--allow"],
            &allow[..],
        ]
        .concat();
        self.succeed(self.dragons(&words));
    }

    /// A command line in which a few words stand for files of this test.
    fn dragons(&self, words: &[&str]) -> Command {
        let mut command = dragons().command();
        let bin = dragons().path().parent().unwrap().to_str().unwrap();
        let path = std::env::var("PATH").unwrap();
        command
            .env("DRAGONS_SERVER", self.service.url())
            .env("XDG_STATE_HOME", self.service.scratch("state"))
            .env("PATH", format!("{bin}:{path}"))
            .current_dir(self.service.scratch("agent"));
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

    fn run(&self, options: &[&str], program: &[&str]) -> Command {
        let common = [
            "run", "--agent", "worker", "--goal", "test", "--key", "KEY", "--trust", "TRUST",
        ];
        self.dragons(&[&common, options, &["--"], program].concat())
    }

    fn shell(&self, script: &str) -> Command {
        self.run(&[], &["sh", "-c", script])
    }

    fn succeed(&self, mut command: Command) -> String {
        let output = command.output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{command:?}\n{}",
            stderr(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn agent(&self) -> Value {
        self.service.get("/v1/agents/worker").json()
    }

    fn entries(&self) -> Vec<Value> {
        let get = |index| self.service.get(&format!("/v1/entries/{index}")).json();
        (0..self.service.size()).map(get).collect()
    }

    /// The payloads of the agent's receipts of a phase.
    fn receipts(&self, phase: &str) -> Vec<Value> {
        let is = |entry: &Value| entry["kind"] == "receipt" && entry["payload"]["phase"] == phase;
        let entries = self.entries().into_iter().filter(is);
        entries.map(|entry| entry["payload"].clone()).collect()
    }

    /// The first entry with a receipt of a phase.
    fn entry_of(&self, phase: &str) -> Value {
        let is = |entry: &Value| entry["kind"] == "receipt" && entry["payload"]["phase"] == phase;
        self.entries().into_iter().find(is).unwrap()
    }

    /// What is behind the commitments, by name.
    fn disclosed(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for log in std::fs::read_dir(self.service.scratch("state/dragons")).unwrap() {
            let file = log.unwrap().path().join("worker/disclosures.jsonl");
            for line in read(&file).lines() {
                let one: Value = serde_json::from_str(line).unwrap();
                let value = tlog::base64::decode(one["value"].as_str().unwrap()).unwrap();
                found.push((one["name"].as_str().unwrap().to_owned(), value));
            }
        }
        found
    }

    /// Starts the service again where it was, so that whoever knows its address finds it.
    fn restart_at(&mut self, address: &str) {
        let mut command = dragonsd().command();
        command.args([
            "serve",
            "--metrics",
            "127.0.0.1:0",
            "--listen",
            address,
            "--data",
        ]);
        command.arg(self.service.data());
        self.service.start_by(command);
    }
}

fn tempfile_charter(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("charter.json"), text).unwrap();
    directory
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A run that goes on until its test lets it: its stdin is open, its stdout is read line by line.
struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(mut self) -> (Option<i32>, String, String) {
        drop(self.child.stdin.take());
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

#[test]
fn a_program_runs_as_ever_and_leaves_its_evidence() {
    let world = World::new();
    let mut running = Running::start(world.shell("read x; echo out $x; echo err >&2; exit 7"));
    running.say("hi");
    let (code, out, err) = running.end();
    assert_eq!((code, out.as_str()), (Some(7), "out hi\n"), "{err}");
    assert!(err.contains("err\n"), "{err}");
    let intent = &world.receipts("intent")[0];
    assert_eq!(intent["scope"], "run:sh");
    let (result, outcome) = (&world.receipts("result")[0], &world.receipts("outcome")[0]);
    assert_eq!(
        (&result["status"], &outcome["verdict"]),
        (&"error".into(), &"rejected".into())
    );
    assert_eq!(outcome["checks"][0]["name"], "exit status: 7");
    let disclosed = world.disclosed();
    let argv = b"sh\0-c\0read x; echo out $x; echo err >&2; exit 7\0".to_vec();
    for (name, value) in [
        ("argv", argv),
        ("stdout", b"out hi\n".to_vec()),
        ("stderr", b"err\n".to_vec()),
    ] {
        assert!(disclosed.contains(&(name.to_owned(), value)), "{name}");
    }
    assert_eq!(world.agent()["state"], "stopped", "it said goodbye");
    let again = world.shell("exit 0").output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert_eq!(world.receipts("outcome")[1]["verdict"], "accepted");
    assert_eq!(world.agent()["epoch"], 2);
}

#[test]
fn what_may_not_run_is_not_run() {
    let world = World::without_lease(60_000);
    let marks = |command: &mut Command, why: &str| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
        assert!(stderr(&output).contains(why), "{why}: {}", stderr(&output));
        assert!(!world.service.scratch("agent/mark").exists());
    };
    marks(&mut world.shell("touch mark"), "has no lease");
    world.lease();
    marks(&mut world.run(&[], &["touch", "mark"]), "scope-denied");
    assert_eq!(world.agent()["state"], "stopped", "it gave up, and said so");
    marks(&mut world.run(&[], &["no-such-program"]), "no program");
    let other = [
        "run",
        "--agent",
        "other",
        "--goal",
        "g",
        "--key",
        "KEY",
        "--",
        "sh",
        "-c",
        "touch mark",
    ];
    marks(&mut world.dragons(&other), "not other");
    let mut away = world.shell("touch mark");
    marks(away.env("DRAGONS_SERVER", "http://127.0.0.1:9"), "does not");
    let size = world.service.size();
    std::fs::write(
        world.service.scratch("agent/src/work.sh"),
        "echo mischief\n",
    )
    .unwrap();
    marks(&mut world.shell("touch mark"), "the version here is");
    assert_eq!(
        world.service.size(),
        size,
        "nothing was signed as another version"
    );
}

#[test]
fn signals_pass_through_and_deaths_are_told() {
    let world = World::new();
    let trap = "trap 'echo got; exit 3' TERM; echo ready; while :; do read x; done";
    let mut running = Running::start(world.shell(trap));
    assert_eq!(running.line(), "ready\n");
    running.signal(Signal::TERM);
    assert_eq!(running.line(), "got\n");
    assert_eq!(running.end().0, Some(3));
    let output = world.shell("kill -9 $$").output().unwrap();
    assert_eq!(output.status.code(), Some(137));
}

#[test]
fn the_program_has_no_key() {
    let world = World::new();
    let script =
        "env; ls -l /proc/self/fd; ls /proc/$PPID/fd >/dev/null 2>&1 && echo readable; true";
    let mut command = world.dragons(&["run", "--goal", "test", "--", "sh", "-c", script]);
    command.env("DRAGONS_KEY", world.service.scratch("agent.pem"));
    let output = command.output().unwrap();
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(out.contains("DRAGONS_SOCKET=") && out.contains("DRAGONS_INTENT=sha256:"));
    assert!(
        !out.contains("DRAGONS_KEY") && !out.contains("agent.pem"),
        "{out}"
    );
    let open: Vec<&str> = out.lines().filter(|line| line.contains(" -> ")).collect();
    assert!(open.len() >= 3);
    let own = world.service.scratch("").display().to_string();
    assert!(!open.iter().any(|line| line.contains(&own)), "{open:?}");
    if !rustix::process::geteuid().is_root() {
        assert!(!out.contains("readable"));
    }
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    let world = World::new();
    let script = "stat -c %a \"$DRAGONS_SOCKET\" \"$(dirname \"$DRAGONS_SOCKET\")\"; echo \"$DRAGONS_SOCKET\"";
    let out = world.succeed(world.shell(script));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], ["600", "700"]);
    assert!(!Path::new(lines[2]).exists(), "it is gone with the run");
}

/// The examples of docs/agents.md, as they stand there.
#[test]
fn the_examples_of_the_document_run() {
    let world = World::new();
    let document = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agents.md"));
    let example = |language: &str| {
        let (_, rest) = document.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    for (n, (language, program)) in [
        ("sh", ["sh", "-c"]),
        ("python", ["python3", "-c"]),
        ("js", ["node", "-e"]),
    ]
    .iter()
    .enumerate()
    {
        let text = example(language);
        world.succeed(world.run(&[], &[program[0], program[1], &text]));
        let reads = world.receipts("intent");
        let reads = reads
            .iter()
            .filter(|intent| intent["scope"] == "read:README.md");
        assert_eq!(reads.count(), n + 1, "{language}");
        let results = world.receipts("result");
        assert!(
            results.iter().all(|result| result["status"] == "ok"),
            "{language}: {results:?}"
        );
        assert_eq!(results.len(), 2 * (n + 1), "{language}");
    }
    let lines = world
        .disclosed()
        .into_iter()
        .filter(|(name, _)| name == "lines");
    assert_eq!(
        lines.map(|(_, value)| value).collect::<Vec<_>>(),
        [b"2", b"2", b"8"]
    );
}

#[test]
fn the_socket_gives_permits_refusals_and_values() {
    let world = World::new();
    let script = r#"
        dragons tell '{"intent":{"scope":"read:secrets"}}' '{"intent":{"scope":"send:mail"}}' '{"nonsense":1}'; echo $?
        dragons tell '{"goal":{"title":"a part"}}' '{"progress":41}' '{"intent":{"scope":"read:README.md","inputs":{"q":"why"},"tool":"none"}}'
        dragons tell '{"intent":{"scope":"read:README.md","inputs":{"q":"why"}}}' '{"outcome":{"verdict":"accepted"}}'
        true"#;
    let out = world.succeed(world.shell(script));
    let lines: Vec<&str> = out.lines().collect();
    for (line, code) in [
        (0, "scope-denied"),
        (1, "capability-missing"),
        (2, "malformed"),
        (6, "malformed"),
        (8, "outcome-unbacked"),
    ] {
        let answer: Value = serde_json::from_str(lines[line]).unwrap();
        assert_eq!(
            (&answer["ok"], &answer["code"]),
            (&false.into(), &code.into()),
            "{}",
            lines[line]
        );
    }
    assert_eq!(lines[3], "1");
    let permit: Value = serde_json::from_str(lines[7]).unwrap();
    assert!(permit["lapses_ms"].as_u64() > permit["received_ms"].as_u64());
    let results = world.receipts("result");
    let open = results
        .iter()
        .find(|result| result["intent"] == permit["intent"])
        .unwrap();
    assert_eq!(open["status"], "error", "what was left open is closed");
    let verdicts: Vec<Value> = world
        .receipts("outcome")
        .iter()
        .map(|outcome| outcome["verdict"].clone())
        .collect();
    assert_eq!(
        verdicts,
        ["abandoned", "accepted"],
        "the part, then the whole"
    );
}

#[test]
fn a_service_that_was_away_gets_all_of_it_once() {
    let mut world = World::new();
    let address = world.service.url().trim_start_matches("http://").to_owned();
    let script = r#"
        dragons tell '{"intent":{"scope":"read:README.md"}}'; echo begun; read x
        dragons tell '{"result":{}}' '{"intent":{"scope":"read:README.md"}}'; echo away; read x; exit 4"#;
    let mut running = Running::start(world.run(&["--patience", "60s"], &["sh", "-c", script]));
    assert!(running.line().contains("\"ok\":true"));
    assert_eq!(running.line(), "begun\n");
    world.service.kill();
    running.say("go on");
    assert!(running.line().contains("\"waits\":true"));
    assert!(running.line().contains("service-away"), "no new intent");
    assert_eq!(running.line(), "away\n");
    running.say("end");
    world.restart_at(&address);
    let (code, _, err) = running.end();
    assert_eq!(code, Some(4), "{err}");
    let phases = ["goal", "intent", "result", "outcome"].map(|phase| world.receipts(phase).len());
    assert_eq!(phases, [1, 2, 2, 1], "{err}");
    assert_eq!(world.agent()["state"], "stopped");
}

#[test]
fn what_waits_is_logged_by_the_next_command() {
    let mut world = World::new();
    let address = world.service.url().trim_start_matches("http://").to_owned();
    let mut running =
        Running::start(world.run(&["--patience", "0s"], &["sh", "-c", "echo begun; read x"]));
    assert_eq!(running.line(), "begun\n");
    world.service.kill();
    let (code, _, err) = running.end();
    assert_eq!(code, Some(1), "read found the end of stdin");
    assert!(err.contains("waits in the journal"), "{err}");
    world.restart_at(&address);
    let flush = [
        "receipt", "flush", "--key", "KEY", "--trust", "TRUST", "--json",
    ];
    let flushed: Value = serde_json::from_str(&world.succeed(world.dragons(&flush))).unwrap();
    assert_eq!(
        (&flushed["waited"], &flushed["waiting"]),
        (&2.into(), &0.into())
    );
    assert_eq!(
        (
            world.receipts("result").len(),
            world.receipts("outcome").len()
        ),
        (1, 1)
    );
}

#[test]
fn a_program_ends_with_its_lease() {
    let world = World::new();
    let stubborn = "trap 'echo asked' TERM; echo ready; while :; do read x || sleep 0.01; done";
    let mut running = Running::start(world.run(&["--grace", "300ms"], &["sh", "-c", stubborn]));
    assert_eq!(running.line(), "ready\n");
    let lease = world.agent()["lease"].as_str().unwrap().parse().unwrap();
    let reason = "a test".parse().unwrap();
    let signer = world.service.signer();
    world
        .service
        .log(&signer.by_operator(Body::LeaseRevocation(LeaseRevocation { lease, reason })));
    assert_eq!(running.line(), "asked\n");
    let (code, _, err) = running.end();
    assert_eq!(code, Some(137), "{err}");
    assert_eq!(world.receipts("result")[0]["status"], "cancelled");
}

#[test]
fn a_program_ends_before_its_permit_lapses() {
    let world = World::without_lease(2_000);
    world.lease();
    let mut running = Running::start(world.shell("echo ready; exec tail -f /dev/null"));
    assert_eq!(running.line(), "ready\n");
    let (code, _, err) = running.end();
    assert_eq!(code, Some(143), "{err}");
    let (intent, result) = (world.entry_of("intent"), world.entry_of("result"));
    assert_eq!(result["payload"]["status"], "timeout");
    let took = result["received_ms"].as_u64().unwrap() - intent["received_ms"].as_u64().unwrap();
    assert!(took < 2_000, "{took} ms");
}

#[test]
fn a_run_that_was_killed_takes_its_program_along_and_is_succeeded() {
    let world = World::new();
    let mut running = Running::start(world.shell("echo $$; exec cat"));
    let pid: i32 = running.line().trim().parse().unwrap();
    let second = world.shell("exit 0").output().unwrap();
    assert_eq!(second.status.code(), Some(125));
    assert!(stderr(&second).contains("in use"), "{}", stderr(&second));
    running.signal(Signal::KILL);
    running.child.wait().unwrap();
    // cat holds the other end of its stdout: it ends when cat does, and not before.
    running.end();
    assert!(!Path::new(&format!("/proc/{pid}/exe")).exists());
    let next = world.shell("exit 0").output().unwrap();
    assert_eq!(next.status.code(), Some(0), "{}", stderr(&next));
    let results = world.receipts("result");
    assert_eq!(
        (&results[0]["status"], &results[1]["status"]),
        (&"error".into(), &"ok".into())
    );
}

#[test]
fn one_record_each_from_the_command_line() {
    let world = World::new();
    let command = |words: &[&str]| {
        let words = [words, &["--key", "KEY", "--trust", "TRUST", "--json"]].concat();
        serde_json::from_str::<Value>(&world.succeed(world.dragons(&words))).unwrap()
    };
    let goal = command(&["receipt", "goal", "--title", "count"]);
    let goal = goal["record"].as_str().unwrap();
    let permit = command(&[
        "receipt",
        "intent",
        "--goal",
        goal,
        "--scope",
        "read:README.md",
        "--input",
        "q=why",
    ]);
    let intent = permit["intent"].as_str().unwrap();
    command(&[
        "receipt",
        "result",
        "--intent",
        intent,
        "--output",
        "total=2",
        "--duration",
        "3ms",
        "--ref",
        "trace=7",
    ]);
    let beat = command(&["heartbeat", "--progress", "5"]);
    assert_eq!(beat["state"], "running");
    command(&[
        "receipt",
        "outcome",
        "--goal",
        goal,
        "--verdict",
        "accepted",
        "--check",
        "count=README.md",
    ]);
    assert_eq!(command(&["heartbeat", "--final"])["state"], "stopped");
    let result = &world.receipts("result")[0];
    assert_eq!(
        (&result["duration_ms"], &result["refs"]["trace"]),
        (&3.into(), &"7".into())
    );
    assert_eq!(world.agent()["epoch"], 1, "it was one process all along");
    let denied = [
        "receipt",
        "intent",
        "--goal",
        goal,
        "--scope",
        "read:secrets",
        "--key",
        "KEY",
        "--trust",
        "TRUST",
    ];
    let output = world.dragons(&denied).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("scope-denied"),
        "{}",
        stderr(&output)
    );
}
