//! What `dragons attend` and `dragons hook` cost, in release: `make bench-attend`. It prints and judges nothing.
//!
//! An event before a tool is a process that starts, asks and waits for the log, which syncs to two disks. So its time stands
//! beside that of a process that only starts, and beside the log's own answer to an intent on the socket.

use std::time::{Duration, Instant};

use tests::{Attended, Process};

/// How many of each are timed.
const TIMES: usize = 200;

const OBSERVES: &str = r#"{"mode":"observe"}"#;

fn main() {
    for (mode, charter) in [("enforce", "{}"), ("observe", OBSERVES)] {
        let attended = Attended::with(charter, &[]);
        println!("{mode}:");
        latencies("socket round trip (progress)", &round_trips(&attended));
        latencies("intent on the socket", &intents(&attended));
        latencies("dragons --version", &starts(&attended));
        latencies("hook event before a tool", &events(&attended, "PreToolUse"));
        latencies("hook event of no tool", &events(&attended, "Notification"));
        let process = Process(attended.run.child.id());
        println!(
            "{:<34} {} KiB",
            "anonymous memory of attend",
            process.anonymous_bytes() / 1024
        );
    }
}

fn latencies(what: &str, samples: &[Duration]) {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    let at = |share: usize| samples[(samples.len() - 1) * share / 100].as_secs_f64() * 1e3;
    let (p50, p99) = (at(50), at(99));
    println!(
        "{what:<34} p50 {p50:7.3} ms   p99 {p99:7.3} ms   of {}",
        samples.len()
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn round_trips(attended: &Attended) -> Vec<Duration> {
    let mut talk = attended.talk();
    let mut ask = || timed(|| assert_eq!(talk.say(r#"{"progress":0}"#)["ok"], true));
    (0..TIMES).map(|_| ask()).collect()
}

/// The permit alone is timed; its result makes room for the next.
fn intents(attended: &Attended) -> Vec<Duration> {
    let mut talk = attended.talk();
    let mut ask = || {
        let taken = timed(|| {
            assert_eq!(
                talk.say(r#"{"intent":{"scope":"read:a","session":"bench"}}"#)["ok"],
                true
            );
        });
        assert_eq!(talk.say(r#"{"result":{}}"#)["ok"], true);
        taken
    };
    (0..TIMES).map(|_| ask()).collect()
}

fn starts(attended: &Attended) -> Vec<Duration> {
    let start = || {
        let mut command = attended.world.dragons(&["--version"]);
        timed(|| assert!(command.output().expect("a program").status.success()))
    };
    (0..TIMES).map(|_| start()).collect()
}

fn events(attended: &Attended, name: &str) -> Vec<Duration> {
    let event = |name: &str, n: usize| {
        format!(
            r#"{{"hook_event_name":"{name}","session_id":"bench","cwd":"/p","tool_name":"Read","tool_use_id":"{n}","tool_input":{{"file_path":"/p/a"}}}}"#
        )
    };
    let tell = |n: usize| {
        let (before, after) = (event(name, n), event("PostToolUse", n));
        let taken = timed(|| {
            assert!(attended.hook(&["claude-code"], &before).status.success());
        });
        attended.hook(&["claude-code"], &after);
        taken
    };
    (0..TIMES).map(tell).collect()
}
