//! A service that is too busy says how long to wait. Whoever beats waits that long, whatever the beats are for.

use std::time::Duration;

use tests::{Attended, HeldLine, Meddling, Run, World};

/// A heartbeat is due long before the second that the service asks for.
const CHARTER: &str = r#"{"liveness":{"heartbeat_ms":150,"heal_beats":1000}}"#;

/// What the service says, and for how long it asks to be left alone.
const BUSY: Meddling = Meddling::Keep("429 Too Many Requests\r\nretry-after: 1", "rate-limited");
const ASKED: Duration = Duration::from_secs(1);

/// From now on the service is busy: nothing comes sooner than it asks for.
fn is_left_alone(line: &HeldLine) {
    line.meddle(BUSY);
    let came = line.wait_for(4);
    for two in came.windows(2) {
        assert!(two[1] - two[0] >= ASKED, "{:?}", two[1] - two[0]);
    }
    line.meddle(Meddling::None);
}

#[test]
fn whoever_attends_waits_as_long_as_it_is_asked_to() {
    let (_, _, world) = Attended::with(CHARTER, &[]).end();
    let line = HeldLine::to(&world.service);
    let mut run = Run::start(Attended::command(&world, &["--server", &line.url()]));
    assert!(run.line().starts_with("listening on "));
    line.wait_for(2);
    is_left_alone(&line);
    run.until("the service is back");
    world.order("quarantine");
    run.until("the agent may not act now");
    world.order("release");
    while world.agent()["state"] != "autohealing" {
        line.wait_for(1);
    }
    line.wait_for(3);
    is_left_alone(&line);
    run.signal(rustix::process::Signal::TERM);
    run.end();
}

#[test]
fn a_run_waits_as_long_as_it_is_asked_to() {
    let world = World::with_charter(CHARTER, 60_000);
    world.lease();
    let line = HeldLine::to(&world.service);
    let through = |script: &str| {
        let mut command = world.shell(script);
        command.env("DRAGONS_SERVER", line.url());
        Run::start(command)
    };
    let mut run = through("echo up; exec tail -f /dev/null");
    assert_eq!(run.line(), "up\n");
    line.wait_for(2);
    is_left_alone(&line);
    world.order("quarantine");
    run.until("the agent is quarantined");
    run.end();
    world.order("release");
    let mut run = through("echo ran");
    run.until("must be healed before it may act");
    line.wait_for(2);
    is_left_alone(&line);
    run.signal(rustix::process::Signal::TERM);
    run.end();
}
