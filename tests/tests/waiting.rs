//! What a run waits for, and that it says so.

use rustix::process::Signal;
use tests::{Run, World};

#[test]
fn a_run_that_begins_while_the_service_is_restarted_waits_for_it() {
    let mut world = World::new();
    let address = world.address();
    let run = world.shell("echo ran");
    world.service.kill();
    let mut run = Run::start(run);
    run.until("waiting for the service, 30 s at most");
    world.restart_at(&address);
    assert_eq!(run.line(), "ran\n");
    assert_eq!(run.end().0, Some(0));
    world.blames_nobody();
}

#[test]
fn a_signal_ends_the_wait() {
    let mut world = World::new();
    let run = world.shell("echo never");
    world.service.kill();
    let mut run = Run::start(run);
    run.until("waiting for the service");
    run.signal(Signal::TERM);
    let (code, out, err) = run.end();
    assert_eq!((code, out.as_str()), (None, ""), "{err}");
}

/// A process that was killed on a machine that is lost: the log expects it still.
#[test]
fn a_run_without_the_journal_of_the_one_before_says_how_long_it_waits_and_begins_then() {
    let world = World::with_charter(
        r#"{"liveness":{"heartbeat_ms":1000,"pulse_ms":500,"degraded_after_ms":60000,"autoheal_after_ms":600000,"tolerance_ms":500}}"#,
        60_000,
    );
    world.lease();
    let mut lost = Run::start(world.shell("echo up; exec tail -f /dev/null"));
    assert_eq!(lost.line(), "up\n");
    lost.signal(Signal::KILL);
    lost.end();
    let mut next = world.shell("echo ran");
    next.env("XDG_STATE_HOME", world.service.scratch("elsewhere"));
    let mut next = Run::start(next);
    next.until("this one may begin in");
    assert_eq!(next.line(), "ran\n");
    assert_eq!(next.end().0, Some(0));
    world.blames_nobody();
}

/// The rules count healing beats half a heartbeat apart, so two of them take no two heartbeats.
#[test]
fn healing_says_how_long_it_takes() {
    let world = World::new();
    let mut first = Run::start(world.shell("echo up; exec tail -f /dev/null"));
    assert_eq!(first.line(), "up\n");
    world.order("quarantine");
    first.until("the agent is quarantined");
    first.end();
    world.order("release");
    let mut next = Run::start(world.shell("echo ran"));
    let told = next.until("must be healed before it may act");
    assert!(told.contains("by 2 heartbeats, in about 1 s"), "{told}");
    assert_eq!(next.line(), "ran\n");
    assert_eq!(next.end().0, Some(0));
}
