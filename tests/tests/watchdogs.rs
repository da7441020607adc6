//! A real Prometheus and a real Alertmanager beside a log: they scrape an agent, watch it stall, and tell `dragons observe`.
//! `make watchdogs` runs it where both are installed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use tests::{Run, World};

const AGENT: &str = include_str!("../python/stalls.py");

const OBSERVE: &str = r#"
spool = "spool"

[[source]]
name = "am"
kind = "alertmanager"
path = "/hooks/am"
secret_file = "am.secret"

[[map]]
source = "am"
where = { alertname = "AgentStalled", agent = "worker" }
agent = "worker"
class = "stall"
"#;

const MAP: &str = r#"
[[source]]
name = "am"
every_ms = 500
slack_ms = 5000
sees = ["stall"]
rules_from = 2026-01-01T00:00:00Z
"#;

const RULES: &str = r#"
groups:
  - name: agents
    rules:
      - alert: AgentStalled
        expr: changes(agent_steps_total[3s]) == 0
        for: 1s
        labels: { severity: page }
        annotations: { summary: "no step for three seconds" }
"#;

/// A program that ends with its test.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program and waits for a line with these words. Gives what stands behind them in it.
fn started(command: &mut Command, words: &str) -> (Beside, String) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    let found = loop {
        if let Some((_, rest)) = line().split_once(words) {
            break rest
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned();
        }
    };
    // Nobody reads on: a pipe that is full must not hold it up.
    thread::spawn(move || lines.count());
    (Beside(child), found)
}

fn alertmanager(folder: &Path, receiver: &str) -> (Beside, String) {
    let config = format!(
        "route: {{ receiver: dragons, group_by: [alertname, agent], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}\n\
         receivers:\n  - name: dragons\n    webhook_configs:\n      - url: {receiver}/hooks/am\n        send_resolved: true\n        \
         http_config: {{ authorization: {{ credentials: s3cret }} }}\n"
    );
    std::fs::write(folder.join("alertmanager.yml"), config).unwrap();
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!(
            "--config.file={}",
            folder.join("alertmanager.yml").display()
        ))
        .arg(format!("--storage.path={}", folder.join("am").display()))
        .args([
            "--web.listen-address=127.0.0.1:0",
            "--cluster.listen-address=",
        ]);
    started(&mut command, "msg=\"Listening on\" address=")
}

fn prometheus(folder: &Path, alertmanager: &str, agent_port: &str) -> Beside {
    std::fs::write(folder.join("rules.yml"), RULES).unwrap();
    let config = format!(
        "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\n\
         rule_files: [rules.yml]\n\
         alerting: {{ alertmanagers: [ {{ static_configs: [ {{ targets: ['{alertmanager}'] }} ] }} ] }}\n\
         scrape_configs:\n  - job_name: agents\n    static_configs: [ {{ targets: ['127.0.0.1:{agent_port}'], labels: {{ agent: worker }} }} ]\n"
    );
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!(
            "--config.file={}",
            folder.join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("tsdb").display()
        ))
        .arg("--web.listen-address=127.0.0.1:0");
    started(&mut command, "Server is ready to receive").0
}

/// Asks the log until an observation of this event is there.
fn seen(world: &World, event: &str) -> Value {
    loop {
        let observations = world.payloads("observation");
        if let Some(seen) = observations.into_iter().find(|it| it["event"] == event) {
            return seen;
        }
        thread::yield_now();
    }
}

#[test]
fn an_agent_that_stalls_is_told_by_its_watchdog_and_by_the_log() {
    let liveness = r#"{"liveness":{"heartbeat_ms":150,"degraded_after_ms":3000,"autoheal_after_ms":600000,"tolerance_ms":1000}}"#;
    let world = World::with_charter(liveness, 60_000);
    world.write("src/stalls.py", AGENT);
    world.register();
    world.lease();
    let folder = world.service.scratch("watchdogs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(world.service.scratch("observe.toml"), OBSERVE).unwrap();
    std::fs::write(world.service.scratch("am.secret"), "s3cret").unwrap();
    let mut command = world.dragons(&["observe", "--listen", "127.0.0.1:0", "--trust", "TRUST"]);
    command
        .arg("--config")
        .arg(world.service.scratch("observe.toml"));
    command.arg("--key").arg(world.service.key("observer"));
    let mut observer = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(observer.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let receiver = line.trim().strip_prefix("listening on ").unwrap();
    let _observer = Beside(observer);

    let program = ["python3", "src/stalls.py", folder.to_str().unwrap()];
    let mut run = Run::start(world.run(&["--service"], &program));
    let port = run.line();
    let port = port.trim().strip_prefix("metrics on ").unwrap();
    let (_alertmanager, address) = alertmanager(&folder, receiver);
    let _prometheus = prometheus(&folder, &address, port);
    run.until_line("step 30");
    std::fs::write(folder.join("stall"), "").unwrap();

    let opened = seen(&world, "alert-opened");
    assert_eq!(opened["agent"], "worker");
    assert_eq!(
        opened["detail"],
        "monitor=AgentStalled class=stall severity=page"
    );
    let lost = |it: &Value| it["rule"] == "progress-lost";
    while !world.payloads("transition").iter().any(lost) {
        thread::yield_now();
    }
    std::fs::write(folder.join("go"), "").unwrap();
    let closed = seen(&world, "alert-closed");
    assert_eq!(closed["source_id"], opened["source_id"]);
    assert!(closed["ended_ms"].as_u64() > closed["began_ms"].as_u64());
    run.signal(Signal::TERM);
    let (_, _, said) = run.end();
    assert!(said.contains("the agent has recovered"), "{said}");

    let told = world.day_30(MAP, &[]);
    let cases = told["cases"].as_array().unwrap();
    let of_am = |it: &&Value| it["alerts"] != Value::Array(vec![]);
    let with_alerts: Vec<&Value> = cases.iter().filter(of_am).collect();
    let [stall] = with_alerts.as_slice() else {
        panic!("{cases:#?}");
    };
    assert_eq!(
        (&stall["class"], &stall["by"], &stall["verdict"]),
        (&"stall".into(), &"both".into(), &"incident".into())
    );
    let alert = &stall["alerts"][0];
    assert_eq!(
        (&alert["source"], &alert["monitor"]),
        (&"am".into(), &"AgentStalled".into())
    );
    assert_eq!(alert["opened_ms"], opened["began_ms"]);
    assert_eq!(alert["closed_ms"], closed["ended_ms"]);
    assert!(alert["entry"].is_u64() && alert["muted"].is_null());
    assert!(stall["lead_ms"].is_i64(), "{stall}");
    assert_eq!(
        (&stall["could_see"], &stall["rule_on_day_0"]),
        (&true.into(), &true.into())
    );
}
