//! `dragons run` obeys: what becomes of a program when its supervisor is cut off, killed or overtaken, when it stands
//! still or fails, when operators step in, and when the service is away. Real processes, and short clocks by charter.
//!
//! Every wait is for an entry of the log or a line of output.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{Events, Run, World};

/// Silence is noticed after a second and healed after two.
const CLOCKS: &str = r#"{"liveness":{"heartbeat_ms":100,"pulse_ms":500,"degraded_after_ms":1000,"autoheal_after_ms":2000,
    "heal_attempts":2,"heal_timeout_ms":2000,"heal_beats":2,"tolerance_ms":500}}"#;

/// Silence is noticed after a second, and nothing is healed in the time of a test.
const DEGRADING: &str = r#"{"liveness":{"heartbeat_ms":100,"pulse_ms":500,"degraded_after_ms":1000,
    "autoheal_after_ms":600000,"tolerance_ms":500}}"#;

/// Says that it is there, and ends well when it is told to.
const WAITS: &str = "echo up; read x; echo got $x";

fn world(charter: &str) -> World {
    let world = World::with_charter(charter, 60_000);
    world.lease();
    world
}

fn events(world: &World) -> Events {
    world.service.events("/v1/events?after=0&agent=worker")
}

/// Starts a program that waits, and stops the supervisor as soon as the log knows that the program is there.
fn cut_off(world: &World, options: &[&str], script: &str) -> (Run, Events) {
    let mut run = Run::start(world.run(options, &["sh", "-c", script]));
    assert_eq!(run.line(), "up\n");
    let mut events = events(world);
    events.until(|event| event.data["payload"]["progress"].as_u64() >= Some(1));
    run.signal(Signal::STOP);
    (run, events)
}

fn rules(world: &World) -> Vec<String> {
    let transitions = world.payloads("transition").into_iter();
    transitions.map(|one| text(&one["rule"])).collect()
}

fn statuses(world: &World) -> Vec<String> {
    let results = world.receipts("result").into_iter();
    results.map(|result| text(&result["status"])).collect()
}

fn verdicts(world: &World) -> Vec<String> {
    let outcomes = world.receipts("outcome").into_iter();
    outcomes.map(|outcome| text(&outcome["verdict"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn kill(pid: &str, signal: Signal) {
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn a_zombie_is_fenced_and_its_supervisor_begins_anew() {
    let world = world(CLOCKS);
    let (mut run, mut log) = cut_off(&world, &[], WAITS);
    log.until_rule("heal-due");
    run.signal(Signal::CONT);
    let why = run.until("ending the program");
    assert!(why.contains("epoch"), "{why}");
    run.until("the agent is healed");
    assert_eq!(run.line(), "up\n", "another process, in the new epoch");
    run.say("it");
    assert_eq!(run.line(), "got it\n");
    assert_eq!(run.end().0, Some(0));
    let known = ["started", "pulse-lost", "heal-due", "healed", "finished"];
    let rules = rules(&world);
    // A busy machine may be slow enough for more than one attempt, but for no other way out.
    assert!(
        rules
            .iter()
            .all(|rule| known.contains(&rule.as_str()) || rule == "heal-retry"),
        "{rules:?}"
    );
    assert!(
        rules.ends_with(&["healed".to_owned(), "finished".to_owned()]),
        "{rules:?}"
    );
    assert_eq!(statuses(&world), ["cancelled", "ok"]);
    assert_eq!(verdicts(&world), ["accepted"]);
    let intents = world.receipts("intent");
    assert!(intents[0]["epoch"].as_u64() < intents[1]["epoch"].as_u64());
    assert_ne!(intents[0]["instance"], intents[1]["instance"]);
    let refusals = world.payloads("refusal");
    assert_eq!(
        refusals[0]["code"], "epoch-fenced",
        "the evidence of the zombie"
    );
    world.blames_nobody();
}

#[test]
fn attempts_that_are_used_up_end_in_quarantine_until_a_release() {
    let world = world(CLOCKS);
    let (mut run, mut log) = cut_off(&world, &[], WAITS);
    log.until_rule("heal-exhausted");
    run.signal(Signal::CONT);
    run.until("ending the program");
    run.until("not started again: the agent is quarantined");
    run.until("wait in the journal");
    assert_eq!(run.end().0, Some(143));
    assert_eq!(world.agent()["state"], "quarantined");
    assert_eq!(statuses(&world), [""; 0], "its epoch is over");
    world.order("release");
    let mut next = Run::start(world.shell("echo works"));
    next.until("must be healed");
    next.until("the agent is healed");
    assert_eq!(next.line(), "works\n");
    assert_eq!(next.end().0, Some(0));
    assert_eq!(
        statuses(&world),
        ["cancelled", "ok"],
        "the first is said now"
    );
    assert_eq!(verdicts(&world), ["abandoned", "accepted"]);
    world.blames_nobody();
}

#[test]
fn a_supervisor_that_was_killed_is_succeeded_by_one_that_heals() {
    let world = world(CLOCKS);
    let (run, mut log) = cut_off(&world, &[], WAITS);
    run.signal(Signal::KILL);
    run.end();
    log.until_rule("heal-due");
    let mut next = Run::start(world.shell("echo works"));
    next.until("the agent is healed");
    assert_eq!(next.line(), "works\n");
    assert_eq!(next.end().0, Some(0));
    assert_eq!(statuses(&world), ["error", "ok"]);
    assert_eq!(verdicts(&world), ["abandoned", "accepted"]);
    world.blames_nobody();
}

#[test]
fn another_version_is_not_started_in_the_new_epoch() {
    let world = world(CLOCKS);
    let (mut run, mut log) = cut_off(&world, &[], WAITS);
    log.until_rule("heal-due");
    world.write("src/work.sh", "echo mischief\n");
    run.signal(Signal::CONT);
    run.until("not started again: the version here is");
    assert_eq!(run.end().0, Some(143));
    assert_eq!(world.receipts("intent").len(), 1);
    world.blames_nobody();
}

#[test]
fn on_heal_runs_in_the_programs_place() {
    let world = World::with_charter(CLOCKS, 60_000);
    world.write("src/resume", "#!/bin/sh\necho resumes $1\n");
    let resume = world.service.scratch("agent/src/resume");
    std::fs::set_permissions(resume, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.register();
    world.lease();
    let (mut run, mut log) = cut_off(&world, &["--on-heal", "src/resume"], WAITS);
    log.until_rule("heal-due");
    run.signal(Signal::CONT);
    assert_eq!(run.line(), "resumes sh\n");
    assert_eq!(run.end().0, Some(0));
    assert_eq!(world.receipts("intent")[1]["scope"], "run:resume");
    assert_eq!(verdicts(&world), ["accepted"]);
    world.blames_nobody();
}

#[test]
fn a_degraded_agent_gets_no_goals_and_reads_alone() {
    let world = world(DEGRADING);
    let script = r#"echo up; read x
        dragons tell '{"intent":{"scope":"run:cat"}}' '{"goal":{"title":"more"}}' '{"intent":{"scope":"read:README.md"}}' > answers
        cat answers; read x"#;
    let (mut run, mut log) = cut_off(&world, &[], script);
    log.until_rule("pulse-lost");
    run.signal(Signal::CONT);
    run.until("the agent is degraded");
    run.say("ask");
    for want in ["state-forbids", "state-forbids", "\"intent\""] {
        let line = run.line();
        assert!(line.contains(want), "{want}: {line}");
    }
    run.until("the agent has recovered");
    run.say("end");
    assert_eq!(run.end().0, Some(0));
    assert_eq!(
        rules(&world),
        ["started", "pulse-lost", "recovered", "finished"]
    );
    world.blames_nobody();
}

#[test]
fn an_order_ends_the_program_and_it_stays_down() {
    for (verb, state) in [("quarantine", "quarantined"), ("stop", "stopped")] {
        let world = World::new();
        let script =
            "trap 'echo asked; exit 0' TERM; echo up; while :; do read x || sleep 0.01; done";
        let restart = ["--restart", "on-failure"];
        let mut run = Run::start(world.run(&restart, &["sh", "-c", script]));
        assert_eq!(run.line(), "up\n");
        world.order(verb);
        assert_eq!(run.line(), "asked\n");
        run.until("ending the program");
        run.until(&format!("not started again: the agent is {state}"));
        assert_eq!(run.end().0, Some(0), "that of the program");
        assert_eq!(world.agent()["state"], state);
        assert_eq!(statuses(&world), ["cancelled"]);
        assert_eq!(world.receipts("intent").len(), 1);
        world.blames_nobody();
    }
}

/// Two machines have the key of one agent. The second may not begin while the first beats; once that is silent it may, and
/// then the first is the zombie.
#[test]
fn another_process_takes_over_from_one_that_is_silent_and_from_no_other() {
    let world = world(
        r#"{"liveness":{"heartbeat_ms":500,"pulse_ms":500,"degraded_after_ms":1500,"autoheal_after_ms":600000,"tolerance_ms":500}}"#,
    );
    let elsewhere = |script: &str| {
        let mut command = world.shell(script);
        command.env("XDG_STATE_HOME", world.service.scratch("elsewhere"));
        command
    };
    let mut first = Run::start(world.shell(WAITS));
    assert_eq!(first.line(), "up\n");
    let refused = elsewhere("echo never").output().unwrap();
    assert_eq!(refused.status.code(), Some(125));
    assert!(refused.stdout.is_empty());
    let said = tests::stderr(&refused);
    assert!(said.contains("state-forbids"), "{said}");
    first.signal(Signal::STOP);
    events(&world).until_rule("pulse-lost");
    let mut second = Run::start(elsewhere(WAITS));
    assert_eq!(second.line(), "up\n");
    first.signal(Signal::CONT);
    first.until("ending the program");
    first.until("not started again: the agent is running, and another process speaks for it");
    first.until("wait in the journal");
    assert_eq!(first.end().0, Some(143));
    second.say("on");
    assert_eq!(second.line(), "got on\n", "it is not disturbed");
    assert_eq!(second.end().0, Some(0));
    assert_eq!(
        rules(&world),
        ["started", "pulse-lost", "restarted", "finished"]
    );
    let refusals = world.payloads("refusal");
    assert!(refusals.iter().any(|one| one["code"] == "epoch-fenced"));
    // What the first had begun the second gave up before it began.
    assert_eq!(statuses(&world), ["error", "ok"]);
    assert_eq!(verdicts(&world), ["abandoned", "accepted"]);
    // The first, which has seen less of the log, finds its way back when it is its turn.
    for _ in 0..2 {
        world.succeed(world.shell("true"));
    }
    assert_eq!(statuses(&world), ["error", "ok", "ok", "ok"]);
    world.blames_nobody();
}

#[test]
fn a_new_lease_is_followed_without_a_break() {
    let world = World::new();
    let script = r#"echo up; read x
        dragons tell '{"intent":{"scope":"read:README.md"}}' '{"result":{}}'; read x"#;
    let mut run = Run::start(world.shell(script));
    assert_eq!(run.line(), "up\n");
    world.lease();
    events(&world)
        .until(|event| event.data["payload"]["seq"] == 0 && event.data["payload"]["epoch"] == 2);
    run.say("ask");
    for _ in ["permit", "result"] {
        let line = run.line();
        assert!(line.contains("\"ok\":true"), "{line}");
    }
    run.say("end");
    assert_eq!(run.end().0, Some(0));
    assert_eq!(rules(&world), ["started", "finished"]);
    assert_eq!(statuses(&world), ["ok", "ok"]);
    let intents = world.receipts("intent");
    assert_eq!(
        (&intents[0]["epoch"], &intents[1]["epoch"]),
        (&1.into(), &2.into())
    );
    assert_eq!(intents[0]["instance"], intents[1]["instance"]);
    world.blames_nobody();
}

/// The program's own child would act on without authority, and so would one that is deaf to SIGTERM.
#[test]
fn what_the_program_has_started_ends_with_its_authority() {
    let world = World::new();
    let script = r#"tail -f /dev/null & echo $!
        sh -c 'trap "" TERM; echo $$; while :; do sleep 0.05; done' & wait"#;
    let mut run = Run::start(world.run(&["--grace", "300ms"], &["sh", "-c", script]));
    let started = [run.line(), run.line()].map(|pid| format!("/proc/{}", pid.trim()));
    world.order("stop");
    run.until("not started again: the agent is stopped");
    assert_eq!(run.end().0, Some(143));
    for process in started {
        assert!(!std::path::Path::new(&process).exists(), "{process}");
    }
    world.blames_nobody();
}

#[test]
fn a_program_that_fails_is_started_again_under_the_same_lease() {
    let world = World::new();
    let restart = ["--restart", "on-failure", "--backoff", "10ms"];
    let mut run = Run::start(world.run(&restart, &["sh", "-c", "echo $$; read x; exit $x"]));
    kill(&run.line(), Signal::KILL);
    run.until("1 of 5");
    run.line();
    run.say("3");
    run.until("2 of 5");
    run.line();
    run.say("0");
    assert_eq!(run.end().0, Some(0));
    assert_eq!(statuses(&world), ["error", "error", "ok"]);
    assert_eq!(
        (world.receipts("goal").len(), verdicts(&world)),
        (1, vec!["accepted".to_owned()])
    );
    assert_eq!(rules(&world), ["started", "finished"], "in one epoch");
    world.blames_nobody();
}

#[test]
fn a_program_that_goes_on_failing_is_given_up() {
    let world = World::new();
    let restart = [
        "--restart",
        "on-failure",
        "--restarts",
        "2",
        "--backoff",
        "10ms",
    ];
    let (code, out, err) = Run::start(world.run(&restart, &["sh", "-c", "echo up; exit 3"])).end();
    assert_eq!((code, out.as_str()), (Some(3), "up\nup\nup\n"), "{err}");
    assert_eq!(statuses(&world), ["error"; 3]);
    assert_eq!(verdicts(&world), ["rejected"]);
    world.blames_nobody();
}

#[test]
fn a_signal_ends_the_wait_before_the_next_start() {
    let world = World::new();
    let restart = ["--restart", "on-failure", "--backoff", "60s"];
    let mut run = Run::start(world.run(&restart, &["sh", "-c", "exit 3"]));
    run.until("1 of 5");
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(143));
    assert_eq!(
        (world.receipts("intent").len(), verdicts(&world)),
        (1, vec!["rejected".to_owned()])
    );
    assert_eq!(world.agent()["state"], "stopped");
    world.blames_nobody();
}

/// A program that stands still does not act, but it holds its permit: that ends, and the program with it.
#[test]
fn a_program_that_stands_still_ends_with_its_permit() {
    let world = World::with_charter(r#"{"liveness":{"heartbeat_ms":100}}"#, 2_000);
    world.lease();
    let options = [
        "--grace",
        "100ms",
        "--restart",
        "on-failure",
        "--backoff",
        "10ms",
    ];
    let mut run = Run::start(world.run(&options, &["sh", "-c", "echo $$; read x"]));
    kill(&run.line(), Signal::STOP);
    run.until("the permit is about to lapse");
    let pid = run.line();
    // One that is let go on in time ends as it would have.
    kill(&pid, Signal::STOP);
    kill(&pid, Signal::CONT);
    run.say("end");
    assert_eq!(run.end().0, Some(0));
    assert_eq!(statuses(&world), ["timeout", "ok"]);
    world.blames_nobody();
}

/// The time at which an entry was received.
fn received(entry: &Value) -> u64 {
    entry["received_ms"].as_u64().unwrap()
}

#[test]
fn a_service_that_was_down_blames_nobody() {
    let mut world = world(
        r#"{"liveness":{"heartbeat_ms":100,"pulse_ms":250,"degraded_after_ms":1500,"autoheal_after_ms":3000,
            "tolerance_ms":250}}"#,
    );
    let address = world.address();
    let mut run = Run::start(world.shell("echo up; read x; sleep 2; echo late; read x"));
    assert_eq!(run.line(), "up\n");
    world.service.kill();
    run.say("longer than silence may last");
    run.until("waits in the journal");
    assert_eq!(run.line(), "late\n");
    world.restart_at(&address);
    run.until("the service is back");
    run.say("end");
    assert_eq!(run.end().0, Some(0));
    assert_eq!(rules(&world), ["started", "finished"]);
    let entries = world.entries();
    let breaks = |two: &[Value]| received(&two[1]) - received(&two[0]) >= 1_500;
    let first = 1 + entries.windows(2).position(breaks).unwrap();
    assert_eq!(entries[first]["kind"], "pulse", "first of all");
    let report = world.report();
    let gap = report["findings"].as_array().unwrap().iter();
    let mut gap = gap.filter(|finding| finding["index"] == first);
    let gap = gap.next().unwrap();
    assert_eq!(
        (&gap["code"], &gap["by"]),
        (&"control-gap".into(), &"control".into())
    );
    world.blames_nobody();
}

#[test]
fn a_log_that_observes_changes_nothing() {
    let world = World::with_charter(
        r#"{"mode":"observe","liveness":{"heartbeat_ms":100}}"#,
        60_000,
    );
    world.lease();
    let mut run = Run::start(world.shell(WAITS));
    assert_eq!(run.line(), "up\n");
    world.order("stop");
    events(&world).until(|event| {
        let payload = &event.data["payload"];
        event.data["kind"] == "heartbeat" && payload["seq"].as_u64() >= Some(5)
    });
    run.say("all the same");
    assert_eq!(run.line(), "got all the same\n");
    assert_eq!(run.end().0, Some(0));
    assert_eq!(statuses(&world), ["ok"]);
    assert_eq!(world.agent()["state"], "stopped");
}
