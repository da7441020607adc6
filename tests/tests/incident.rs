//! `dragons incident` after a bad hour: a denial, a stall, another version, a lease that was revoked. Everything that it
//! writes is looked at, and what it collects is verified by the command that auditors use.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::Value;
use tests::{Run, World, read, stderr};

/// Silence is noticed after a second, and nothing is healed in the time of a test.
const CLOCKS: &str = r#"{"liveness":{"heartbeat_ms":100,"pulse_ms":500,"degraded_after_ms":1000,
    "autoheal_after_ms":600000,"tolerance_ms":500}}"#;

/// Text that must stay text wherever it is shown.
const HOSTILE: &str = "<img src=x onerror=alert(1)> zero\u{200b}width";

const FILES: [&str; 11] = [
    "README.md",
    "SHA256SUMS",
    "evidence.pack.jsonl",
    "findings.json",
    "leases.json",
    "manifests.json",
    "refusals.json",
    "report.json",
    "timeline.html",
    "timeline.json",
    "timeline.txt",
];

/// An agent that works, is denied, stands still and comes back, is another version, and has its lease revoked.
fn bad_hour() -> World {
    let world = World::with_charter(CLOCKS, 60_000);
    world.lease();
    let goal = [
        "run", "--agent", "worker", "--goal", HOSTILE, "--key", "KEY",
    ];
    let run = |program: &[&str]| world.dragons(&[&goal[..], &["--"], program].concat());
    world.succeed(run(&["sh", "-c", "echo one"]));
    assert_eq!(run(&["ls"]).output().unwrap().status.code(), Some(125));
    stall(&world);
    world.write("src/work.sh", "echo other work\n");
    let config = read(&world.service.scratch("agent/agent.toml"));
    let config = config.replace("version = \"1\"", "version = \"2\"");
    let config = config.replace(", \"read:**\"", ", \"read:**\", \"write:out/*\"");
    world.write("agent.toml", &config);
    world.register();
    world.lease();
    let lease = world.agent()["lease"].as_str().unwrap().to_owned();
    let revoke = [
        "lease", "revoke", &lease, "--reason", "enough", "--key", "OPERATOR",
    ];
    world.succeed(world.dragons(&revoke));
    world
}

fn stall(world: &World) {
    let mut run = Run::start(world.shell("echo up; read x; echo got $x"));
    assert_eq!(run.line(), "up\n");
    let mut events = world.service.events("/v1/events?after=0&agent=worker");
    run.signal(Signal::STOP);
    events.until_rule("pulse-lost");
    run.signal(Signal::CONT);
    events.until_rule("recovered");
    run.say("it");
    assert_eq!(run.end().0, Some(0));
}

fn incident(world: &World, out: &Path, words: &[&str]) -> Output {
    let out = out.to_str().unwrap();
    let command = [
        "incident", "worker", "-o", out, "--trust", "TRUST", "--json",
    ];
    let mut command = world.dragons(&[&command[..], words].concat());
    command.output().unwrap()
}

fn json(directory: &Path, name: &str) -> Value {
    serde_json::from_str(&read(&directory.join(name))).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let there = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = there
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn utc(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    let mut date = Command::new("date");
    let seconds = time.duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = format!("@{}.{:03}", seconds.as_secs(), ms % 1_000);
    let printed = date
        .args(["-u", "-d", &at, "+%Y-%m-%dT%H:%M:%S.%3NZ"])
        .output();
    String::from_utf8(printed.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn everything_about_a_bad_hour_is_in_one_directory() {
    let world = bad_hour();
    let out = world.service.scratch("case");
    let output = incident(&world, &out, &["--from", "-1h"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains(" s in all"), "{}", stderr(&output));
    assert_eq!(names(&out), FILES);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["verdict"], "incomplete");
    assert!(summary["took_ms"]["all"].is_u64());
    the_sums_are_right(&out, &summary);
    the_pack_verifies(&world, &out, 3);
    the_documents_tell_it(&world, &out);
    the_page_and_the_text_tell_it(&out);
    a_part_of_it_is_half_open(&world);
    the_whole_log_judges_everything(&world);
    values_are_told_if_somebody_asks(&world);
    the_mask_says_who_may_read(&world);
    what_cannot_be_made_is_refused(&world, &out);
}

fn the_sums_are_right(out: &Path, summary: &Value) {
    let mut check = Command::new("sha256sum");
    check
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(out);
    let checked = check.output().unwrap();
    assert!(checked.status.success(), "{}", stderr(&checked));
    let files = summary["files"].as_array().unwrap();
    assert_eq!(files.len(), FILES.len());
    let sums = read(&out.join("SHA256SUMS"));
    for file in files {
        let text = |member: &str| file[member].as_str().unwrap();
        let (name, sha256) = (text("name"), text("sha256"));
        let line = format!("{sha256}  {name}\n");
        assert_eq!(sums.contains(&line), name != "SHA256SUMS", "{name}");
        let length = std::fs::metadata(out.join(name)).unwrap().len();
        assert_eq!(file["bytes"], length, "{name}");
    }
}

fn the_pack_verifies(world: &World, out: &Path, exit: i32) {
    let pack = out.join("evidence.pack.jsonl");
    let verify = [
        "verify",
        pack.to_str().unwrap(),
        "--trust",
        "TRUST",
        "--json",
    ];
    let verified = world.dragons(&verify).output().unwrap();
    assert_eq!(verified.status.code(), Some(exit), "{}", stderr(&verified));
    let report = String::from_utf8(verified.stdout).unwrap();
    assert_eq!(report, read(&out.join("report.json")));
    assert!(
        !read(&pack).contains("\"disclosures\""),
        "nobody asked for that"
    );
}

fn the_documents_tell_it(world: &World, out: &Path) {
    let timeline = json(out, "timeline.json");
    let entries = timeline["entries"].as_array().unwrap();
    let about = |kind: &str| entries.iter().filter(|it| it["kind"] == kind).count();
    assert_eq!(
        (about("charter"), about("manifest"), about("lease")),
        (1, 2, 2)
    );
    assert_eq!((about("lease-revocation"), about("refusal")), (1, 1));
    assert!(about("heartbeat") > 1 && about("pulse") == 0);
    let states = timeline["life"]["states"].as_array().unwrap();
    let states: Vec<&str> = states
        .iter()
        .map(|it| it["state"].as_str().unwrap())
        .collect();
    assert!(
        states.contains(&"degraded") && states.contains(&"running"),
        "{states:?}"
    );
    let refusals = json(out, "refusals.json");
    let [refusal] = refusals["refusals"].as_array().unwrap().as_slice() else {
        panic!("{refusals}");
    };
    assert_eq!(
        (&refusal["code"], &refusal["count"]),
        (&"scope-denied".into(), &1.into())
    );
    assert_eq!(refusal["scope"], "run:ls");
    assert!(refusal["sentence"].as_str().unwrap().ends_with('.'));
    let leases = json(out, "leases.json");
    let [first, second] = leases["leases"].as_array().unwrap().as_slice() else {
        panic!("{leases}");
    };
    assert_eq!(
        first["used"]["actions"],
        world.receipts("intent").len().to_string()
    );
    assert_eq!(
        (&first["in_force_at_end"], &first["ended"]["why"]),
        (&false.into(), &"superseded".into())
    );
    assert_eq!(second["ended"]["reason"], "enough");
    assert_eq!(second["not_in_force_because"]["code"], "lease-revoked");
    let by = first["granted_by_names"][0].as_str().unwrap();
    assert!(by.starts_with("operator ["), "{by}");
    let manifests = json(out, "manifests.json");
    let versions = manifests["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    let differences = versions[1]["differences"].as_array().unwrap();
    let differences: Vec<(&str, &str)> = differences
        .iter()
        .map(|it| (it["group"].as_str().unwrap(), it["name"].as_str().unwrap()))
        .collect();
    for wanted in [
        ("version", "version"),
        ("code", "root"),
        ("config", "root"),
        ("capabilities", "write:out/*"),
    ] {
        assert!(differences.contains(&wanted), "{wanted:?}: {differences:?}");
    }
    assert_eq!(versions[1]["before"]["manifest"]["version"], "1");
    assert_eq!(json(out, "findings.json")["verdict"], "incomplete");
}

fn the_page_and_the_text_tell_it(out: &Path) {
    let (page, text) = (
        read(&out.join("timeline.html")),
        read(&out.join("timeline.txt")),
    );
    for part in [
        "scope-denied",
        "pulse-lost",
        "recovered",
        "enough",
        "write:out/*",
        "run:ls",
    ] {
        assert!(page.contains(part) && text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("zero⟨U+200B⟩width") && page.contains("zero⟨U+200B⟩width"));
    assert!(!page.contains("<img") && !page.contains("<script"));
    assert!(text.chars().all(|c| !c.is_control() || c == '\n'));
    let readme = read(&out.join("README.md"));
    let named = |name: &&&str| **name != "README.md" && !readme.contains(**name);
    assert_eq!(FILES.iter().filter(named).count(), 0, "{readme}");
    assert!(!readme.contains("onerror"));
}

/// The millisecond of the denial alone; and one in which there was nothing.
fn a_part_of_it_is_half_open(world: &World) {
    let entries = world.entries();
    let refusal = entries.iter().find(|it| it["kind"] == "refusal").unwrap();
    let at_ms = refusal["received_ms"].as_u64().unwrap();
    let part = |from: u64, to: u64| {
        let out = world.service.scratch(&format!("part-{from}-{to}"));
        let (from, to) = (utc(from), utc(to));
        let output = incident(world, &out, &["--from", &from, "--to", &to]);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        (json(&out, "timeline.json"), read(&out.join("timeline.txt")))
    };
    let (timeline, _) = part(at_ms, at_ms + 1);
    let entries = timeline["entries"].as_array().unwrap();
    assert!(
        entries.iter().all(|it| it["received_ms"] == at_ms),
        "{entries:?}"
    );
    assert!(entries.iter().any(|it| it["kind"] == "refusal"));
    assert!(timeline["entries_before"].as_u64() > Some(0));
    assert!(timeline["entries_after"].as_u64() > Some(0));
    let (timeline, text) = part(1_000, 2_000);
    assert_eq!(timeline["entries"], Value::Array(vec![]));
    assert!(
        text.contains("Nothing about it was logged in this span"),
        "{text}"
    );
}

fn the_whole_log_judges_everything(world: &World) {
    let out = world.service.scratch("whole");
    std::fs::create_dir(&out).unwrap();
    let output = incident(world, &out, &["--from", "-1h", "--whole-log"]);
    let exit = output.status.code().unwrap();
    // A busy machine may be late with a duty, which is a breach.
    assert!(exit == 0 || exit == 1, "{}", stderr(&output));
    the_pack_verifies(world, &out, exit);
    assert_eq!(json(&out, "report.json")["verdict"], "verified");
    let told = |directory: &Path| {
        json(directory, "timeline.json")["entries"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(
        told(&out),
        told(&world.service.scratch("case")),
        "the same is told"
    );
}

fn values_are_told_if_somebody_asks(world: &World) {
    let logs = std::fs::read_dir(world.service.scratch("state/dragons")).unwrap();
    let log = logs.last().unwrap().unwrap().path();
    let journal = read(&log.join("worker/disclosures.jsonl"));
    let values = world.service.scratch("values.jsonl");
    // Those of a denied intent open nothing: it is not in the log.
    std::fs::write(&values, journal.lines().next().unwrap()).unwrap();
    let out = world.service.scratch("told");
    let words = ["--from", "-1h", "--disclose", values.to_str().unwrap()];
    let output = incident(world, &out, &words);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let report = json(&out, "report.json");
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|it| it["id"] == "disclosures").unwrap();
    assert_eq!(check["status"], "pass", "{check}");
}

fn the_mask_says_who_may_read(world: &World) {
    let out = world.service.scratch("masked");
    let collect = "umask 027; exec dragons incident worker --from -1h -o \"$0\"";
    let sh = world.dragons(&[]);
    let (envs, path) = (sh.get_envs(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.envs(envs.filter_map(|(name, value)| Some((name, value?))));
    let bin = Path::new(sh.get_program()).parent().unwrap();
    shell.env("PATH", format!("{}:{path}", bin.display()));
    let output = shell.args(["-c", collect]).arg(&out).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&out), 0o750);
    for name in names(&out) {
        assert_eq!(mode(&out.join(&name)), 0o640, "{name}");
    }
    assert!(
        !names(&out).contains(&"report.json".to_owned()),
        "nobody verified"
    );
}

fn what_cannot_be_made_is_refused(world: &World, out: &Path) {
    let before = names(out);
    let beside = names(out.parent().unwrap());
    let refused = |out: PathBuf, words: &[&str]| {
        let output = incident(world, &out, words);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{words:?}: {}",
            stderr(&output)
        );
        stderr(&output)
    };
    assert!(refused(out.to_owned(), &["--from", "-1h"]).contains("is not empty"));
    let fresh = world.service.scratch("fresh");
    let why = refused(fresh.clone(), &["--from", "-1h", "--to", "-2h"]);
    assert!(why.contains("the span ends at "), "{why}");
    for extra in [&["--whole-log"][..], &[]] {
        let path = fresh.to_str().unwrap();
        let nobody = [
            "incident", "nobody", "--from", "-1h", "-o", path, "--trust", "TRUST",
        ];
        let output = world
            .dragons(&[&nobody[..], extra].concat())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let code = if extra.is_empty() {
            "not-found"
        } else {
            "agent-unknown"
        };
        assert!(stderr(&output).contains(code), "{}", stderr(&output));
    }
    assert_eq!(names(out), before);
    assert_eq!(
        names(out.parent().unwrap()),
        beside,
        "nothing was left behind"
    );
}
