//! `dragons report` from a pack, and `dragons report check`: what it writes, and that nothing in it can be changed unseen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proving::fleet::{Size, sound};
use proving::simulation::play;
use proving::watchdog;
use serde_json::Value;
use tempfile::TempDir;

const SIZE: Size = Size {
    days: 1,
    agents: 16,
};

const MAP: &str = r#"
[[source]]
name = "cron"
every_ms = 300000
slack_ms = 30000
sees = ["silence"]
rules_from = 2025-11-24T00:00:00Z
"#;

/// The files of a report, in the order of the alphabet.
const FILES: [&str; 15] = [
    "SHA256SUMS",
    "events.ocsf.jsonl",
    "evidence.pack.jsonl",
    "inputs/cron.csv",
    "inputs/map.toml",
    "registers/authority.csv",
    "registers/changes.csv",
    "registers/coverage.csv",
    "registers/incidents.csv",
    "registers/oversight.csv",
    "report.html",
    "report.json",
    "statement.dsse.json",
    "trust.json",
    "verification.json",
];

/// A day of a small fleet, and what a cron job said of it.
struct Day {
    folder: TempDir,
}

impl Day {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (seed, plan) = sound(SIZE);
        let log = play(seed, &plan.script, plan.end_ms);
        let signed = log.cosigned(log.size(), log.state().last_received_ms() / 1000);
        let day = Self { folder };
        let size = log.size().get();
        day.write("whole.jsonl", &log.pack_of(0, size, &signed));
        day.write("part.jsonl", &log.pack_of(1, size, &signed));
        let cut = log.pack_of(0, size, &signed);
        day.write("cut.jsonl", &cut[..cut.len() / 2]);
        let forged = forged(&cut);
        day.write("forged.jsonl", &forged);
        day.write("trust.json", &log.trust_witnessed().to_json());
        day.write("map.toml", MAP);
        day.write("cron.csv", &csv(&watchdog::watch(seed, &plan)));
        day
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn report(&self, pack: &str, out: &str) -> Output {
        self.dragons(&[
            "report",
            "--from",
            "2025-11-24T00:00:00Z",
            "--to",
            "2025-11-25T00:00:00Z",
            "--map",
            "map.toml",
            "--alerts",
            "cron.csv",
            "--pack",
            pack,
            "--trust",
            "trust.json",
            "-o",
            out,
        ])
    }

    fn check(&self, words: &[&str]) -> (Option<i32>, Value) {
        let output = self.dragons(&[&["report", "check"], words, &["--json"]].concat());
        let told = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), told)
    }

    fn dragons(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dragons"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env_clear();
        command.output().unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }
}

fn csv(alarms: &[watchdog::Alarm]) -> String {
    let mut csv = "ts,agent,event,id,until\n".to_owned();
    for alarm in alarms.iter().filter(|alarm| alarm.source == "cron") {
        let agent = proving::simulation::agent_name(alarm.agent);
        let opened = timeline::words::utc(alarm.opened_ms);
        let closed = alarm
            .closed_ms
            .map_or_else(String::new, timeline::words::utc);
        csv += &format!("{opened},{agent},silence,{}-{opened},{closed}\n", alarm.id);
    }
    csv += "2025-11-24T03:00:00Z,,source-lost,outage,2025-11-24T03:10:00Z\n";
    csv
}

fn files(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["", "inputs", "registers"] {
        for file in fs::read_dir(directory.join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(directory).unwrap();
                names.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    for name in files(from) {
        let path = to.join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(from.join(name), path).unwrap();
    }
}

#[test]
fn a_report_is_written_whole_and_checked_again() {
    let day = Day::new();
    let made = day.report("whole.jsonl", "out");
    let stderr = String::from_utf8_lossy(&made.stderr).into_owned();
    assert_eq!(made.status.code(), Some(0), "{stderr}");
    assert_eq!(files(&day.path("out")), FILES);
    let report = day.json("out/report.json");
    assert_eq!(report["verdict"], "verified");
    assert_eq!(report["inputs"][2]["name"], "inputs/cron.csv");
    let cases = report["cases"].as_array().unwrap();
    assert!(cases.iter().any(|case| case["by"] == "both"), "{cases:#?}");

    let (code, told) = day.check(&["out"]);
    assert_eq!(
        (code, &told["result"], &told["trust"]),
        (Some(0), &"equal".into(), &"its own".into()),
        "{told}"
    );
    let (code, told) = day.check(&["out", "--trust", "trust.json"]);
    assert_eq!((code, &told["trust"]), (Some(0), &"given".into()), "{told}");

    // The same once more gives the same bytes.
    assert_eq!(day.report("whole.jsonl", "again").status.code(), Some(0));
    for name in FILES {
        let read = |out: &str| fs::read(day.path(out).join(name)).unwrap();
        assert_eq!(read("out"), read("again"), "{name}");
    }
}

/// Whatever is changed is noticed, even by somebody who has corrected the fingerprints.
#[test]
fn nothing_in_a_report_is_changed_unseen() {
    let day = Day::new();
    assert_eq!(day.report("whole.jsonl", "out").status.code(), Some(0));
    for name in FILES {
        copy(&day.path("out"), &day.path("changed"));
        let path = day.path("changed").join(name);
        let text = fs::read_to_string(&path).unwrap();
        let changed = wronged(name, &text);
        assert_ne!(text, changed, "{name}");
        fs::write(&path, changed).unwrap();
        let sums = day.path("changed/SHA256SUMS");
        if name != "SHA256SUMS" {
            let corrected = sums_of(&day.path("changed"));
            fs::write(sums, corrected).unwrap();
        }
        let (code, told) = day.check(&["changed", "--trust", "trust.json"]);
        let differs = told["differs"].as_array().map_or(0, Vec::len);
        match name {
            // The trust was given, so what lies there is not asked.
            "trust.json" => assert_eq!(code, Some(0), "{name}: {told}"),
            _ => assert!(code == Some(1) && differs > 0, "{name}: {code:?} {told}"),
        }
    }
}

/// A file with something else in it that is still a file of its kind.
fn wronged(name: &str, text: &str) -> String {
    match name {
        // An alert is dropped, and a rule is said to be older than it is.
        "inputs/cron.csv" => text
            .lines()
            .take(2)
            .map(|line| format!("{line}\n"))
            .collect(),
        "inputs/map.toml" => text.replace("silence", "stall"),
        // A window is shifted by an hour.
        "report.json" => text.replacen(
            "\"from_ms\": 1763942400000",
            "\"from_ms\": 1763946000000",
            1,
        ),
        "evidence.pack.jsonl" => forged(text),
        "SHA256SUMS" => text.replacen(['a', 'b'], "c", 1),
        "statement.dsse.json" => text.replacen("\"payload\":\"ey", "\"payload\":\"eY", 1),
        // Where nothing happened the first line is all there is.
        _ if !text.contains(['0', '1', '2']) => text.replacen("entry", "index", 1),
        _ => text.replacen(['0', '1', '2'], "7", 1),
    }
}

/// A pack whose first leaf is not the one that the log holds.
fn forged(pack: &str) -> String {
    pack.replacen(r#"received_ms\":1"#, r#"received_ms\":2"#, 1)
}

fn sums_of(directory: &Path) -> String {
    use sha2::{Digest as _, Sha256};
    let names = files(directory)
        .into_iter()
        .filter(|name| name != "SHA256SUMS");
    let sum = |name: String| {
        let hash = Sha256::digest(fs::read(directory.join(&name)).unwrap());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{hex}  {name}\n")
    };
    names.map(sum).collect()
}

/// A text of a report, and what a forger makes of it.
type Forgery = (&'static str, &'static str, fn(&str) -> String);

/// What a forger would like a report to say: each is noticed in the file that says it.
const FORGERIES: [Forgery; 12] = [
    ("a case is dropped", "report.json", |text| {
        let (head, cases) = text.split_at(text.find("\"cases\"").unwrap());
        let first = cases.find("    {\n      \"id\"").unwrap();
        let second = first + 1 + cases[first + 1..].find("    {\n      \"id\"").unwrap();
        format!("{head}{}{}", &cases[..first], &cases[second..])
    }),
    ("a gap of a source is hidden", "report.json", |text| {
        text.replacen("\"detail\": \"source-lost", "\"detail\": \"nothing", 1)
    }),
    (
        "a gap of a source is hidden",
        "registers/coverage.csv",
        |text| {
            let rows = text
                .split_inclusive('\n')
                .filter(|row| !row.contains("source-gap"));
            rows.collect()
        },
    ),
    ("a lead is longer", "report.json", |text| {
        let is_lead = |line: &str| line.contains("\"lead_ms\"") && !line.contains("null");
        let lead = text.lines().find(|line| is_lead(line)).unwrap();
        text.replacen(lead, "      \"lead_ms\": 7,", 1)
    }),
    (
        "what the watchdog missed it could have seen",
        "report.json",
        |text| text.replacen("\"could_see\": false", "\"could_see\": true", 1),
    ),
    ("what Dragons alone saw both saw", "report.json", |text| {
        text.replacen("\"by\": \"dragons\"", "\"by\": \"both\"", 1)
    }),
    ("a false alarm was right", "report.json", |text| {
        text.replacen(
            "\"verdict\": \"false-alarm\"",
            "\"verdict\": \"incident\"",
            1,
        )
    }),
    ("a sum is another", "report.json", |text| {
        text.replacen("\"false_watchdog\": 0", "\"false_watchdog\": 9", 1)
    }),
    ("agents ran for longer", "report.json", |text| {
        text.replacen("\"running_ms\": ", "\"running_ms\": 1", 1)
    }),
    ("more was governed", "report.json", |text| {
        text.replacen("\"governed\": ", "\"governed\": 1", 1)
    }),
    ("a skew is none", "report.json", |text| {
        text.replacen("\"at_least_ms\": null", "\"at_least_ms\": 0", 1)
    }),
    ("the page says another number", "report.html", |text| {
        text.replacen("<dd>", "<dd>1", 1)
    }),
];

#[test]
fn what_a_forger_would_like_a_report_to_say_is_noticed_where_it_is_said() {
    let day = Day::new();
    assert_eq!(day.report("whole.jsonl", "out").status.code(), Some(0));
    for (what, name, forge) in FORGERIES {
        copy(&day.path("out"), &day.path("forged"));
        let path = day.path("forged").join(name);
        let text = fs::read_to_string(&path).unwrap();
        let forged = forge(&text);
        assert_ne!(text, forged, "{what}");
        fs::write(&path, forged).unwrap();
        let corrected = sums_of(&day.path("forged"));
        fs::write(day.path("forged/SHA256SUMS"), corrected).unwrap();
        let (code, told) = day.check(&["forged"]);
        let differs = told["differs"].to_string();
        assert!(
            code == Some(1) && differs.contains(name),
            "{what}: {code:?} {told}"
        );
    }
    // A file that the report was not made from, and a register that nobody computed.
    for name in ["inputs/more.csv", "registers/praise.csv", "README.txt"] {
        copy(&day.path("out"), &day.path("forged"));
        fs::write(day.path("forged").join(name), "ts,agent,event\n").unwrap();
        let (code, told) = day.check(&["forged"]);
        let differs = told["differs"][0].as_str().unwrap_or_default();
        assert!(
            code == Some(1) && differs.starts_with(name),
            "{name}: {told}"
        );
    }
    // The trust of another log is not the trust of this one.
    let other = fs::read_to_string(day.path("trust.json")).unwrap();
    let charter = other.find("sha256:").unwrap() + 7;
    let other = format!(
        "{}{}{}",
        &other[..charter],
        "0".repeat(64),
        &other[charter + 64..]
    );
    day.write("other.json", &other);
    let (code, told) = day.check(&["out", "--trust", "other.json"]);
    assert_eq!(code, Some(1), "{told}");
}

#[test]
fn what_can_not_be_checked_is_said() {
    let day = Day::new();
    assert_eq!(day.report("whole.jsonl", "out").status.code(), Some(0));
    for name in [
        "evidence.pack.jsonl",
        "inputs/cron.csv",
        "inputs/map.toml",
        "trust.json",
    ] {
        copy(&day.path("out"), &day.path("less"));
        fs::remove_file(day.path("less").join(name)).unwrap();
        let (code, told) = day.check(&["less"]);
        assert_eq!(
            (code, &told["missing"][0]),
            (Some(3), &name.into()),
            "{told}"
        );
    }
    copy(&day.path("out"), &day.path("less"));
    fs::remove_file(day.path("less/report.html")).unwrap();
    assert_eq!(
        day.check(&["less"]).0,
        Some(1),
        "what can be made again is missing"
    );

    for (content, why) in [
        ("", "empty"),
        ("{}", "of no form"),
        (
            "{\"day30\":\"dragons.day30/v1\",\"from_ms\":1,\"to_ms\":2,\"inputs\":[{\"name\":\"inputs/../x\"}]}",
            "elsewhere",
        ),
    ] {
        fs::write(day.path("less/report.json"), content).unwrap();
        assert_eq!(day.check(&["less"]).0, Some(2), "{why}");
    }
    assert_eq!(day.check(&["nowhere"]).0, Some(2));
}

#[test]
fn the_exit_code_says_what_the_evidence_is_worth() {
    let day = Day::new();
    let part = day.report("part.jsonl", "part");
    assert_eq!(part.status.code(), Some(3));
    assert_eq!(day.json("part/report.json")["verdict"], "incomplete");
    assert_eq!(
        day.check(&["part"]).0,
        Some(0),
        "an incomplete report is what it is"
    );

    let forged = day.report("forged.jsonl", "forged");
    assert_eq!(forged.status.code(), Some(1));
    assert_eq!(day.json("forged/report.json")["verdict"], "failed");

    for (pack, out) in [
        ("cut.jsonl", "cut"),
        ("map.toml", "none"),
        ("nowhere", "nowhere"),
    ] {
        let not_made = day.report(pack, out);
        assert_eq!(not_made.status.code(), Some(2), "{pack}");
        assert!(!day.path(out).exists(), "{pack}");
    }
    let stray: Vec<String> = fs::read_dir(day.folder.path())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(stray, [""; 0], "nothing is left behind");
    assert_eq!(
        day.report("whole.jsonl", "part").status.code(),
        Some(2),
        "it is not empty"
    );
}

#[test]
fn a_statement_is_signed_by_a_key_that_is_given() {
    let day = Day::new();
    let made = day.dragons(&["keygen", "--name", "auditor", "--out", "auditor.pem"]);
    assert!(made.status.success());
    let words = [
        "report",
        "--from",
        "2025-11-24T00:00:00Z",
        "--to",
        "2025-11-25T00:00:00Z",
        "--map",
        "map.toml",
        "--pack",
        "whole.jsonl",
        "--trust",
        "trust.json",
        "--key",
        "auditor.pem",
        "-o",
        "signed",
    ];
    assert_eq!(day.dragons(&words).status.code(), Some(0));
    let envelope = day.json("signed/statement.dsse.json");
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    assert_eq!(envelope["signatures"].as_array().map(Vec::len), Some(1));
    let (code, told) = day.check(&["signed"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told["notes"][0].as_str().unwrap().contains("not checked"),
        "{told}"
    );
}
