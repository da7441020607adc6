//! A real Temporal development server beside a log: its worker stalls, Temporal's heartbeat time-out passes, and the
//! report tells what both saw. `make watchdogs` runs it where the server and Temporal's library for Python are.
//!
//! A retried time-out is not an event of a history, so the pending activities are asked for while it stalls.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use tests::{Run, World};

const WORKER: &str = include_str!("../python/temporal_worker.py");

const MAP: &str = r#"
[[source]]
name = "temporal"
sees = ["stall"]
rules_from = 2026-01-01T00:00:00Z

[[map]]
source = "temporal"
where = { workflow_type = "Books" }
agent = "worker"

[[map]]
source = "temporal"
where = { workflow_type = "Books", timeout_type = "heartbeat" }
agent = "worker"
class = "stall"
"#;

/// Temporal's development server, which ends with its test.
struct Server {
    process: Child,
    program: String,
    address: String,
}

impl Server {
    /// Starts it and waits until it says where it is.
    fn start() -> Self {
        let program = std::env::var("TEMPORAL_CLI").expect("TEMPORAL_CLI names the program");
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        drop(free);
        let mut process = Command::new(&program)
            .args(["server", "start-dev", "--headless", "--log-level", "never"])
            .args(["--ip", "127.0.0.1", "--port", &port])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let is_ready = |line: &str| line.trim_start().to_lowercase().contains("server:");
        while !is_ready(&lines.next().unwrap().unwrap()) {}
        // Nobody reads on: a pipe that is full must not hold it up.
        thread::spawn(move || lines.count());
        Self {
            process,
            program,
            address: format!("127.0.0.1:{port}"),
        }
    }

    /// What the command says about the workflow, as a file that a person would export.
    fn export(&self, verb: &str, path: &Path) -> Value {
        let output = Command::new(&self.program)
            .args(["workflow", verb, "--workflow-id", "books-7"])
            .args(["--address", &self.address, "--output", "json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        std::fs::write(path, &output.stdout).unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_worker_that_stalls_is_told_by_temporal_and_by_the_log() {
    let liveness = r#"{"liveness":{"heartbeat_ms":150,"degraded_after_ms":3000,"autoheal_after_ms":600000,"tolerance_ms":1000}}"#;
    let world = World::with_charter(liveness, 60_000);
    world.write("src/worker.py", WORKER);
    world.register();
    world.lease();
    let folder = world.service.scratch("temporal");
    std::fs::create_dir(&folder).unwrap();
    let server = Server::start();

    let python = std::env::var("TEMPORAL_PYTHON").expect("TEMPORAL_PYTHON names a Python");
    let script = "exec \"$0\" src/worker.py \"$@\"";
    let program = ["sh", "-c", script, &python, &server.address];
    let program = [program.as_slice(), &[folder.to_str().unwrap()]].concat();
    let mut run = Run::start(world.run(&["--service"], &program));
    run.until_line("step 5");
    std::fs::write(folder.join("stall"), "").unwrap();

    let lost = |it: &Value| it["rule"] == "progress-lost";
    while !world.payloads("transition").iter().any(lost) {
        thread::yield_now();
    }
    let pending = folder.join("temporal.pending.json");
    let timed_out = |it: &Value| it["pendingActivities"][0]["lastFailure"].is_object();
    while !timed_out(&server.export("describe", &pending)) {
        thread::yield_now();
    }
    std::fs::write(folder.join("go"), "").unwrap();
    run.until_line("reconciled");
    let history = folder.join("temporal.history.json");
    server.export("show", &history);
    while world.agent()["state"] != "running" {
        thread::yield_now();
    }
    run.signal(Signal::TERM);
    run.end();

    let files = [pending.to_str().unwrap(), history.to_str().unwrap()];
    let told = world.day_30(MAP, &files);
    let cases = told["cases"].as_array().unwrap();
    let stalls: Vec<&Value> = cases.iter().filter(|it| it["class"] == "stall").collect();
    let [stall] = stalls.as_slice() else {
        panic!("{cases:#?}");
    };
    assert_eq!(
        (&stall["by"], &stall["verdict"]),
        (&"both".into(), &"incident".into())
    );
    assert_eq!(stall["agent"], "worker");
    assert_eq!(
        (&stall["could_see"], &stall["rule_on_day_0"]),
        (&true.into(), &true.into())
    );
    let monitors: Vec<&str> = stall["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["monitor"].as_str().unwrap())
        .collect();
    assert!(
        monitors.contains(&"activity time-out, pending: heartbeat"),
        "{monitors:?}"
    );
    assert!(
        monitors.contains(&"activity time-out, retried: heartbeat"),
        "{monitors:?}"
    );
    // What Temporal saw ended has no receipt: it is observed only.
    assert_eq!(told["coverage"]["actions"]["observed"], 1, "{told:#}");
    let unmapped = told["inputs"].as_array().unwrap().iter();
    assert!(
        unmapped.clone().all(|it| it["unmapped"] == 0),
        "{unmapped:?}"
    );
}
