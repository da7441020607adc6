//! `dragons attend` for several who share it: their goals, their steps, and an upgrade under their hands.

use std::process::Command;

use serde_json::Value;
use tests::{Attended, World};

const OBSERVES: &str = r#"{"mode":"observe","liveness":{"heartbeat_ms":150}}"#;

fn intent(call: &str) -> String {
    format!(r#"{{"intent":{{"scope":"read:a","call":"{call}","session":"s","host":"codex"}}}}"#)
}

fn result(call: &str) -> String {
    format!(r#"{{"result":{{"call":"{call}","session":"s","host":"codex"}}}}"#)
}

/// A goal is let through like an action: nobody is refused one for want of a log that only observes.
#[test]
fn beside_a_log_that_observes_a_goal_is_told_or_let_go_and_never_refused() {
    let mut attended = Attended::with(OBSERVES, &[]);
    let set_out = r#"{"goal":{"title":"close the books"}}"#;
    let mut talk = attended.talk();
    // On a machine that is slow what is asked may be let go.
    let mut until_signed = |line: &str| loop {
        let answer = talk.say(line);
        assert_eq!(answer["ok"], true, "{answer}");
        if let Some(record) = answer["record"].as_str() {
            return record.to_owned();
        }
    };
    let record = until_signed(set_out);
    let known = r#"{"goal":{"title":"a session","session":"s"}}"#;
    let first = until_signed(known);
    assert_eq!(until_signed(known), first);
    let ends = format!(r#"{{"outcome":{{"goal":"{record}","verdict":"partial"}}}}"#);
    assert_eq!(talk.say(&ends)["ok"], true);
    while attended.world.receipts("outcome").is_empty() {
        talk.say(r#"{"hello":{"protocol":1}}"#);
    }
    let address = attended.world.address();
    attended.world.service.kill();
    let mut last = Value::Null;
    for _ in 0..3 {
        last = talk.say(set_out);
        assert_eq!(last["ok"], true, "{last}");
    }
    assert_eq!(
        (&last["record"], &last["unlogged"]),
        (&Value::Null, &true.into()),
        "{last}"
    );
    attended.world.restart_at(&address);
    let runs = |world: &World| world.agent()["state"] == "running";
    while !runs(&attended.world) {
        talk.say(r#"{"hello":{"protocol":1}}"#);
    }
    let beats = attended.world.payloads("heartbeat");
    let told = beats.iter().map(|beat| &beat["ext"]["unlogged"]);
    assert!(
        told.clone().all(Value::is_null),
        "a goal is not an action: {beats:?}"
    );
}

/// What was let through is counted by the last beat, if none comes before.
#[test]
fn a_goodbye_counts_what_was_let_through() {
    let mut attended = Attended::with(r#"{"mode":"observe"}"#, &[]);
    let address = attended.world.address();
    attended.world.service.kill();
    let calls = ["c", "d", "e", "f"];
    for call in calls {
        assert_eq!(attended.say(&intent(call))["ok"], true);
    }
    attended.world.restart_at(&address);
    let (code, said, world) = attended.end();
    assert_eq!(code, Some(0), "{said}");
    let beats = world.payloads("heartbeat");
    assert_eq!(beats.last().expect("a beat")["final"], true, "{said}");
    let told = beats
        .iter()
        .filter_map(|beat| beat["ext"]["unlogged"]["count"].as_u64());
    let logged = world.receipts("intent").len() as u64;
    assert_eq!(told.sum::<u64>() + logged, calls.len() as u64);
}

/// A host goes on without the answer of its hook, where the log only observes: so what the hook asked for goes on too.
#[test]
fn beside_a_log_that_observes_an_unread_permit_stays_open_for_its_result() {
    let attended = Attended::with(OBSERVES, &[]);
    let counted = || {
        let beats = attended.world.payloads("heartbeat");
        let told = beats.iter();
        told.filter_map(|beat| beat["ext"]["unlogged"]["count"].as_u64())
            .sum::<u64>()
    };
    let is_logged = || !attended.world.receipts("intent").is_empty();
    let mut asked = 0;
    // On a machine that is slow what is asked may be let through unsigned.
    while !is_logged() {
        let mut talk = attended.talk();
        asked += 1;
        talk.tell(&intent(&format!("c{asked}")));
        drop(talk);
        while !is_logged() && counted() < asked {}
    }
    let told = attended.say(&result(&format!("c{asked}")));
    assert_eq!((&told["ok"], &told["again"]), (&true.into(), &Value::Null));
    let (code, said, world) = attended.end();
    assert_eq!(code, Some(0), "{said}");
    let results = world.receipts("result");
    assert_eq!((results.len(), &results[0]["status"]), (1, &"ok".into()));
}

/// Whoever set out for a goal and died will not say what came of it, and must not degrade the agent for the others.
#[test]
fn a_goal_whose_host_has_died_is_given_up() {
    let liveness = r#"{"liveness":{"heartbeat_ms":100,"pulse_ms":500,"degraded_after_ms":3000}}"#;
    let attended = Attended::with(liveness, &[]);
    let mut talk = attended.talk();
    let goal = talk.say(r#"{"goal":{"title":"close the books"}}"#);
    let record = goal["record"].as_str().expect("a record").to_owned();
    let named = format!(r#"{{"intent":{{"scope":"read:a","call":"c","goal":"{record}"}}}}"#);
    // Another connection goes on with it, and so holds it.
    let mut other = attended.talk();
    assert_eq!(other.say(&named)["ok"], true);
    drop(talk);
    assert_eq!(other.say(r#"{"result":{"call":"c"}}"#)["ok"], true);
    let sees = |kind: &str| attended.world.receipts(kind);
    assert_eq!((sees("goal").len(), sees("outcome").len()), (1, 0));
    drop(other);
    while sees("outcome").is_empty() {
        attended.say(r#"{"hello":{"protocol":1}}"#);
    }
    let outcome = &sees("outcome")[0];
    assert_eq!(
        (&outcome["goal"], &outcome["verdict"]),
        (&record.as_str().into(), &"abandoned".into())
    );
}

#[test]
fn each_session_counts_its_own_steps_and_a_beat_tells_their_sum() {
    let attended = Attended::new();
    let tell = |progress: &str| {
        let answer = attended.say(&format!(r#"{{"progress":{progress}}}"#));
        assert_eq!(answer["ok"], true, "{answer}");
    };
    for progress in [
        r#"{"steps":50,"session":"1","host":"mcp"}"#,
        r#"{"steps":2,"session":"2","host":"mcp"}"#,
        r#"{"steps":1,"session":"2","host":"mcp"}"#,
        "4",
        "3",
    ] {
        tell(progress);
    }
    let is_told = |steps: u64| {
        let beats = attended.world.payloads("heartbeat");
        beats.iter().any(|beat| beat["progress"] == steps)
    };
    while !is_told(56) {
        attended.say(r#"{"hello":{"protocol":1}}"#);
    }
    attended.say(r#"{"session":{"session":"1","host":"mcp","end":"session"}}"#);
    tell(r#"{"steps":3,"session":"2","host":"mcp"}"#);
    while !is_told(57) {
        attended.say(r#"{"hello":{"protocol":1}}"#);
    }
}

/// An upgrade: the lease is for the next version while the one before is still in the directory, and then it is not.
#[test]
fn a_lease_for_another_version_is_taken_up_once_that_lies_there() {
    let mut attended = Attended::new();
    assert_eq!(attended.say(&intent("c"))["ok"], true);
    assert_eq!(attended.say(&result("c"))["ok"], true);
    let before = attended.world.agent();
    let next = attended.world.service.scratch("next");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(attended.world.service.scratch("agent"))
        .arg(&next)
        .status();
    assert!(copied.expect("cp").success());
    std::fs::write(next.join("src/work.sh"), "echo better\n").unwrap();
    let next = next.to_str().expect("UTF-8");
    let register = [
        "manifest",
        "register",
        next,
        "--agent-key",
        "KEY",
        "--key",
        "OPERATOR",
    ];
    attended.world.succeed(attended.world.dragons(&register));
    let grant = [
        "lease", "grant", "worker", "--key", "OPERATOR", "--allow", "read:**",
    ];
    attended.world.succeed(attended.world.dragons(&grant));
    attended.run.until("may not act");
    let refused = attended.say(&intent("d"));
    assert_eq!(
        (&refused["code"], &refused["by"]),
        (&"manifest-not-active".into(), &"log".into()),
        "{refused}"
    );
    attended.world.write("src/work.sh", "echo better\n");
    attended.run.until("goes on as that");
    assert_eq!(attended.say(&intent("e"))["ok"], true);
    assert_eq!(attended.say(&result("e"))["ok"], true);
    let after = attended.world.agent();
    assert_eq!(after["state"], "running", "{after}");
    assert_ne!(before["epoch"], after["epoch"]);
    let (code, said, world) = attended.end();
    assert_eq!(code, Some(0), "{said}");
    world.blames_nobody();
}
