//! The five states by the real clock: what the service logs by itself while an agent is silent, comes back and says
//! goodbye. The charter's clocks are short; how exactly they are kept is tested in virtual time.

use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use ledger::record::{AgentState, Body, Chain, Heartbeat, Instance, Order, SignedRecord};
use serde_json::Value;
use tests::{Events, Service, Signer, sign};

const AGENT: &str = "a";

/// A process of the agent, that beats.
struct Process<'a> {
    service: &'a Service,
    signer: &'a Signer,
    key: &'a PrivateKey,
    chain: Chain,
    /// The agent's last record before this process.
    before: Option<RecordHash>,
    /// Its last heartbeat that was logged.
    last: Option<SignedRecord>,
}

impl Process<'_> {
    fn beat(&mut self, is_final: bool) -> (SignedRecord, tests::Answer) {
        self.beat_with(|beat| beat.r#final = is_final)
    }

    fn beat_with(&mut self, change: impl FnOnce(&mut Heartbeat)) -> (SignedRecord, tests::Answer) {
        let agent = self.service.get("/v1/agents/a").json();
        let mut beat = Heartbeat {
            chain: self.chain.clone(),
            progress: self.chain.seq + 1,
            r#final: false,
            manifest_hash: agent["manifest_hash"].as_str().unwrap().parse().unwrap(),
            before: self.before.filter(|_| self.chain.seq == 0),
            seen: None,
        };
        change(&mut beat);
        let record = self.signer.record(Body::Heartbeat(Box::new(beat)));
        let record = sign(&record, &[self.key]);
        let answer = self.service.post(record.envelope().to_json());
        if answer.status == 200 {
            self.chain = tests::next(&record);
            self.last = Some(record.clone());
        }
        (record, answer)
    }

    /// Gives an order, and sends the last heartbeat again: what the process is told of the agent then.
    fn after_order(&self, to: AgentState) -> Value {
        self.service.log(&order(self.service, self.signer, to));
        let last = self.last.as_ref().unwrap();
        let answer = self.service.post(last.envelope().to_json()).json();
        assert_eq!(answer["result"], "duplicate");
        answer["agent"].clone()
    }

    /// Beats, and gives what the answer says about the agent.
    fn standing(&mut self, is_final: bool) -> Value {
        let (_, answer) = self.beat(is_final);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["agent"].clone()
    }
}

fn service(clocks: &str) -> Service {
    let directory = tempfile::tempdir().unwrap();
    let charter = directory.path().join("charter.json");
    std::fs::write(&charter, format!("{{\"liveness\":{clocks}}}")).unwrap();
    Service::with(&["--charter", charter.to_str().unwrap()], &[])
}

fn begin<'a>(service: &'a Service, signer: &'a Signer, key: &'a PrivateKey) -> Process<'a> {
    service.log(&signer.registration(AGENT, key));
    let lease = signer.lease(AGENT, key);
    service.log(&lease);
    let chain = Chain {
        agent: AGENT.parse().unwrap(),
        epoch: 1,
        instance: Instance::from_bytes([1; 8]),
        seq: 0,
        prev: lease.hash(),
    };
    Process {
        service,
        signer,
        key,
        chain,
        before: None,
        last: None,
    }
}

fn order(service: &Service, signer: &Signer, to: AgentState) -> SignedRecord {
    let known = service.get("/v1/agents/a").json();
    signer.by_operator(Body::Order(Order {
        agent: AGENT.parse().unwrap(),
        to,
        after: known["after"].as_str().map(|after| after.parse().unwrap()),
        reason: "a test".parse().unwrap(),
    }))
}

/// Reads the events of the agent until the transition by this rule, and gives all rules so far with their times.
fn until(events: &mut Events, last: &str) -> Vec<(String, u64)> {
    let mut seen = Vec::new();
    loop {
        let event = events.next().expect("a stream that goes on");
        if event.name != "transition" {
            continue;
        }
        let rule = event.data["payload"]["rule"].as_str().unwrap().to_owned();
        let received_ms = event.data["received_ms"].as_u64().unwrap();
        let found = rule == last;
        seen.push((rule, received_ms));
        if found {
            return seen;
        }
    }
}

#[test]
fn an_agent_that_falls_silent_is_healed_in_vain_and_quarantined() {
    let service = service(
        r#"{"heartbeat_ms":100,"pulse_ms":250,"degraded_after_ms":500,"autoheal_after_ms":1000,
            "heal_attempts":2,"heal_timeout_ms":300,"heal_beats":2,"tolerance_ms":250}"#,
    );
    let (signer, key) = (service.signer(), PrivateKey::from_seed(&[5; 32]));
    let mut process = begin(&service, &signer, &key);
    let mut events = service.events("/v1/events?after=0&agent=a");
    let standing = process.standing(false);
    assert_eq!(
        standing["state"], "running",
        "already in the answer to the first beat"
    );
    let rules = until(&mut events, "heal-exhausted");
    let names: Vec<&str> = rules.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(
        names,
        [
            "started",
            "pulse-lost",
            "heal-due",
            "heal-retry",
            "heal-exhausted"
        ]
    );
    let times = |from: usize, to: usize| rules[to].1 - rules[from].1;
    assert!(times(0, 1) >= 500 && times(0, 2) >= 1000, "{rules:?}");
    assert!(times(2, 3) >= 300 && times(3, 4) >= 300, "{rules:?}");
    let agent = service.get("/v1/agents/a").json();
    assert_eq!(
        (&agent["state"], &agent["ask"]),
        (&"quarantined".into(), &"stop".into())
    );
    assert_eq!(agent["epoch"], 3);
}

#[test]
fn a_process_that_was_fenced_is_refused_and_its_successor_heals() {
    let service = service(
        r#"{"heartbeat_ms":20,"pulse_ms":500,"degraded_after_ms":300000,"autoheal_after_ms":600000,
            "heal_timeout_ms":300000,"heal_beats":3,"tolerance_ms":1000}"#,
    );
    let (signer, key) = (service.signer(), PrivateKey::from_seed(&[5; 32]));
    let mut process = begin(&service, &signer, &key);
    process.standing(false);
    service.log(&order(&service, &signer, AgentState::Quarantined));
    service.log(&order(&service, &signer, AgentState::Autohealing));
    let (zombie, answer) = process.beat(false);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (409, "epoch-fenced")
    );

    let agent = service.get("/v1/agents/a").json();
    let hash = |member: &str| agent[member].as_str().unwrap().parse().unwrap();
    process.before = Some(hash("last"));
    process.chain = Chain {
        epoch: 2,
        instance: Instance::from_bytes([2; 8]),
        seq: 0,
        prev: hash("head"),
        ..process.chain
    };
    let mut beats = 0;
    while process.standing(false)["state"] == "autohealing" {
        beats += 1;
    }
    assert!(beats >= 2, "healed after {beats} beats");
    assert_eq!(process.standing(true)["state"], "stopped");

    let mut events = service.events("/v1/events?after=0&agent=a");
    let rules = until(&mut events, "finished");
    let names: Vec<&str> = rules.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(names, ["started", "healed", "finished"]);
    let refusals = service.events("/v1/events?after=0&agent=a");
    let refused = refusals.take_while(|event| event.data["payload"]["rule"] != "finished");
    let refused: Vec<Value> = refused
        .filter(|event| event.data["kind"] == "refusal")
        .map(|event| event.data["payload"].clone())
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["refused"], zombie.hash().to_string());
    assert_eq!(refused[0]["code"], "epoch-fenced");
}

/// What the service says about the agent, to its process and to everybody: state, epoch, and what is asked of it.
fn told(standing: &Value) -> [String; 3] {
    ["state", "epoch", "ask"].map(|member| standing[member].to_string().replace('"', ""))
}

#[test]
fn in_every_state_the_process_and_everybody_else_are_told_what_is_asked() {
    let service = service(
        r#"{"heartbeat_ms":20,"pulse_ms":500,"degraded_after_ms":1000,"autoheal_after_ms":600000,
            "heal_timeout_ms":300000,"heal_beats":1,"tolerance_ms":500}"#,
    );
    let (signer, key) = (service.signer(), PrivateKey::from_seed(&[5; 32]));
    let mut process = begin(&service, &signer, &key);
    let mut events = service.events("/v1/events?after=0&agent=a");
    let agent = || service.get("/v1/agents/a").json();
    assert_eq!(
        told(&agent()),
        ["stopped", "1", "go-on"],
        "a lease waits for it"
    );
    let running = process.standing(false);
    assert_eq!(told(&running), ["running", "1", "go-on"]);
    assert_eq!(told(&agent()), told(&running));
    until(&mut events, "pulse-lost");
    let degraded = agent();
    assert_eq!(told(&degraded), ["degraded", "1", "go-on"]);
    assert!(
        degraded["pulse_age_ms"].as_u64() >= Some(1_000),
        "{degraded}"
    );
    assert_eq!(degraded["lease_ends_ms"], running["lease_ends_ms"]);
    assert_eq!(
        told(&process.standing(false)),
        ["running", "1", "go-on"],
        "recovered"
    );

    let ended = process.after_order(AgentState::Quarantined);
    assert_eq!(told(&ended), ["quarantined", "1", "stop"]);
    assert_eq!(told(&agent()), told(&ended));
    let fenced = process.after_order(AgentState::Autohealing);
    assert_eq!(told(&fenced), ["autohealing", "2", "restart"]);
    assert_eq!(told(&agent()), told(&fenced));
    let stopped = process.after_order(AgentState::Stopped);
    assert_eq!(told(&stopped), ["stopped", "2", "stop"]);
    assert_eq!(told(&agent()), told(&stopped));
    assert_eq!(stopped["lease_ends_ms"], Value::Null);
}

#[test]
fn what_a_zombie_still_sends_is_told_once_and_then_counted() {
    let mut service = service("{}");
    let (signer, key) = (service.signer(), PrivateKey::from_seed(&[5; 32]));
    let mut process = begin(&service, &signer, &key);
    process.standing(false);
    for to in [AgentState::Quarantined, AgentState::Autohealing] {
        service.log(&order(&service, &signer, to));
    }
    for progress in 10..15 {
        let (record, answer) = process.beat_with(|beat| beat.progress = progress);
        assert_eq!(answer.code(), "epoch-fenced");
        let again = service.post(record.envelope().to_json());
        assert_eq!(again.code(), "epoch-fenced", "sent again, and counted once");
    }
    let refusals = |service: &Service| {
        let entries =
            (0..service.size()).map(|index| service.get(&format!("/v1/entries/{index}")).json());
        let payloads = entries
            .filter(|entry| entry["kind"] == "refusal")
            .map(|entry| entry["payload"].clone());
        let counts = payloads.map(|refusal| {
            assert_eq!(
                (&refusal["code"], &refusal["envelope"]),
                (&"epoch-fenced".into(), &Value::Null)
            );
            refusal["count"].as_u64().unwrap()
        });
        counts.collect::<Vec<u64>>()
    };
    assert_eq!(refusals(&service), [1]);
    assert_eq!(service.stop().code(), Some(0));
    service.start();
    assert_eq!(
        refusals(&service),
        [1, 4],
        "the rest at the end of the service"
    );
    let agent = service.get("/v1/agents/a").json();
    assert_eq!(
        told(&agent),
        ["autohealing", "2", "restart"],
        "they move nothing"
    );
}

#[test]
fn a_heartbeat_of_another_version_is_logged_and_quarantines() {
    let service = service("{}");
    let (signer, key) = (service.signer(), PrivateKey::from_seed(&[5; 32]));
    let mut process = begin(&service, &signer, &key);
    process.standing(false);
    let other = ledger::digest::Digest::of(&[b"another version"]);
    let (_, answer) = process.beat_with(|beat| beat.manifest_hash = other);
    let answer = answer.json();
    assert_eq!(told(&answer["agent"]), ["quarantined", "1", "stop"]);
    let index = answer["index"].as_u64().unwrap();
    let behind = service.get(&format!("/v1/entries/{}", index + 1)).json();
    assert_eq!(behind["payload"]["rule"], "manifest-drift");
    assert_eq!(behind["received_ms"], answer["received_ms"]);
}

#[test]
fn a_stream_goes_on_behind_what_was_seen_when_the_service_was_killed() {
    let mut service = Service::new();
    let (signer, key) = (service.signer(), PrivateKey::from_seed(&[5; 32]));
    let mut process = begin(&service, &signer, &key);
    process.standing(false);
    let first: Vec<tests::Event> = service.events("/v1/events?after=0").take(3).collect();
    let seen = first[2].id;
    service.kill();
    service.start();
    service.log(&signer.stop(AGENT));
    let resumed = service.events_after(seen);
    let mut rest = Vec::new();
    for event in resumed {
        let is_last = event.data["kind"] == "order";
        rest.push(event);
        if is_last {
            break;
        }
    }
    let ids: Vec<u64> = first.iter().chain(&rest).map(|event| event.id).collect();
    let last = service.size() - 1;
    assert_eq!(
        ids,
        (1..=last).collect::<Vec<u64>>(),
        "none is lost and none comes twice"
    );
}

#[test]
fn the_streams_end_and_the_service_stops_at_once() {
    let mut service = Service::new();
    let mut events = service.events("/v1/events");
    let signer = service.signer();
    service.log(&signer.registration(AGENT, &PrivateKey::from_seed(&[5; 32])));
    // A pulse may come first, or not: the stream began when it did.
    assert!(events.any(|event| event.data["kind"] == "manifest"));
    assert_eq!(service.stop().code(), Some(0));
    assert!(events.next().is_none());
    assert!(!service.stderr().contains("connections were still open"));
}
