//! The evidence of a governed run, as somebody else gets it: exported, opened with its values, verified with the service
//! gone.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tests::{World, dragons, read, stderr};

/// Reads with leave, is refused one thing, and says what came of it.
const PROGRAM: &str = r#"
    dragons tell '{"intent":{"scope":"read:README.md","inputs":{"question":"how long?"}}}' >/dev/null
    dragons tell "{\"result\":{\"outputs\":{\"lines\":\"$(wc -l < README.md)\"}}}" >/dev/null
    dragons tell '{"intent":{"scope":"read:secrets"}}' >/dev/null && exit 9
    exit 0"#;

/// A world in which the program has run, and a file with the values behind its commitments.
fn governed() -> (World, PathBuf) {
    let world = World::new();
    world.succeed(world.shell(PROGRAM));
    let opened = values(&world);
    (world, opened)
}

/// A copy of all values that the agent keeps.
fn values(world: &World) -> PathBuf {
    let logs = std::fs::read_dir(world.service.scratch("state/dragons"));
    let log = logs.unwrap().next().unwrap().unwrap().path();
    let opened = world.service.scratch("opened.jsonl");
    std::fs::copy(log.join("worker/disclosures.jsonl"), &opened).unwrap();
    opened
}

fn export(world: &World, name: &str, selection: &[&str]) -> PathBuf {
    let path = world.service.scratch(name);
    let out = path.to_str().unwrap();
    let words = [&["export", "--trust", "TRUST", "-o", out], selection].concat();
    world.succeed(world.dragons(&words));
    path
}

/// By somebody who has the pack and the trust, and no service.
fn verify(world: &World, pack: &Path) -> (Option<i32>, Value) {
    let mut command = dragons().command();
    command.arg("verify").arg(pack).arg("--json");
    let command = command.arg("--trust").arg(world.service.trust());
    let Output { status, stdout, .. } = command.output().unwrap();
    (status.code(), serde_json::from_slice(&stdout).unwrap())
}

fn statuses<'a>(report: &'a Value, status: &str) -> Vec<&'a str> {
    let checks = report["checks"].as_array().unwrap().iter();
    let of_status = checks.filter(|check| check["status"] == status);
    of_status
        .map(|check| check["id"].as_str().unwrap())
        .collect()
}

/// The payloads of the leaves of a pack.
fn payloads(pack: &Path) -> Vec<Value> {
    let text = read(pack);
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let leaves = lines.filter_map(|line: Value| {
        let leaf: Value = serde_json::from_str(line["leaf"].as_str()?).unwrap();
        let payload = leaf["envelope"]["payload"].as_str().unwrap().to_owned();
        serde_json::from_slice(&tlog::base64::decode(&payload).unwrap()).ok()
    });
    leaves.collect()
}

fn count(payloads: &[Value], member: &str, value: &str) -> usize {
    payloads.iter().filter(|one| one[member] == value).count()
}

#[test]
fn the_evidence_of_a_run_holds_where_the_service_is_gone() {
    let (mut world, opened) = governed();
    let goal = world.entry_of("goal")["record"]
        .as_str()
        .unwrap()
        .to_owned();
    // Another goal, which is not part of the first one's evidence.
    world.succeed(world.shell("true"));
    let export = |name, selection: &[&str]| {
        let values = ["--disclose", opened.to_str().unwrap()];
        export(&world, name, &[selection, &values].concat())
    };
    let by_goal = export("goal.pack.jsonl", &["--goal", &goal]);
    let by_agent = export("agent.pack.jsonl", &["--agent", "worker"]);
    let whole = export("whole.pack.jsonl", &[]);
    assert_eq!(world.service.stop().code(), Some(0));

    for pack in [&by_goal, &by_agent] {
        let (code, report) = verify(&world, pack);
        assert_eq!(code, Some(3), "a part of a log is incomplete: {report}");
        assert_eq!(
            (&report["verdict"], &report["summary"]["problems"]),
            (&"incomplete".into(), &0.into())
        );
        assert_eq!(statuses(&report, "fail"), [""; 0]);
        for check in [
            "form",
            "checkpoint",
            "inclusion",
            "leaves",
            "signatures",
            "disclosures",
        ] {
            assert!(
                statuses(&report, "pass").contains(&check),
                "{check}: {report}"
            );
        }
    }
    let (code, report) = verify(&world, &whole);
    assert_eq!(
        (code, &report["verdict"]),
        (Some(0), &"verified".into()),
        "{report}"
    );
    assert!(statuses(&report, "pass").contains(&"authority"));

    let told = payloads(&by_goal);
    for (phase, times) in [("goal", 1), ("intent", 2), ("result", 2), ("outcome", 1)] {
        assert_eq!(count(&told, "phase", phase), times, "{phase}");
    }
    let told = payloads(&by_agent);
    assert_eq!(count(&told, "phase", "goal"), 2);
    assert_eq!(
        count(&told, "code", "scope-denied"),
        1,
        "the refusal is told of the agent"
    );
}

#[test]
fn a_pack_tells_the_values_of_its_own_records_and_no_others() {
    let (world, _) = governed();
    let goal = world.entry_of("goal")["record"]
        .as_str()
        .unwrap()
        .to_owned();
    world.succeed(world.shell("echo of the other goal"));
    let opened = values(&world);
    let words = ["--goal", &goal, "--disclose", opened.to_str().unwrap()];
    let pack = export(&world, "goal.pack.jsonl", &words);
    let told = read(&pack);
    let (own, other) = (
        tlog::base64::encode(b"how long?"),
        tlog::base64::encode(b"of the other goal\n"),
    );
    assert!(told.contains(&own) && read(&opened).contains(&other));
    assert!(!told.contains(&other), "it is not this goal's");
    let (code, report) = verify(&world, &pack);
    assert_eq!(code, Some(3), "{report}");
    assert!(
        statuses(&report, "pass").contains(&"disclosures"),
        "{report}"
    );
    // Values that none of its records commit to leave a pack without any.
    let beginning = ["--from", "0", "--to", "1"];
    let words_of_beginning = [&beginning[..], &words[2..]].concat();
    let pack = export(&world, "beginning.pack.jsonl", &words_of_beginning);
    assert!(!read(&pack).contains("\"disclosures\""));
    assert_eq!(verify(&world, &pack).1["summary"]["problems"], 0);
    // A value that is not the one that was committed to is not told as if it were.
    let text = read(&opened).replace(&own, &tlog::base64::encode(b"how wide?"));
    std::fs::write(&opened, text).unwrap();
    let out = world.service.scratch("none.pack.jsonl");
    let export = ["export", "--trust", "TRUST", "-o", out.to_str().unwrap()];
    let output = world.dragons(&[&export[..], &words[..]].concat()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("matches no commitment") && !out.exists());
}

#[test]
fn a_value_that_was_changed_opens_nothing() {
    let (world, opened) = governed();
    let pack = export(
        &world,
        "all.pack.jsonl",
        &["--disclose", opened.to_str().unwrap()],
    );
    let (question, other) = (
        tlog::base64::encode(b"how long?"),
        tlog::base64::encode(b"how wide?"),
    );
    let text = read(&pack);
    assert!(text.contains(&question));
    std::fs::write(&pack, text.replace(&question, &other)).unwrap();
    let (code, report) = verify(&world, &pack);
    assert_eq!((code, &report["verdict"]), (Some(1), &"failed".into()));
    assert_eq!(report["findings"][0]["code"], "disclosure-mismatch");
}

/// What the program gets back opens its commitment by itself; and its own word counts as progress.
#[test]
fn a_program_discloses_one_value_and_says_how_far_it_is() {
    let world = World::new();
    let script = r#"
        dragons tell '{"progress":41}' >/dev/null
        dragons tell '{"intent":{"scope":"read:README.md","inputs":{"question":"how long?","secret":"x"}}}' > permit
        intent=$(sed 's/.*"intent":"\([^"]*\)".*/\1/' permit)
        dragons tell "{\"disclose\":{\"record\":\"$intent\",\"side\":\"inputs\",\"name\":\"question\"}}"
        dragons tell "{\"disclose\":{\"record\":\"$intent\",\"side\":\"inputs\",\"name\":\"other\"}}"
        exit 0"#;
    let told = world.succeed(world.shell(script));
    let told: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told[1]["ok"], false, "there is no such value");
    let opened = world.service.scratch("opened.jsonl");
    std::fs::write(&opened, told[0]["disclosure"].to_string()).unwrap();
    let pack = export(
        &world,
        "one.pack.jsonl",
        &["--disclose", opened.to_str().unwrap()],
    );
    let (code, report) = verify(&world, &pack);
    assert_eq!(code, Some(0), "{report}");
    assert!(
        statuses(&report, "pass").contains(&"disclosures"),
        "{report}"
    );
    let beats = world.payloads("heartbeat");
    let farthest = beats.iter().filter_map(|beat| beat["progress"].as_u64());
    assert!(farthest.max() >= Some(41), "{beats:?}");
}
