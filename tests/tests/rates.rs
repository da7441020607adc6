//! What one key can do to all others: no more than its share.

use ledger::key::PrivateKey;
use ledger::record::{Body, Heartbeat, SignedRecord};
use serde_json::Value;
use tests::{Answer, Service, World, next, stderr};

fn key() -> PrivateKey {
    PrivateKey::from_seed(&[5; 32])
}

/// The beats of an agent, from the one that begins its epoch on.
struct Beats {
    service: Service,
    lease: SignedRecord,
    last: SignedRecord,
}

impl Beats {
    fn begin(service: Service) -> Self {
        let signer = service.signer();
        service.log(&signer.registration("a", &key()));
        let lease = signer.lease("a", &key());
        service.log(&lease);
        let last = signer.first_beat("a", &key(), 1, lease.hash());
        service.log(&last);
        Self {
            service,
            lease,
            last,
        }
    }

    /// So many more, as lines.
    fn lines(&mut self, count: usize) -> Vec<String> {
        let signer = self.service.signer();
        let mut lines = Vec::new();
        for _ in 0..count {
            let Body::Heartbeat(beat) = &self.last.record().body else {
                unreachable!("all are beats");
            };
            let Heartbeat { manifest_hash, .. } = **beat;
            self.last = signer.beat(next(&self.last), manifest_hash, &key());
            lines.push(self.last.envelope().to_json());
        }
        lines
    }
}

fn codes(answer: &Answer) -> Vec<String> {
    let text = answer.text();
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let said = line["code"].as_str().or(line["result"].as_str());
        said.unwrap().to_owned()
    });
    lines.collect()
}

#[test]
fn an_agent_that_floods_is_held_to_its_rate_and_its_operator_is_not() {
    let mut service = Service::new();
    service.stop();
    let mut command = service.serve_command();
    // By default 200; a machine that is busy might take no more than that anyway.
    command.env("DRAGONSD_AGENT_RECORDS_PER_S", "1");
    service.start_by(command);
    let mut beats = Beats::begin(service);
    let lines = beats.lines(3_000);
    let answer = beats.service.post_lines(&lines);
    let codes = codes(&answer);
    let logged = codes.iter().take_while(|code| *code == "logged").count();
    assert!((990..1_500).contains(&logged), "{logged}");
    let refused = codes[logged..].iter().all(|code| code == "rate-limited");
    assert!(
        refused,
        "once one is refused, those that rest on it are too"
    );
    let alone = beats.service.post(lines[logged + 1].clone());
    if alone.status == 429 {
        assert_eq!(alone.code(), "rate-limited");
        let wait: u64 = alone.header("retry-after").parse().unwrap();
        assert!((1..60).contains(&wait), "{wait}");
    }
    let stop = beats.service.signer();
    let stop = stop.stop_after("a", Some(beats.lease.hash()));
    let index = beats.service.log(&stop);
    assert!(index > logged as u64);
    let metrics = beats.service.metrics();
    let counted = "dragonsd_records_total{kind=\"heartbeat\",outcome=\"rate-limited\"}";
    assert!(metrics.contains(counted), "{metrics}");
    let refusals = "dragonsd_refusals_total{code=\"rate-limited\"}";
    assert!(!metrics.contains(refusals), "none of it is in the log");
}

#[test]
fn rates_are_settings_and_a_rate_is_told() {
    let mut service = Service::new();
    service.stop();
    let mut command = service.serve_command();
    command.env("DRAGONSD_AGENT_RECORDS_AT_ONCE", "5");
    command.env("DRAGONSD_AGENT_RECORDS_PER_S", "1");
    service.start_by(command);
    let mut beats = Beats::begin(service);
    let statuses = beats
        .lines(20)
        .into_iter()
        .map(|line| beats.service.post(line));
    let limited: Vec<Answer> = statuses.filter(|answer| answer.status != 200).collect();
    assert!(!limited.is_empty());
    let first = &limited[0];
    assert_eq!((first.status, first.code().as_str()), (429, "rate-limited"));
    assert_eq!(first.header("retry-after"), "1");
    let other = PrivateKey::from_seed(&[6; 32]);
    let signer = beats.service.signer();
    beats.service.log(&signer.registration("b", &other));
    let lease = signer.lease("b", &other);
    beats.service.log(&lease);
    beats
        .service
        .log(&signer.first_beat("b", &other, 1, lease.hash()));
}

/// 429 says that a record comes too soon, and nothing about it: the agent waits as long as it is asked to, and goes on.
#[test]
fn an_agent_that_is_too_fast_waits_and_loses_nothing() {
    let mut world = World::new();
    world.service.stop();
    let mut command = world.service.serve_command();
    command.env("DRAGONSD_AGENT_RECORDS_AT_ONCE", "2");
    command.env("DRAGONSD_AGENT_RECORDS_PER_S", "1");
    world.service.start_by(command);
    let output = world.shell("echo done").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout, b"done\n");
    for phase in ["goal", "intent", "result", "outcome"] {
        assert_eq!(world.receipts(phase).len(), 1, "{phase}");
    }
    let metrics = world.service.metrics();
    let limited = metrics.lines().filter_map(|line| {
        let (name, count) = line.rsplit_once(' ')?;
        let is_limited = name.contains("outcome=\"rate-limited\"");
        is_limited.then(|| count.parse::<u64>().unwrap())
    });
    assert!(limited.sum::<u64>() > 0, "it was never too fast");
}

/// Whoever claims an agent's name or key without having it uses up nothing of the agent's.
#[test]
fn a_forger_does_not_use_up_an_agents_rate() {
    let mut service = Service::new();
    service.stop();
    let mut command = service.serve_command();
    command.env("DRAGONSD_AGENT_RECORDS_AT_ONCE", "50");
    command.env("DRAGONSD_AGENT_RECORDS_PER_S", "1");
    service.start_by(command);
    let mut beats = Beats::begin(service);
    let sound = beats.lines(1).remove(0);
    let mut forged: Value = serde_json::from_str(&sound).unwrap();
    forged["signatures"][0]["sig"] = format!("{}==", "A".repeat(86)).into();
    for _ in 0..200 {
        let answer = beats.service.post(forged.to_string());
        assert_eq!(answer.code(), "signature-invalid");
    }
    assert_eq!(beats.service.post(sound).status, 200);
}
