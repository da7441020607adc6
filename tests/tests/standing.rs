//! `dragons run --service`: a program that is meant to run on, under one goal and whatever lease there is.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{Run, World};

/// Silence is noticed after a second and healed after two.
const CLOCKS: &str = r#"{"liveness":{"heartbeat_ms":100,"pulse_ms":500,"degraded_after_ms":1000,"autoheal_after_ms":2000,
    "heal_attempts":2,"heal_timeout_ms":2000,"heal_beats":2,"tolerance_ms":500}}"#;

const TICKS: &str = "echo $$; while :; do echo tick; sleep 0.1; done";

fn service(world: &World, options: &[&str], script: &str) -> Run {
    let options = [&["--service"], options].concat();
    Run::start(world.run(&options, &["sh", "-c", script]))
}

fn pid(line: &str) -> Pid {
    Pid::from_raw(line.trim().parse().unwrap()).unwrap()
}

/// The next line that is not a tick.
fn line(run: &mut Run) -> String {
    loop {
        let line = run.line();
        if line != "tick\n" {
            return line;
        }
    }
}

fn until(world: &World, is_meant: impl Fn(&Value) -> bool) {
    let mut events = world.service.events("/v1/events?after=0&agent=worker");
    events.until(|event| is_meant(&event.data));
}

fn is_result(entry: &Value) -> bool {
    entry["payload"]["phase"] == "result"
}

#[test]
fn a_service_outlives_the_permit_of_its_start_and_ends_when_it_is_told_to() {
    let world = World::with_charter(r#"{"liveness":{"heartbeat_ms":100}}"#, 2_500);
    world.lease();
    let mut run = service(&world, &[], TICKS);
    line(&mut run);
    until(&world, is_result);
    let begun = world.entry_of("intent")["received_ms"].as_u64().unwrap();
    until(&world, |entry| {
        entry["received_ms"].as_u64() >= Some(begun + 4_000)
    });
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(143));
    let results = world.receipts("result");
    assert_eq!((results.len(), &results[0]["status"]), (1, &"ok".into()));
    assert_eq!(results[0]["refs"]["started"], "alive");
    let outcome = &world.receipts("outcome")[0];
    assert_eq!(outcome["verdict"], "accepted", "it was told to end");
    assert_eq!(world.agent()["state"], "stopped");
    world.blames_nobody();
}

#[test]
fn a_service_that_hangs_is_healed() {
    let world = World::with_charter(CLOCKS, 60_000);
    world.lease();
    let mut run = service(&world, &["--grace", "300ms"], TICKS);
    let hanging = pid(&line(&mut run));
    until(&world, is_result);
    kill_process(hanging, Signal::STOP).unwrap();
    run.until("the agent is healed");
    assert_ne!(pid(&line(&mut run)), hanging, "another process");
    run.signal(Signal::TERM);
    run.end();
    let rules = world.payloads("transition").into_iter();
    let rules: Vec<Value> = rules.map(|one| one["rule"].clone()).collect();
    assert!(rules.contains(&"progress-lost".into()), "{rules:?}");
    assert!(rules.contains(&"healed".into()), "{rules:?}");
}

/// It says so itself, by the protocol of service managers, and its probe is its progress.
#[test]
fn a_service_says_that_it_is_up_and_a_silent_one_is_probed() {
    let world = World::with_charter(CLOCKS, 60_000);
    world.lease();
    let script = r#"python3 -c 'import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ["NOTIFY_SOCKET"]); s.send(b"STATUS=on\nREADY=1")'; read x"#;
    let options = [
        "--quiet",
        "--probe",
        "test -e src",
        "--probe-every",
        "100ms",
    ];
    let run = service(&world, &options, script);
    until(&world, is_result);
    assert_eq!(world.receipts("result")[0]["refs"]["started"], "ready");
    until(&world, |entry| entry["payload"]["phase"] == "outcome");
    // Longer than what would be noticed of a service that stands still.
    let begun = world.entry_of("result")["received_ms"].as_u64().unwrap();
    until(&world, |entry| {
        let is_late = entry["received_ms"].as_u64() >= Some(begun + 1_500);
        is_late && entry["payload"]["progress"].as_u64() >= Some(3)
    });
    assert_eq!(world.agent()["state"], "running");
    run.signal(Signal::TERM);
    run.end();
    assert_eq!(world.receipts("outcome").len(), 1);
}

#[test]
fn a_new_lease_is_asked_again_and_one_that_allows_less_ends_the_service() {
    let world = World::new();
    let mut run = service(&world, &[], TICKS);
    line(&mut run);
    until(&world, is_result);
    world.lease();
    until(&world, |entry| {
        entry["payload"]["epoch"] == 2 && entry["payload"]["phase"] == "result"
    });
    let intents = world.receipts("intent");
    let first = world.entry_of("intent")["record"].clone();
    assert_eq!((intents.len(), &intents[1]["scope"]), (2, &"run:sh".into()));
    assert_eq!(intents[1]["parents"], Value::Array(vec![first]));
    let less = [
        "lease", "grant", "worker", "--key", "OPERATOR", "--allow", "run:cat",
    ];
    world.succeed(world.dragons(&less));
    run.until("the new lease does not allow the program");
    assert_eq!(run.end().0, Some(143));
    assert_eq!(world.receipts("outcome")[0]["verdict"], "abandoned");
}

#[test]
fn another_version_takes_over_where_it_lies_and_ends_the_service_where_it_does_not() {
    let world = World::new();
    let mut run = service(&world, &[], TICKS);
    let first = pid(&line(&mut run));
    until(&world, is_result);
    world.write("src/work.sh", "echo better\n");
    world.register();
    world.lease();
    run.until("as that version");
    assert_ne!(pid(&line(&mut run)), first);
    until(&world, |entry| {
        entry["payload"]["epoch"] == 2 && is_result(entry)
    });

    let elsewhere = world.service.scratch("elsewhere");
    std::fs::create_dir_all(elsewhere.join("src")).unwrap();
    for name in ["agent.toml", "src/work.sh"] {
        std::fs::copy(
            world.service.scratch("agent").join(name),
            elsewhere.join(name),
        )
        .unwrap();
    }
    std::fs::write(elsewhere.join("src/work.sh"), "echo best\n").unwrap();
    let elsewhere = elsewhere.to_str().unwrap();
    let register = [
        "manifest",
        "register",
        elsewhere,
        "--agent-key",
        "KEY",
        "--key",
        "OPERATOR",
    ];
    world.succeed(world.dragons(&register));
    world.lease();
    run.until("another version, which is not here");
    assert_eq!(run.end().0, Some(125));
}

#[test]
fn a_service_lives_through_a_restart_of_the_log() {
    let mut world = World::new();
    let address = world.address();
    let mut run = service(&world, &[], TICKS);
    let first = line(&mut run);
    until(&world, is_result);
    world.service.kill();
    run.until("waits in the journal");
    world.restart_at(&address);
    run.until("the service is back");
    assert!(
        kill_process(pid(&first), Signal::CONT).is_ok(),
        "the same process"
    );
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(143));
    assert_eq!(world.receipts("intent").len(), 1);
}

/// The open intent of a job hides nothing of one that has told of its work.
#[test]
fn a_job_that_told_of_its_work_and_hangs_is_ended() {
    let world = World::with_charter(CLOCKS, 60_000);
    world.lease();
    let script = r#"dragons tell '{"progress":1}'; echo up; exec tail -f /dev/null"#;
    let mut run = Run::start(world.run(&[], &["sh", "-c", script]));
    run.until("shows no progress");
    assert_eq!(run.end().0, Some(143));
    assert_eq!(world.receipts("result")[0]["status"], "timeout");
}

/// As `CLOCKS`, and slow enough for a machine that is busy: nobody is silent by mistake.
const SLOW_CLOCKS: &str = r#"{"liveness":{"heartbeat_ms":200,"pulse_ms":1000,"degraded_after_ms":4000,"autoheal_after_ms":6000,
    "heal_attempts":3,"heal_timeout_ms":6000,"heal_beats":2,"tolerance_ms":2000}}"#;

/// Nor of one that has told of nothing: it is degraded and healed as anybody is.
fn is_healed_when_it_hangs(hang: &str) {
    let world = World::with_charter(SLOW_CLOCKS, 60_000);
    world.lease();
    let mark = world.service.scratch("mark");
    let mark = mark.to_str().unwrap();
    // The second time it works.
    let script = format!("echo up; test -e {mark} && exit 5; : > {mark}; {hang}");
    let options = ["--grace", "300ms"];
    let mut run = Run::start(world.run(&options, &["sh", "-c", &script]));
    run.until("the program shows no progress");
    run.until("the agent is healed");
    assert_eq!(run.end().0, Some(5));
    let rules = world.payloads("transition").into_iter();
    let rules: Vec<Value> = rules.map(|one| one["rule"].clone()).collect();
    for rule in ["pulse-lost", "heal-due", "healed"] {
        assert!(rules.contains(&rule.into()), "{rules:?}");
    }
}

#[test]
fn a_job_that_is_stopped_is_degraded_and_healed() {
    is_healed_when_it_hangs("kill -STOP $$");
}

#[test]
fn a_job_that_waits_for_ever_is_degraded_and_healed() {
    is_healed_when_it_hangs("exec tail -f /dev/null");
}

/// Whatever a job shows of its work keeps it: lines, a probe, an action of its own that is open.
#[test]
fn a_job_that_works_is_left_alone() {
    let world = World::with_charter(SLOW_CLOCKS, 60_000);
    world.lease();
    let lines = "n=0; while test $n -lt 60; do n=$((n+1)); echo $n; sleep 0.1; done";
    let asks = r#"dragons tell '{"intent":{"scope":"read:README.md"}}' >&2; sleep 6"#;
    let probe = ["--probe", "true", "--probe-every", "100ms"];
    for (options, script) in [(&[][..], lines), (&probe, "sleep 6"), (&[], asks)] {
        let (code, _, err) = Run::start(world.run(options, &["sh", "-c", script])).end();
        assert_eq!(code, Some(0), "{err}");
        assert!(!err.contains("shows no progress"), "{script}: {err}");
    }
}
