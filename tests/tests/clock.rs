//! The service's clock is set: before it starts, and while it runs.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ledger::key::PrivateKey;
use serde_json::Value;
use tests::{Answer, Service, SetClock, Shell, now_ms, read, sign};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How long a test waits for what the service does by itself within a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service that has a log, and clocks that are in the test's hand.
struct Clocked {
    shell: Shell,
    clock: SetClock,
}

impl Clocked {
    fn new() -> Self {
        let shell = Shell::new();
        let clock = SetClock::new(&shell.service.scratch(""));
        let mut clocked = Self { shell, clock };
        let record = registration(&clocked.shell.service);
        clocked.service().log(&record);
        clocked.restart(0, &[]);
        clocked
    }

    fn service(&mut self) -> &mut Service {
        &mut self.shell.service
    }

    fn restart(&mut self, wall_ms: i64, flags: &[&str]) {
        assert!(self.service().stop().success());
        self.clock.set(wall_ms, 0);
        self.start(flags);
    }

    fn start(&mut self, flags: &[&str]) {
        let mut command = self.service().serve_command();
        command.args(flags);
        self.clock.wind(&mut command);
        self.service().start_by(command);
    }

    /// Starts it, which must fail, and gives what it says.
    fn fail_to_start(&mut self, flags: &[&str]) -> String {
        let mut command = self.service().serve_command();
        command.args(flags).stdin(Stdio::null());
        self.clock.wind(&mut command);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }

    fn see(&self, id: &str) -> Answer {
        let signer = self.shell.service.signer();
        let record = signer.observation("a", id);
        self.shell.service.post(record.envelope().to_json())
    }

    fn ready(&self) -> Answer {
        self.shell.service.get("/readyz")
    }

    fn becomes_ready(&self) {
        wait(|| self.ready().status == 200, "the service to be ready");
    }

    fn doctor(&self, name: &str) -> Value {
        let output = self.shell.run("doctor --json --trust TRUST");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name);
        check.unwrap().clone()
    }
}

fn registration(service: &Service) -> ledger::record::SignedRecord {
    service
        .signer()
        .registration("a", &PrivateKey::from_seed(&[5; 32]))
}

fn wait(is_so: impl Fn() -> bool, what: &str) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_clock_days_ahead_at_a_start_signs_nothing_until_it_is_set_right() {
    let mut clocked = Clocked::new();
    clocked.restart(6 * DAY_MS, &[]);
    let size = clocked.service().size();
    let answer = clocked.see("too soon");
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    assert_eq!(clocked.ready().status, 503);
    assert_eq!(clocked.service().size(), size, "nothing is signed");
    assert_eq!(clocked.service().get("/v1/entries/0").status, 200);
    assert_eq!(clocked.doctor("log-time")["result"], "problem");
    clocked.clock.set(0, 0);
    clocked.becomes_ready();
    assert_eq!(clocked.see("in time").status, 200);
    assert!(clocked.service().stop().success());
}

#[test]
fn a_service_that_stood_still_for_hours_is_vouched_for_by_whoever_speaks() {
    let mut clocked = Clocked::new();
    clocked.restart(2 * HOUR_MS, &[]);
    assert_eq!(clocked.see("an observer").status, 503);
    let signer = clocked.service().signer();
    let key = PrivateKey::from_seed(&[8; 32]);
    let mut record = signer.registration("b", &key).record().clone();
    record.at_ms = now_ms() + u64::try_from(2 * HOUR_MS).unwrap();
    let trust = clocked.service().key("operator");
    let operator = PrivateKey::from_pem(&read(&trust)).unwrap();
    clocked.service().log(&sign(&record, &[&operator, &key]));
    clocked.becomes_ready();
    assert_eq!(clocked.see("an observer").status, 200);
}

/// A service that stood still for two hours, and an agent with a lease for longer.
fn stood_still() -> Clocked {
    let mut clocked = Clocked::new();
    for prepares in [
        "manifest register DIR --key OPERATOR --agent-key AGENT",
        "lease grant greeter --allow run:greet --for 1d --key OPERATOR",
    ] {
        clocked.shell.succeed(prepares);
    }
    clocked.restart(2 * HOUR_MS, &[]);
    assert_eq!(clocked.ready().status, 503);
    clocked
}

#[test]
fn a_beat_vouches_for_the_clock_where_its_own_says_the_same() {
    let mut clocked = stood_still();
    let beat = "heartbeat --dir DIR --key AGENT --trust TRUST";
    let mut beat = clocked.shell.command(beat);
    clocked.clock.wind(&mut beat);
    let output = beat.output().unwrap();
    assert!(output.status.success(), "{}", tests::stderr(&output));
    clocked.becomes_ready();
    assert!(clocked.service().stop().success());
}

/// A run that has the time from the service itself is not a second voice, although it dates its records by that time.
#[test]
fn an_agent_whose_clock_says_another_time_vouches_for_nothing() {
    let mut clocked = stood_still();
    let size = clocked.service().size();
    for speaks in [
        "run --dir DIR --key AGENT --trust TRUST --patience 1s -- true",
        "heartbeat --dir DIR --key AGENT --trust TRUST",
    ] {
        assert!(!clocked.shell.run(speaks).status.success(), "{speaks}");
        assert_eq!(clocked.ready().status, 503, "{speaks}");
        assert_eq!(clocked.service().size(), size, "{speaks}");
    }
}

#[test]
fn there_is_a_way_back_from_a_clock_that_was_believed_too_soon() {
    let mut clocked = Clocked::new();
    clocked.shell.register_and_lease();
    clocked.restart(6 * DAY_MS, &["--accept-clock-jump"]);
    clocked.becomes_ready();
    assert!(clocked.service().stop().success());
    clocked.clock.set(0, 0);
    let said = clocked.fail_to_start(&[]);
    assert!(said.contains("--accept-clock-jump"), "{said}");
    clocked.start(&["--accept-clock-jump"]);
    clocked.becomes_ready();
    let behind_ms = clocked.ready().json()["clock_behind_ms"].as_i64().unwrap();
    assert!(
        (5 * DAY_MS..=6 * DAY_MS).contains(&behind_ms),
        "{behind_ms}"
    );
    let check = clocked.doctor("log-time");
    assert_eq!(check["result"], "warning", "{check}");
    // The clock is read off a Date header, which has no fractions of a second.
    let detail = check["detail"].as_str().unwrap();
    assert!(
        detail.contains("5 days") || detail.contains("6 days"),
        "{check}"
    );
    // What keeps agents in check gets in at once, and so do their beats: clients sign in the log's time.
    let shell = &clocked.shell;
    shell.succeed("lease grant greeter --allow run:greet --for 1h --key OPERATOR --trust TRUST");
    shell.succeed("heartbeat --dir DIR --key AGENT --trust TRUST");
    shell.succeed("agent quarantine greeter --reason test --key OPERATOR --trust TRUST");
    let agent = shell.service.get("/v1/agents/greeter").json();
    assert_eq!(agent["state"], "quarantined");
    let log_ms = agent["log_ms"].as_u64().unwrap();
    assert!(log_ms > now_ms() + 5 * DAY_MS.unsigned_abs(), "{log_ms}");
    shell.succeed("agent stop greeter --reason test --key OPERATOR --trust TRUST");
    assert!(clocked.service().stop().success());
}

#[test]
fn a_jump_forward_while_it_runs_is_taken() {
    let mut clocked = Clocked::new();
    clocked.clock.set(300_000, 0);
    let answer = clocked.see("later");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received_ms = answer.json()["received_ms"].as_u64().unwrap();
    assert!(received_ms >= now_ms() + 299_000);
    assert_eq!(clocked.ready().status, 200);
    clocked.clock.set(600_000, 0);
    assert_eq!(
        clocked.see("still later").status,
        200,
        "steps do not add up"
    );
    assert!(clocked.service().stop().success());
}

#[test]
fn a_jump_back_while_it_runs_is_waited_out() {
    let mut clocked = Clocked::new();
    clocked.clock.set(-300_000, 0);
    let first = clocked.see("at once").json()["received_ms"].as_u64();
    let second = clocked.see("and again").json()["received_ms"].as_u64();
    assert!(first.is_some());
    assert_eq!(first, second, "the last entry's time is repeated");
    clocked.clock.set(-300_000 + 61_000, 61_000);
    let answer = clocked.see("too long");
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    assert_eq!(clocked.ready().status, 503);
    assert_eq!(clocked.doctor("log-time")["result"], "problem");
    clocked.clock.set(0, 361_000);
    clocked.becomes_ready();
    assert_eq!(clocked.see("caught up").status, 200);
    assert!(clocked.service().stop().success());
}
