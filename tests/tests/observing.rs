//! Beside a log that observes the program always runs, and what is broken is told where it can be.

use std::process::Command;

use tests::{World, stderr};

const OBSERVES: &str = r#"{"mode":"observe","liveness":{"heartbeat_ms":100}}"#;

fn runs(world: &World, options: &[&str], program: &[&str]) -> String {
    is_run(world.run(options, program))
}

fn is_run(mut run: Command) -> String {
    let output = run.output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert_eq!(output.stdout, b"ran\n", "{said}");
    said
}

const PROGRAM: &[&str] = &["sh", "-c", "echo ran; exit 7"];

#[test]
fn another_version_runs_and_the_log_tells_of_it() {
    let world = World::with_charter(OBSERVES, 60_000);
    world.lease();
    runs(&world, &[], PROGRAM);
    let intents = world.receipts("intent").len();
    world.write("src/work.sh", "echo changed\n");
    runs(&world, &[], PROGRAM);
    assert_eq!(world.receipts("intent").len(), intents + 1);
    let codes = world.findings().into_iter().map(|(code, ..)| code);
    assert!(codes.into_iter().any(|code| code == "manifest-drift"));
}

#[test]
fn an_agent_without_a_lease_runs_and_it_is_said() {
    let world = World::with_charter(OBSERVES, 60_000);
    let said = runs(&world, &[], PROGRAM);
    assert!(
        said.contains("only observes") && said.contains("has no lease"),
        "{said}"
    );
    assert!(world.payloads("heartbeat").is_empty());
}

#[test]
fn a_directory_that_is_no_version_and_a_program_that_nothing_binds_run() {
    let world = World::with_charter(OBSERVES, 60_000);
    world.lease();
    let script = world.service.scratch("elsewhere.sh");
    std::fs::write(&script, "echo ran; exit 7\n").unwrap();
    runs(&world, &[], &["sh", script.to_str().unwrap()]);
    assert_eq!(world.receipts("intent")[0]["scope"], "run:@any/sh");
    world.write("agent.toml", "not an agent\n");
    let said = runs(&world, &[], PROGRAM);
    assert!(said.contains("is not an agent.toml"), "{said}");
}

#[test]
fn a_service_that_is_away_keeps_nobody_from_running() {
    let mut world = World::with_charter(OBSERVES, 60_000);
    world.lease();
    let address = world.address();
    let [first, last] =
        [&["--mode", "observe"][..], &[]].map(|options| world.run(options, PROGRAM));
    world.service.kill();
    let said = is_run(first);
    assert!(said.contains("only observes"), "{said}");
    world.restart_at(&address);
    runs(&world, &[], PROGRAM);
    world.service.kill();
    // The journal knows by now.
    is_run(last);
}

#[test]
fn an_enforcing_log_is_not_talked_into_observing_by_its_absence() {
    let mut world = World::new();
    let mut run = world.run(&["--patience", "0s"], PROGRAM);
    world.service.kill();
    let output = run.output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}
