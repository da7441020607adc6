//! A flood of 20,000 spans a second for a minute through `dragons observe`, in release: `make bench-observe`. It prints
//! figures, and ends with an error if anything that was answered was lost, or anything else was logged.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ledger::key::PrivateKey;
use ledger::record::SignedRecord;
use serde_json::{Value, json};
use tests::{Answer, Process, Service, Signer, dragons, next};

const SPANS_PER_S: u64 = 20_000;

/// As an exporter's batch.
const SPANS_PER_BODY: u64 = 500;

/// Of each body: these are tools, one is a run of an agent, the rest is what frameworks trace beside.
const TOOLS_PER_BODY: u64 = 9;

const SENDERS: u64 = 4;

/// How many permits are asked for before the flood.
const PERMITS: usize = 200;

fn main() {
    let seconds = std::env::var("OBSERVE_SECONDS");
    let seconds: u64 = seconds.ok().and_then(|it| it.parse().ok()).unwrap_or(60);
    let service = Service::new();
    let signer = service.signer();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&signer.registration("worker", &key));
    let mut agent = Agent::begin(&service, &signer, key);
    let before: Vec<Duration> = (0..PERMITS).map(|_| agent.beat()).collect();
    let logged_before = service.size();

    let (mut receiver, url) = receiver(&service);
    let process = Process(receiver.id());
    let bodies = SPANS_PER_S * seconds / SPANS_PER_BODY;
    let is_over = AtomicBool::new(false);
    let started = Instant::now();
    let (answers, during) = thread::scope(|scope| {
        let permits = scope.spawn(|| {
            let mut during = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                during.push(agent.beat());
            }
            during
        });
        let (url, bodies) = (url.as_str(), bodies);
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| scope.spawn(move || send(url, sender, bodies, started)))
            .collect();
        let answers: Vec<Duration> = senders
            .into_iter()
            .flat_map(|sender| sender.join().expect("a sender"))
            .collect();
        is_over.store(true, Ordering::SeqCst);
        (answers, permits.join().expect("permits"))
    });
    let flood = started.elapsed();
    let beats = during.len() as u64;
    let status = drained(&url);
    let drain = started.elapsed();
    figures(bodies, flood, drain, process);
    latencies("an answer to a body of 500 spans", &answers);
    latencies("a permit before the flood", &before);
    latencies("a permit during the flood", &during);
    println!("status {status}");
    let expected = bodies * (TOOLS_PER_BODY + 1);
    assert_eq!(status["logged"].as_u64(), Some(expected), "{status}");
    assert!(service.size() - logged_before >= expected + beats);
    let _ = receiver.kill();
    let _ = receiver.wait();
}

fn figures(bodies: u64, flood: Duration, drain: Duration, process: Process) {
    println!(
        "{} spans in {:.1} s, {} records, drained after {:.1} s, peak memory {} MiB",
        bodies * SPANS_PER_BODY,
        flood.as_secs_f64(),
        bodies * (TOOLS_PER_BODY + 1),
        drain.as_secs_f64(),
        process.peak_bytes() >> 20
    );
}

/// An agent that beats, which goes the way of a permit.
struct Agent<'a> {
    service: &'a Service,
    signer: &'a Signer,
    key: PrivateKey,
    last: SignedRecord,
    manifest_hash: ledger::digest::Digest,
}

impl<'a> Agent<'a> {
    fn begin(service: &'a Service, signer: &'a Signer, key: PrivateKey) -> Self {
        let lease = signer.lease("worker", &key);
        service.log(&lease);
        let last = signer.first_beat("worker", &key, 1, lease.hash());
        service.log(&last);
        let manifest_hash = match &last.record().body {
            ledger::record::Body::Heartbeat(beat) => beat.manifest_hash,
            _ => unreachable!("it is a heartbeat"),
        };
        Self {
            service,
            signer,
            key,
            last,
            manifest_hash,
        }
    }

    /// One record, durable and proven, and a pause.
    fn beat(&mut self) -> Duration {
        let beat = self
            .signer
            .beat(next(&self.last), self.manifest_hash, &self.key);
        let start = Instant::now();
        self.service.log(&beat);
        let took = start.elapsed();
        self.last = beat;
        thread::sleep(Duration::from_millis(20));
        took
    }
}

fn receiver(service: &Service) -> (Child, String) {
    let config = service.scratch("observe.toml");
    let text = "spool = \"spool\"\n[[map]]\nsource = \"otlp\"\nwhere = { service.name = \"flood\" }\nagent = \"worker\"\n";
    std::fs::write(&config, text).expect("a file");
    let mut receiver = dragons()
        .command()
        .args([
            "observe",
            "--listen",
            "127.0.0.1:0",
            "--server",
            service.url(),
        ])
        .arg("--config")
        .arg(config)
        .arg("--trust")
        .arg(service.trust())
        .arg("--key")
        .arg(service.key("observer"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("a receiver");
    let mut line = String::new();
    let stdout = receiver.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let url = line
        .trim()
        .strip_prefix("listening on ")
        .expect("an address");
    (receiver, url.to_owned())
}

/// Sends one sender's share, each body when it is due.
fn send(url: &str, sender: u64, bodies: u64, started: Instant) -> Vec<Duration> {
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let every = Duration::from_secs(1) / u32::try_from(SPANS_PER_S / SPANS_PER_BODY).unwrap_or(1);
    let mine = (0..bodies).filter(|number| number % SENDERS == sender);
    let mut answers = Vec::new();
    for number in mine {
        let body = body(number);
        let due = every * u32::try_from(number).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_sub(started.elapsed()));
        loop {
            let start = Instant::now();
            let request = client.post(format!("{url}/v1/traces"));
            let request = request.header("content-type", "application/json");
            let answer = Answer::of(request.body(body.clone()));
            if answer.status == 200 {
                answers.push(start.elapsed());
                break;
            }
            // What was refused is sent again, as exporters do.
            assert!(matches!(answer.status, 429 | 503), "{}", answer.text());
            thread::sleep(Duration::from_millis(100));
        }
    }
    answers
}

fn body(number: u64) -> String {
    let spans = (0..SPANS_PER_BODY).map(|at| span(number, at));
    let resource = json!({"attributes": [attribute("service.name", "flood")]});
    let scope = json!({"scope": {"name": "flood"}, "spans": spans.collect::<Vec<_>>()});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}).to_string()
}

fn span(number: u64, at: u64) -> Value {
    let (name, operation) = match at {
        0..TOOLS_PER_BODY => ("execute_tool read_ledger", "execute_tool"),
        TOOLS_PER_BODY => ("invoke_agent worker", "invoke_agent"),
        _ => ("chat model", "chat"),
    };
    let start = 1_795_982_102_000_000_000 + number * 1_000_000 + at;
    json!({
        "traceId": format!("{:032x}", number + 1),
        "spanId": format!("{:016x}", at + 1),
        "parentSpanId": format!("{:016x}", 999),
        "name": name,
        "startTimeUnixNano": start.to_string(),
        "endTimeUnixNano": (start + 5_000_000).to_string(),
        "attributes": [
            attribute("gen_ai.operation.name", operation),
            attribute("gen_ai.tool.name", "read_ledger"),
            attribute("gen_ai.conversation.id", "conversation"),
            attribute("gen_ai.prompt", "Reconcile the ledger of the month, and say what does not add up. "),
        ],
        "status": {"code": 1},
    })
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Waits until the log has everything.
fn drained(url: &str) -> Value {
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    loop {
        let status = Answer::of(client.get(format!("{url}/status"))).json();
        if status["drained"] == true {
            return status;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn latencies(what: &str, samples: &[Duration]) {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    let at = |share: usize| samples[(samples.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "{what:<34} p50 {:7.3} ms   p99 {:7.3} ms   of {}",
        at(50),
        at(99),
        samples.len()
    );
}
