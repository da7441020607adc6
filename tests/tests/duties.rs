//! What the control plane logs by itself while real programs run, and what the rest of the world sees of it: the
//! answers, the log, and the replay of it offline.

use serde_json::Value;
use tests::{Event, Events, Run, World};

fn events(world: &World) -> Events {
    world.service.events("/v1/events?after=0&agent=worker")
}

fn rules(world: &World) -> Vec<String> {
    let transitions = world.payloads("transition").into_iter();
    transitions.map(|one| text(&one["rule"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn is_kind(event: &Event, kind: &str) -> bool {
    event.data["kind"] == kind
}

/// Lets the program put out a line, which is progress, and waits until a heartbeat has told of it.
fn move_on(run: &mut Run, log: &mut Events, lines: &mut u64) -> Event {
    run.say("on");
    assert_eq!(run.line(), "on\n");
    *lines += 1;
    log.until(|event| event.data["payload"]["progress"].as_u64() >= Some(*lines))
}

#[test]
fn a_lease_is_renewed_for_an_agent_that_moves_and_ends_by_itself_when_it_stands_still() {
    let world = World::without_lease(60_000);
    world.lease_by(&["--for", "4s", "--renewable", "1h"]);
    let expires_ms = number(&world.agent()["lease_ends_ms"]);
    let mut run = Run::start(world.shell("while read x; do echo $x; done; exec tail -f /dev/null"));
    let (mut log, mut lines) = (events(&world), 0);
    while number(&move_on(&mut run, &mut log, &mut lines).data["received_ms"]) < expires_ms {}
    let agent = world.agent();
    assert_eq!(
        (&agent["state"], &agent["epoch"]),
        (&"running".into(), &1.into())
    );
    assert!(number(&agent["lease_ends_ms"]) > expires_ms);
    // It beats on and does nothing more. Its own clock or the log may be the first to tell it that the lease is over.
    run.until("ending the program: ");
    assert_eq!(run.end().0, Some(143));
    let rules = rules(&world);
    // Where its goodbye comes before the clock's transition there is nothing left to degrade.
    let ended = [
        &["started", "lease-ended", "finished"][..],
        &["started", "finished"],
    ];
    assert!(ended.iter().any(|end| rules == *end), "{rules:?}");
    check_renewals(&world, expires_ms);
    world.blames_nobody();
}

/// Each is control's, stands behind a record of the agent, and gives the length of the lease from then.
fn check_renewals(world: &World, expires_ms: u64) {
    let (entries, mut ends_ms) = (world.entries(), expires_ms);
    let keyid = |entry: &Value| entry["envelope"]["signatures"][0]["keyid"].clone();
    let pulse = entries
        .iter()
        .find(|entry| entry["kind"] == "pulse")
        .unwrap();
    let lease = entries.iter().find(|entry| entry["kind"] == "lease");
    // From when it was logged: it does not begin later.
    let length_ms = expires_ms - number(&lease.unwrap()["received_ms"]);
    let renewals = entries
        .windows(2)
        .filter(|two| two[1]["kind"] == "lease-renewal");
    let renewals: Vec<&[Value]> = renewals.collect();
    assert!(!renewals.is_empty());
    for two in renewals {
        let (cause, renewal) = (&two[0], &two[1]);
        assert_eq!(keyid(renewal), keyid(pulse));
        assert_eq!(cause["payload"]["agent"], "worker");
        assert_eq!(cause["received_ms"], renewal["received_ms"]);
        let received_ms = number(&renewal["received_ms"]);
        assert!(
            ends_ms - received_ms < length_ms / 2,
            "less than half of it is left"
        );
        ends_ms = number(&renewal["payload"]["expires_ms"]);
        assert_eq!(ends_ms, received_ms + length_ms);
    }
}

/// Asks for what its lease does not hold as often as it is told to, then for what it does.
const DENIED: &str = r#"echo up; read x
    for n in 1 2 3; do dragons tell "{\"intent\":{\"scope\":\"read:secrets/$n\"}}"; done
    read x; echo never"#;

fn denied(run: &mut Run) {
    assert_eq!(run.line(), "up\n");
    run.say("ask");
    // The answer to the third may find nobody any more.
    for _ in 0..2 {
        let line = run.line();
        assert!(line.contains("scope-denied"), "{line}");
    }
}

/// The third denial quarantines: the run learns it from the denial, not from a beat that comes a minute later.
#[test]
fn denials_end_the_program_at_once() {
    let world = World::with_charter(r#"{"limits":{"denials_max":3}}"#, 60_000);
    world.lease();
    let mut run = Run::start(world.shell(DENIED));
    denied(&mut run);
    run.until("ending the program: the agent is quarantined");
    run.until("not started again: the agent is quarantined");
    assert_eq!(run.end().0, Some(143));
    assert_eq!(rules(&world), ["started", "denials"]);
    let refusals = world.payloads("refusal").into_iter();
    let denials: Vec<Value> = refusals
        .filter(|one| one["code"] == "scope-denied")
        .collect();
    assert_eq!(denials.len(), 3);
    for denial in denials {
        assert_eq!((&denial["count"], &denial["epoch"]), (&1.into(), &1.into()));
        assert_eq!(denial["phase"], "intent");
        assert!(
            denial["envelope"]["payload"].is_string(),
            "for the replay to judge again"
        );
    }
    let agent = world.agent();
    assert_eq!(
        (&agent["state"], &agent["ask"]),
        (&"quarantined".into(), &"stop".into())
    );
    world.blames_nobody();
}

#[test]
fn an_agent_that_was_quarantined_works_again_once_it_is_released() {
    let charter = r#"{"limits":{"denials_max":3},"liveness":{"heartbeat_ms":100}}"#;
    let world = World::with_charter(charter, 60_000);
    world.lease();
    let mut run = Run::start(world.shell(DENIED));
    denied(&mut run);
    run.until("not started again: the agent is quarantined");
    run.end();
    let refused = world.shell("echo never").output().unwrap();
    assert_eq!(refused.status.code(), Some(125));
    assert!(refused.stdout.is_empty());
    world.order("release");
    let agent = world.agent();
    assert_eq!(
        (&agent["state"], &agent["epoch"]),
        (&"autohealing".into(), &2.into())
    );
    assert_eq!(agent["ask"], "restart");
    let mut next = Run::start(world.shell("echo works"));
    next.until("the agent is healed");
    assert_eq!(next.line(), "works\n");
    assert_eq!(next.end().0, Some(0));
    assert_eq!(rules(&world), ["started", "denials", "healed", "finished"]);
    world.blames_nobody();
}

/// Silence is noticed after half a second, and healed after one; two denials are too many.
const OBSERVED: &str = r#"{"mode":"observe","limits":{"denials_max":2},
    "liveness":{"heartbeat_ms":100,"pulse_ms":500,"degraded_after_ms":500,"autoheal_after_ms":1000,"tolerance_ms":250}}"#;

#[test]
fn a_log_that_observes_tells_breaches_and_logs_transitions_that_bind_nobody() {
    let world = World::with_charter(OBSERVED, 60_000);
    world.lease();
    let script = r#"echo up; read x
        for n in 1 2 3; do dragons tell "{\"intent\":{\"scope\":\"read:secrets/$n\"}}" '{"result":{}}'; done; read x; echo still here"#;
    let mut run = Run::start(world.shell(script));
    assert_eq!(run.line(), "up\n");
    let mut log = events(&world);
    log.until(|event| is_kind(event, "heartbeat"));
    run.signal(rustix::process::Signal::STOP);
    log.until_rule("pulse-lost");
    log.until_rule("heal-due");
    run.signal(rustix::process::Signal::CONT);
    run.say("ask");
    let mut breaches = Vec::new();
    for _ in 0..3 {
        let permit: Value = serde_json::from_str(&run.line()).unwrap();
        assert_eq!(
            (&permit["ok"], &permit["breach"]),
            (&true.into(), &"scope-denied".into())
        );
        breaches.push((
            "scope-denied".to_owned(),
            "agent".to_owned(),
            number(&permit["index"]),
        ));
        assert!(run.line().contains("\"ok\":true"));
    }
    run.say("go on");
    assert_eq!(run.line(), "still here\n");
    assert_eq!(run.end().0, Some(0));
    let agent = world.agent();
    assert_eq!(
        (&agent["epoch"], &agent["ask"]),
        (&1.into(), &"go-on".into())
    );
    assert_eq!(world.payloads("refusal"), [Value::Null; 0]);
    assert!(
        !rules(&world).contains(&"denials".to_owned()),
        "nothing was denied"
    );
    assert_eq!(world.findings(), breaches, "and nothing else");
}
