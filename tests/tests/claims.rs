//! What nobody signed is a claim: a refusal, a silence, an answer that leaves something out. Somebody holds the line.

use serde_json::Value;
use tests::{HeldLine, Meddling, Service, Shell};

const BEAT: &str = "heartbeat --dir DIR --key AGENT";
const GOAL: &str = "receipt goal --dir DIR --key AGENT --title greet";

fn working() -> Shell {
    let shell = Shell::new();
    shell.register_and_lease();
    shell.succeed(BEAT);
    shell
}

fn through(line: &HeldLine, words: &str) -> String {
    format!("{words} --server {}", line.url())
}

fn record(answer: &Value) -> String {
    answer["record"].as_str().expect("a record").to_owned()
}

/// Hands in, by another way, what was kept on the line.
fn deliver(shell: &Shell, envelope: &str) -> u16 {
    shell.service.post(envelope.to_owned()).status
}

fn phases(shell: &Shell) -> Vec<String> {
    let entry = |index| shell.service.get(&format!("/v1/entries/{index}")).json();
    let entries = (0..shell.service.size()).map(entry);
    let receipts = entries.filter(|entry| entry["kind"] == "receipt");
    receipts
        .map(|entry| entry["payload"]["phase"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_refusal_that_nobody_signed_wedges_no_agent() {
    let shell = working();
    let goal = record(&shell.json(GOAL));
    let line = HeldLine::to(&shell.service);
    let intent = format!("receipt intent --dir DIR --key AGENT --goal {goal} --scope run:greet");
    line.meddle(Meddling::Keep("403 Forbidden", "scope-denied"));
    let (status, stderr) = shell.fail(&through(&line, &intent));
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("scope-denied"), "{stderr}");
    let kept = line.kept();
    assert_eq!(kept.len(), 1);
    // The very same bytes arrive later.
    assert_eq!(deliver(&shell, &kept[0]), 200);
    line.meddle(Meddling::None);
    let permit = shell.json(&through(&line, &intent));
    assert!(permit["intent"].is_string(), "{permit}");
    // Nobody acted upon the first, and that is said.
    assert_eq!(phases(&shell), ["goal", "intent", "result", "intent"]);
    let verdict = verified(&shell);
    assert_eq!(verdict["findings"], serde_json::json!([]), "{verdict}");
}

#[test]
fn a_refusal_of_what_is_in_the_log_already_is_not_believed() {
    let shell = working();
    let goal = record(&shell.json(GOAL));
    let line = HeldLine::to(&shell.service);
    let intent = format!("receipt intent --dir DIR --key AGENT --goal {goal} --scope run:greet");
    line.meddle(Meddling::PassAndRefuse("403 Forbidden", "scope-denied"));
    let permit = shell.json(&through(&line, &intent));
    assert!(permit["intent"].is_string(), "{permit}");
    assert_eq!(phases(&shell), ["goal", "intent"]);
}

/// The first record of an epoch, of an agent that was told that it may not begin.
#[test]
fn a_beginning_that_was_said_to_be_refused_is_adopted() {
    let shell = Shell::new();
    shell.register_and_lease();
    let line = HeldLine::to(&shell.service);
    line.meddle(Meddling::Keep("403 Forbidden", "lease-expired"));
    let (status, stderr) = shell.fail(&through(&line, BEAT));
    assert_eq!(status, 2, "{stderr}");
    assert_eq!(deliver(&shell, &line.kept()[0]), 200);
    line.meddle(Meddling::None);
    shell.succeed(&through(&line, GOAL));
    assert_eq!(shell.json("agent show greeter")["epoch"], 1);
}

#[test]
fn a_real_refusal_is_one_and_work_goes_on() {
    let shell = working();
    let goal = record(&shell.json(GOAL));
    let intent =
        |scope: &str| format!("receipt intent --dir DIR --key AGENT --goal {goal} --scope {scope}");
    for _ in 0..3 {
        let (status, stderr) = shell.fail(&intent("write:disk"));
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains("capability-missing"), "{stderr}");
    }
    shell.succeed(&intent("run:greet"));
    assert_eq!(phases(&shell), ["goal", "intent"]);
}

#[test]
fn a_signature_that_was_taken_off_is_missed() {
    let shell = Shell::new();
    shell.register_and_lease();
    let second = shell.json("keygen --name second --out @second.pem");
    let amend = format!(
        "charter amend --add-key operator:{}:second -o @next.json",
        second["key"].as_str().unwrap()
    );
    shell.succeed(&amend);
    shell.succeed("charter sign @next.json --key ROOT");
    shell.succeed("charter submit @next.json");
    let line = HeldLine::to(&shell.service);
    line.meddle(Meddling::Strip);
    let order = "agent quarantine greeter --reason test --key OPERATOR --cosign-key @second.pem";
    let (status, stderr) = shell.fail(&through(&line, order));
    assert_eq!(status, 2, "{stderr}");
    let operator = shell.json("fingerprint OPERATOR")["name"].clone();
    let signers = [second["keyid"].as_str(), operator.as_str()];
    let named = signers.iter().flatten().filter(|id| stderr.contains(**id));
    assert_eq!(named.count(), 1, "{stderr}");
    assert!(stderr.contains("without the signature of"), "{stderr}");
}

/// The operator saw 503, granted again, and revoked it. What was lost arrives afterwards.
#[test]
fn a_grant_that_was_lost_does_nothing_when_it_turns_up() {
    let shell = Shell::new();
    shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
    let line = HeldLine::to(&shell.service);
    let grant = "lease grant greeter --allow run:greet --for 8h --key OPERATOR";
    line.meddle(Meddling::Keep("503 Service Unavailable", "overloaded"));
    let (status, stderr) = shell.fail(&through(&line, grant));
    assert_eq!(status, 2, "{stderr}");
    assert!(
        stderr.contains("the same command sends the same bytes again"),
        "{stderr}"
    );
    // What was signed is known, though nobody has answered.
    let listed = shell.json("lease list --trust TRUST");
    let told = (&listed["agent"], &listed["status"]);
    assert_eq!(told, (&"greeter".into(), &"never answered".into()));
    // Another lease in its place, which is revoked.
    line.meddle(Meddling::None);
    let other = shell.json(&through(&line, &grant.replace("8h", "1h")));
    assert_ne!(other["record"], listed["lease"]);
    let revoke = format!(
        "lease revoke {} --reason test --key OPERATOR",
        record(&other)
    );
    shell.succeed(&through(&line, &revoke));
    let lost = &line.kept()[0];
    let answer = shell.service.post(lost.clone());
    assert_eq!(answer.code(), "after-mismatch", "{}", answer.text());
    assert_eq!(
        shell.json("agent show greeter")["lease_ends_ms"],
        Value::Null
    );
}

#[test]
fn a_grant_that_nobody_answered_is_sent_again_as_it_was() {
    for lost in [
        Meddling::Keep("503 Service Unavailable", "overloaded"),
        Meddling::LoseAnswer,
    ] {
        let shell = Shell::new();
        shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
        let line = HeldLine::to(&shell.service);
        let grant = "lease grant greeter --allow run:greet --for 8h --key OPERATOR";
        line.meddle(lost.clone());
        let (status, stderr) = shell.fail(&through(&line, grant));
        assert_eq!(status, 2, "{stderr}");
        line.meddle(Meddling::None);
        let granted = shell.json(&through(&line, grant));
        let seen = line.seen();
        let last = seen.last().unwrap();
        assert!(
            seen[..seen.len() - 1].contains(last),
            "the same bytes: {lost:?}"
        );
        assert_eq!(shell.json("agent show greeter")["epoch"], 1, "{lost:?}");
        let listed = shell.json("lease list --trust TRUST");
        assert_eq!(listed["lease"], granted["record"]);
        assert_eq!(listed["status"], "in force");
    }
}

/// From quarantine to a fixed version: register, grant, release.
#[test]
fn a_mended_version_leaves_quarantine() {
    let shell = working();
    shell.succeed("agent quarantine greeter --reason drift --key OPERATOR");
    let script = shell.service.scratch("greeter/src/greet.sh");
    std::fs::write(script, "echo mended\n").unwrap();
    shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
    shell.succeed("lease grant greeter --allow run:greet --key OPERATOR");
    let kept = shell.json("agent show greeter");
    assert_eq!(
        (&kept["state"], &kept["epoch"]),
        (&"quarantined".into(), &1.into())
    );
    shell.succeed("agent release greeter --reason mended --key OPERATOR");
    let released = shell.json("agent show greeter");
    assert_eq!(
        (&released["state"], &released["epoch"]),
        (&"autohealing".into(), &2.into())
    );
    shell.succeed(BEAT);
}

/// A log that observed at first, and whose rules bind now: what it once showed sets nobody free who knows better.
#[test]
fn a_charter_that_is_over_does_not_come_back() {
    let shell = Shell::over(Service::with(&["--mode", "observe"], &[]));
    shell.register_and_lease();
    let once = shell.service.get("/v1/charter").text();
    shell.succeed("charter amend --mode enforce -o @next.json");
    shell.succeed("charter sign @next.json --key ROOT");
    shell.succeed("charter submit @next.json");
    let line = HeldLine::to(&shell.service);
    let run = format!(
        "run --agent greeter --goal greet --dir DIR --key AGENT --server {} -- touch @ran",
        line.url()
    );
    let refused = |why: &str| {
        let output = shell.run(&run);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(125), "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
        assert!(!shell.service.scratch("ran").exists(), "{stderr}");
    };
    refused("scope-denied");
    line.meddle(Meddling::ShowCharter(once));
    refused("a later charter is known here");
}

/// The whole log, verified by somebody without a network.
fn verified(shell: &Shell) -> Value {
    shell.succeed("export -o @all.pack.jsonl --trust TRUST");
    let output = shell.run("verify @all.pack.jsonl --trust TRUST --json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "verified", "{report}");
    report
}
