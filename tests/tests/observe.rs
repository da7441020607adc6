//! `dragons observe` with a real log: what other tools send becomes observations, once each, also when something dies on
//! the way.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use reqwest::blocking::Body;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{Answer, World};

const VERCEL: &str = include_str!("../samples/otlp/vercel-ai-sdk-001-traces.json");
const CLAUDE_SPANS: &str = include_str!("../samples/otlp/claude-code-2.1.332-002-traces.json");
const CLAUDE_EVENTS: &str = include_str!("../samples/otlp/claude-code-2.1.332-001-logs.json");
const CODEX: &[u8] = include_bytes!("../samples/otlp/codex-0.171.0-002-traces.json.gz");
const FIRING: &str = include_str!("../samples/alerts/alertmanager-0.25-webhook-1.json");
const RESOLVED: &str = include_str!("../samples/alerts/alertmanager-0.25-webhook-2.json");

const CONFIG: &str = r#"
spool = "spool"

[[source]]
name = "am"
kind = "alertmanager"
path = "/hooks/am"

[[source]]
name = "pager"
kind = "pagerduty"
path = "/hooks/pager"
secret_file = "pager.secret"

[[map]]
source = "am"
where = { alertname = "AgentHeartbeatMissing", agent = "reconciler" }
agent = "worker"
class = "silence"

[[map]]
source = "pager"
where = { service = "payments" }
agent = "worker"

[[map]]
source = "otlp"
where = { service.name = "treasury-agents" }
agent = "worker"

[[map]]
source = "otlp"
where = { service.name = "claude-code" }
agent = "worker"

[[map]]
source = "otlp"
where = { service.name = "nobody" }
agent = "unregistered"
"#;

/// A receiver, which ends with its test.
struct Receiver {
    process: Child,
    url: String,
    client: reqwest::blocking::Client,
}

impl Receiver {
    fn start(world: &World, more: &[&str]) -> Self {
        started(&mut command(world, more))
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url)).body(body);
        let headers = headers.iter();
        Answer::of(headers.fold(request, |it, (name, value)| it.header(*name, *value)))
    }

    fn json(&self, path: &str, body: &str) -> Answer {
        self.post(
            path,
            &[("content-type", "application/json")],
            body.to_owned(),
        )
    }

    fn status(&self) -> Value {
        Answer::of(self.client.get(format!("{}/status", self.url))).json()
    }

    /// Asks until something holds.
    fn until(&self, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let status = self.status();
            if holds(&status) {
                return status;
            }
            thread::yield_now();
        }
    }

    fn drained(&self) -> Value {
        self.until(|status| status["drained"] == true)
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(world: &World, more: &[&str]) -> Command {
    let config = world.service.scratch("observe.toml");
    let mut command = world.dragons(&["observe", "--listen", "127.0.0.1:0", "--trust", "TRUST"]);
    command.arg("--config").arg(config);
    command
        .arg("--key")
        .arg(world.service.key("observer"))
        .args(more);
    command
}

fn world(config: &str) -> World {
    let world = World::without_lease(60_000);
    std::fs::write(world.service.scratch("observe.toml"), config).unwrap();
    std::fs::write(world.service.scratch("pager.secret"), "secret\n").unwrap();
    world
}

/// What the log has been told: event, status, call.
fn told(world: &World) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let payloads = world.payloads("observation");
    let row = |it: &Value| (text(&it["event"]), text(&it["status"]), text(&it["call"]));
    payloads.iter().map(row).collect()
}

fn row(event: &str, status: &str, call: &str) -> (String, String, String) {
    (event.to_owned(), status.to_owned(), call.to_owned())
}

#[test]
fn what_tools_send_is_logged_once_and_signed_by_the_observer() {
    let world = world(CONFIG);
    let receiver = Receiver::start(&world, &[]);
    for _ in 0..2 {
        let answer = receiver.json("/v1/traces", VERCEL);
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    }
    // In pieces, as a body without a length comes.
    let pieces = Body::new(std::io::Cursor::new(CLAUDE_SPANS));
    let json = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(receiver.post("/v1/traces", &json, pieces).status, 200);
    assert_eq!(receiver.json("/v1/logs", CLAUDE_EVENTS).status, 200);
    let gzip = [json[0], ("content-encoding", "gzip")];
    assert_eq!(receiver.post("/v1/traces", &gzip, CODEX).status, 200);
    let protobuf = [("content-type", "application/x-protobuf")];
    let answer = receiver.post("/v1/metrics", &protobuf, "anything");
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    for alert in [FIRING, FIRING, RESOLVED] {
        assert_eq!(receiver.json("/hooks/am", alert).status, 200);
    }
    let status = receiver.drained();
    assert_eq!(status["unmapped"], serde_json::json!({"otlp": 1}));
    assert_eq!(status["logged"], 8);
    assert_eq!(
        told(&world),
        [
            row("tool-ended", "error", "call_2"),
            row("tool-ended", "ok", "call_1"),
            row("agent-ran", "ok", "-"),
            row("tool-ended", "ok", "toolu_0_0"),
            row("tool-ended", "error", "toolu_1_0"),
            row("tool-denied", "denied", "toolu_2_0"),
            row("alert-opened", "-", "-"),
            row("alert-closed", "-", "-"),
        ]
    );
    let alerts = world.payloads("observation");
    let (opened, closed) = (&alerts[6], &alerts[7]);
    assert_eq!(opened["source_id"], closed["source_id"]);
    let detail = "monitor=AgentHeartbeatMissing class=silence severity=page";
    assert_eq!(opened["detail"], detail);
    assert_eq!(closed["ended_ms"], 1_795_983_168_000_u64);
    let unmapped = tests::read(&world.service.scratch("spool/unmapped.jsonl"));
    assert!(unmapped.contains("codex_exec") && !unmapped.contains("cat a.txt"));
    receiver.stop();
    world.blames_nobody();
}

#[test]
fn what_was_answered_outlives_a_kill_and_a_log_that_is_away() {
    let mut world = world(CONFIG);
    let address = world.address();
    world.service.stop();
    let mut receiver = started(&mut command_at(&world, &address));
    assert_eq!(receiver.json("/v1/traces", VERCEL).status, 200);
    assert_eq!(receiver.json("/hooks/am", FIRING).status, 200);
    receiver.kill();
    let mut receiver = started(&mut command_at(&world, &address));
    // What was answered before is known: the spool has it.
    assert_eq!(receiver.json("/v1/traces", VERCEL).status, 200);
    world.service.start_at(&address);
    receiver.drained();
    assert_eq!(told(&world).len(), 4);
    receiver.kill();
    let receiver = started(&mut command_at(&world, &address));
    assert_eq!(receiver.json("/v1/traces", VERCEL).status, 200);
    assert_eq!(receiver.json("/hooks/am", RESOLVED).status, 200);
    receiver.drained();
    assert_eq!(told(&world).len(), 5);
    receiver.stop();
}

fn command_at(world: &World, address: &str) -> Command {
    let mut command = tests::dragons().command();
    let server = format!("http://{address}");
    command.args(["observe", "--listen", "127.0.0.1:0", "--server", &server]);
    command.arg("--trust").arg(world.service.trust());
    command.arg("--key").arg(world.service.key("observer"));
    command
        .arg("--config")
        .arg(world.service.scratch("observe.toml"));
    command
}

fn started(command: &mut Command) -> Receiver {
    let mut process = command
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = process.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let url = line.trim_end().strip_prefix("listening on ");
    let _ = rustls::crypto::ring::default_provider().install_default();
    Receiver {
        url: url.expect("an address").to_owned(),
        process,
        client: reqwest::blocking::Client::builder()
            .no_proxy()
            .build()
            .unwrap(),
    }
}

/// The spans of the sample with ids of their own, so that each request says something new.
fn spans(number: usize) -> String {
    let id = format!("{number:032x}");
    let body = VERCEL.replace("2904ce612e6ddfc534d05a67b2c40150", &id);
    body.replace("conv-42", &format!("conv-{number}"))
}

#[test]
fn a_full_spool_refuses_and_what_it_took_is_logged() {
    let small = CONFIG.replace(
        "spool = \"spool\"",
        "spool = \"spool\"\nspool_max_bytes = 20000",
    );
    let mut world = world(&small);
    let address = world.address();
    world.service.stop();
    let receiver = started(&mut command_at(&world, &address));
    let mut answers = (1..).map(|number| receiver.json("/v1/traces", &spans(number)));
    let taken = answers.by_ref().take_while(|it| it.status == 200).count();
    assert!(taken > 0);
    let refused = receiver.json("/v1/traces", &spans(1_000_000));
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "10");
    assert_eq!(refused.json()["message"], "the spool is full");
    // What it has already it takes again.
    assert_eq!(receiver.json("/v1/traces", &spans(1)).status, 200);
    world.service.start_at(&address);
    receiver.drained();
    assert_eq!(told(&world).len(), 3 * taken);
}

/// The head of a request, and its body.
type Received = (String, Vec<u8>);

/// Somebody who has received for years: answers every request alike, and keeps what came.
fn incumbent(requests: usize) -> (String, JoinHandle<Vec<Received>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = "HTTP/1.1 202 Accepted\r\nx-incumbent: yes\r\ncontent-length: 3\r\nconnection: close\r\n\r\nyes";
    let thread = thread::spawn(move || (0..requests).map(|_| one(&listener, answer)).collect());
    (url, thread)
}

fn one(listener: &TcpListener, answer: &str) -> Received {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    let length = head.to_lowercase();
    let length = length.split("content-length: ").nth(1).unwrap();
    let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    reader.into_inner().write_all(answer.as_bytes()).unwrap();
    (head, body)
}

#[test]
fn a_tee_passes_bytes_on_and_its_own_fullness_becomes_a_gap() {
    let small = CONFIG.replace(
        "spool = \"spool\"",
        "spool = \"spool\"\nspool_max_bytes = 20000",
    );
    let mut world = world(&small);
    let address = world.address();
    world.service.stop();
    const REQUESTS: usize = 24;
    let (url, incumbent) = incumbent(REQUESTS + 1);
    let mut command = command_at(&world, &address);
    let receiver = started(command.args(["--forward", &url]));
    let bodies: Vec<String> = (1..=REQUESTS).map(spans).collect();
    for body in &bodies {
        let answer = receiver.json("/v1/traces?x=1", body);
        assert_eq!((answer.status, answer.text().as_str()), (202, "yes"));
        assert_eq!(answer.header("x-incumbent"), "yes");
    }
    let gzip = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("authorization", "Bearer theirs"),
    ];
    assert_eq!(receiver.post("/v1/traces", &gzip, CODEX).status, 202);
    let passed = incumbent.join().unwrap();
    assert!(
        passed[0].0.starts_with("POST /v1/traces?x=1 HTTP/1.1\r\n"),
        "{}",
        passed[0].0
    );
    let sent = bodies.iter().map(|it| it.as_bytes()).chain([CODEX]);
    assert!(passed.iter().map(|(_, body)| body.as_slice()).eq(sent));
    assert!(passed[REQUESTS].0.contains("authorization: Bearer theirs"));
    let lost = receiver.until(|status| status["lost"]["otlp"].as_u64().is_some());
    assert!(lost["lost"]["otlp"].as_u64() > Some(0));
    world.service.start_at(&address);
    receiver.drained();
    let told = told(&world);
    let gaps = told
        .iter()
        .filter(|(event, ..)| event == "source-gap")
        .count();
    assert!(gaps > 0, "{told:?}");
    let gap = world.payloads("observation");
    let gap = gap.iter().find(|it| it["event"] == "source-gap").unwrap();
    assert!(
        gap["detail"].as_str().unwrap().ends_with("+20lost"),
        "{gap}"
    );
    assert_eq!(gap["agent"], "worker");
}

#[test]
fn a_hole_in_a_counter_is_told_to_the_log() {
    let world = world(CONFIG);
    let receiver = Receiver::start(&world, &[]);
    let mut body: Value = serde_json::from_str(CLAUDE_EVENTS).unwrap();
    let records = &mut body["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    records.as_array_mut().unwrap().remove(4);
    assert_eq!(receiver.json("/v1/logs", &body.to_string()).status, 200);
    receiver.until(|status| status["observations"] == 3 && status["drained"] == true);
    let gap = world.payloads("observation").pop().unwrap();
    assert_eq!(
        (gap["event"].as_str(), gap["agent"].as_str()),
        (Some("source-gap"), Some("worker"))
    );
    assert!(
        gap["source_id"].as_str().unwrap().ends_with("/4-4"),
        "{gap}"
    );
}

#[test]
fn what_is_not_to_be_read_is_refused_in_the_form_of_the_request() {
    let world = world(CONFIG);
    let receiver = Receiver::start(&world, &[]);
    let answer = receiver.json("/v1/traces", "{\"resourceSpans\":7}");
    assert_eq!(
        (answer.status, answer.json()["code"].as_u64()),
        (400, Some(3))
    );
    let protobuf = [("content-type", "application/x-protobuf")];
    let answer = receiver.post("/v1/logs", &protobuf, "\n\u{7f}");
    assert_eq!((answer.status, answer.body.first()), (400, Some(&0x08)));
    let text = [("content-type", "text/plain")];
    assert_eq!(receiver.post("/v1/traces", &text, "x").status, 415);
    let brotli = [
        ("content-type", "application/json"),
        ("content-encoding", "br"),
    ];
    assert_eq!(receiver.post("/v1/traces", &brotli, "x").status, 415);
    assert_eq!(receiver.json("/hooks/am", "{}").status, 400);
    assert_eq!(receiver.json("/hooks/none", FIRING).status, 404);
    let no_id = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}"#;
    let answer = receiver.json("/v1/traces", no_id);
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "1");
    let unregistered = VERCEL.replace("treasury-agents", "nobody");
    assert_eq!(receiver.json("/v1/traces", &unregistered).status, 200);
    assert_eq!(receiver.drained()["refused"], 3);
    let refused = tests::read(&world.service.scratch("spool/refused.jsonl"));
    assert!(refused.contains("agent-unknown"), "{refused}");
}

#[test]
fn a_pager_shows_that_it_knows_the_secret() {
    let world = world(CONFIG);
    let receiver = Receiver::start(&world, &[]);
    let body = r#"{"event":{"id":"e","event_type":"incident.triggered","occurred_at":"2026-11-29T20:00:00Z","data":{"id":"P1","type":"incident","title":"silent","urgency":"high","created_at":"2026-11-29T20:00:00Z","service":{"id":"S","summary":"payments"}}}}"#;
    let path = world.service.scratch("body");
    std::fs::write(&path, body).unwrap();
    let output = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", "secret", "-r"])
        .arg(path)
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let hex = output.split(' ').next().unwrap();
    let post = |signature: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("x-pagerduty-signature", signature),
        ];
        receiver.post("/hooks/pager", &headers, body).status
    };
    assert_eq!(post(&format!("v1={}", hex.replace('a', "b"))), 401);
    assert_eq!(post("v1=00"), 401);
    assert_eq!(post(&format!("v1={hex}")), 200);
    receiver.drained();
    assert_eq!(told(&world), [row("alert-opened", "-", "-")]);
}

#[test]
fn two_receivers_do_not_share_a_spool() {
    let world = world(CONFIG);
    let _receiver = Receiver::start(&world, &[]);
    let second = command(&world, &[]).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another receiver uses the spool"), "{said}");
}

/// Traces of one tool come in one way, logs of another: each under the name that the configuration gives it.
#[test]
fn traces_and_logs_may_have_sources_of_their_own() {
    let own = |name: &str, path: &str| {
        format!("[[source]]\nname = \"{name}\"\nkind = \"otlp\"\npath = \"{path}\"\n")
    };
    let rule = |source: &str, service: &str| {
        format!(
            "[[map]]\nsource = \"{source}\"\nwhere = {{ service.name = \"{service}\" }}\nagent = \"worker\"\n"
        )
    };
    let config = [
        own("tracer", "/v1/traces"),
        own("logger", "/v1/logs"),
        rule("tracer", "treasury-agents"),
        rule("logger", "claude-code"),
    ];
    let world = world(&format!("spool = \"spool\"\n{}", config.concat()));
    let receiver = Receiver::start(&world, &[]);
    assert_eq!(receiver.json("/v1/traces", VERCEL).status, 200);
    assert_eq!(receiver.json("/v1/logs", CLAUDE_EVENTS).status, 200);
    // What a source of traces may say, a source of logs may not.
    assert_eq!(receiver.json("/v1/traces", CLAUDE_SPANS).status, 200);
    let status = receiver.drained();
    assert_eq!(status["unmapped"], serde_json::json!({"tracer": 3}));
    let payloads = world.payloads("observation");
    let of = |source: &str| {
        let its = payloads.iter().filter(|it| it["source"] == source);
        its.count()
    };
    assert_eq!((of("tracer"), of("logger"), of("otlp")), (3, 2, 0));
    receiver.stop();
}

/// A body that announces all the room there is and does not arrive: other senders are asked to come back until it is gone.
#[test]
fn too_much_at_once_is_told_to_come_back() {
    let world = world(CONFIG);
    let receiver = Receiver::start(&world, &[]);
    let address = receiver.url.strip_prefix("http://").unwrap();
    let mut slow = std::net::TcpStream::connect(address).unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 104857600\r\n\r\n{";
    slow.write_all(head.as_bytes()).unwrap();
    let until = |wanted: u16| loop {
        let answer = receiver.json("/v1/traces", VERCEL);
        match answer.status {
            it if it == wanted => break answer,
            200 | 429 => thread::yield_now(),
            it => panic!("{it}"),
        }
    };
    let busy = until(429);
    assert_eq!(busy.header("retry-after"), "10");
    assert_eq!(busy.json()["message"], "too much is being read at once");
    drop(slow);
    until(200);
    receiver.drained();
    assert_eq!(told(&world).len(), 3);
}

/// Somebody between the receiver and the log who says "later" to the first requests, and passes the rest on.
fn putting_off(requests: usize, log: String) -> String {
    const LATER: &str = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/problem+json\r\nretry-after: 0\r\n\
                         connection: close\r\ncontent-length: 36\r\n\r\n{\"status\":429,\"code\":\"rate-limited\"}";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for _ in 0..requests {
            one(&listener, LATER);
        }
        for inner in listener.incoming() {
            let inner = inner.unwrap();
            let outer = std::net::TcpStream::connect(&log).unwrap();
            for (mut from, mut to) in [
                (inner.try_clone().unwrap(), outer.try_clone().unwrap()),
                (outer, inner),
            ] {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    url
}

#[test]
fn a_log_that_puts_an_observer_off_gets_everything_once() {
    let world = world(CONFIG);
    let between = putting_off(2, world.address());
    let between = between.strip_prefix("http://").unwrap();
    let receiver = started(&mut command_at(&world, between));
    assert_eq!(receiver.json("/v1/traces", VERCEL).status, 200);
    let status = receiver.drained();
    assert_eq!(
        (&status["logged"], &status["refused"]),
        (&3.into(), &0.into())
    );
    assert_eq!(told(&world).len(), 3);
    receiver.stop();
}

/// Each batch has the time that so many records take at the observer's rate, and only then the next one goes out.
#[test]
fn the_spool_drains_no_faster_than_the_observers_own_rate() {
    let slow = "spool = \"spool\"\nrecords_per_s = 3";
    let world = world(&CONFIG.replace("spool = \"spool\"", slow));
    let receiver = Receiver::start(&world, &[]);
    let begun = std::time::Instant::now();
    for number in 1..=2 {
        assert_eq!(receiver.json("/v1/traces", &spans(number)).status, 200);
        receiver.drained();
    }
    assert!(begun.elapsed() >= std::time::Duration::from_secs(2));
    assert_eq!(told(&world).len(), 6);
}

#[test]
fn alerts_that_were_left_out_of_a_webhook_are_a_gap_in_the_log() {
    let world = world(CONFIG);
    let receiver = Receiver::start(&world, &[]);
    let cut = FIRING.replace("\"truncatedAlerts\":0", "\"truncatedAlerts\":7");
    assert_eq!(receiver.json("/hooks/am", &cut).status, 200);
    assert_eq!(receiver.json("/hooks/am", &cut).status, 200);
    receiver.drained();
    let rows = [row("alert-opened", "-", "-"), row("source-gap", "-", "-")];
    assert_eq!(told(&world), rows);
    let gap = world.payloads("observation").pop().unwrap();
    assert_eq!(gap["agent"], "worker");
    assert!(
        gap["detail"]
            .as_str()
            .unwrap()
            .starts_with("monitor=7+20alerts"),
        "{gap}"
    );
}

#[test]
fn a_check_says_what_files_would_become_and_logs_nothing() {
    let world = world(CONFIG);
    let config = world.service.scratch("observe.toml");
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let before = world.service.size();
    let check = |files: &[&str]| {
        let mut command = world.dragons(&["observe", "check", "--json"]);
        command.arg("--config").arg(&config);
        command.args(files.iter().map(|file| samples.join(file)));
        let output = command.output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let told: Vec<Value> = serde_json::Deserializer::from_str(&lines)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        (output.status.code(), told)
    };
    let (code, told) = check(&[
        "alerts/alertmanager-0.25-webhook-2.json",
        "otlp/vercel-ai-sdk-001-traces.json",
    ]);
    assert_eq!(code, Some(0));
    let row = |it: &Value| {
        let mapped = it["mapped"].as_array().unwrap().len();
        let source = it["source"].as_str().unwrap().to_owned();
        (source, mapped, it["records"].as_u64().unwrap())
    };
    let rows: Vec<_> = told.iter().map(row).collect();
    assert_eq!(rows, [("am".to_owned(), 1, 2), ("otlp".to_owned(), 3, 3)]);
    assert_eq!(told[0]["mapped"][0]["class"], "silence");
    let (code, told) = check(&["otlp/codex-0.171.0-002-traces.json.gz"]);
    assert_eq!((code, told[0]["items"].as_u64()), (Some(1), Some(512)));
    assert_eq!(told[0]["unmapped"].as_array().map(Vec::len), Some(1));
    assert_eq!(check(&["../Cargo.toml"]).0, Some(2));
    assert_eq!(world.service.size(), before);
    assert!(!world.service.scratch("spool").exists(), "nothing is kept");
}
