//! `dragons hook` with the events that real hosts have sent, and what it answers them.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tests::{Attended, World, hook, read, recorded, stderr};

/// The events of Cursor are as its documentation has them; the others were sent by the real programs.
const HOSTS: [(&str, &str); 5] = [
    ("claude-code", "claude-code-2.1.332"),
    ("claude-code", "claude-code-2.1.332-subagent"),
    ("codex", "codex-0.171.0"),
    ("gemini-cli", "gemini-cli-0.61.0"),
    ("cursor", "cursor-documented"),
];

fn is_before(name: &str) -> bool {
    ["PreToolUse", "BeforeTool", "preToolUse"].contains(&name)
}

fn is_silent(output: &Output) -> bool {
    output.stdout.is_empty()
}

/// A denial is exit 2 with one line on stderr, and nothing on stdout.
fn is_denial(output: &Output, why: &str) -> bool {
    let said = stderr(output);
    let is_line = said.ends_with('\n') && said.lines().count() == 1;
    output.status.code() == Some(2) && is_silent(output) && is_line && said.contains(why)
}

/// Going on is exit 0 with nothing on stdout.
fn goes_on(output: &Output) -> bool {
    output.status.code() == Some(0) && is_silent(output)
}

#[test]
fn recorded_events_are_permitted_or_denied_and_leave_nothing_open() {
    for (host, recording) in HOSTS {
        let attended = Attended::new();
        for (name, event) in recorded(recording) {
            let output = attended.hook(&[host, "--event", &name], &event);
            let is_forbidden = is_before(&name) && event.contains("touch forbidden.txt");
            match is_forbidden {
                true => assert!(
                    is_denial(&output, "scope-denied"),
                    "{recording} {name}: {output:?}"
                ),
                false => {
                    assert!(goes_on(&output), "{recording} {name}: {output:?}");
                    assert!(
                        output.stderr.is_empty(),
                        "{recording} {name}: {}",
                        stderr(&output)
                    );
                }
            }
        }
        let (code, said, world) = attended.end();
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(
            world.receipts("intent").len(),
            world.receipts("result").len()
        );
        let goals = (
            world.receipts("goal").len(),
            world.receipts("outcome").len(),
        );
        assert_eq!(goals.0, goals.1, "{recording}");
        assert!(
            world
                .receipts("outcome")
                .iter()
                .all(|outcome| outcome["verdict"] == "partial")
        );
        let results = world.receipts("result");
        assert!(
            results.iter().all(|result| result["refs"]["host"] == host),
            "{results:?}"
        );
        world.blames_nobody();
    }
}

#[test]
fn parallel_calls_are_told_apart_and_a_failure_is_an_error() {
    let attended = Attended::new();
    for (name, event) in recorded("claude-code-2.1.332-subagent") {
        attended.hook(&["claude-code", "--event", &name], &event);
    }
    let results = attended.world.receipts("result");
    let of = |call: &str| {
        results
            .iter()
            .find(|result| result["refs"]["call"] == call)
            .cloned()
    };
    let (cat, pwd) = (of("toolu_1_0").unwrap(), of("toolu_1_1").unwrap());
    let intents = attended.world.receipts("intent");
    let scopes: Vec<&Value> = intents.iter().map(|intent| &intent["scope"]).collect();
    assert_eq!(scopes, ["spawn:general-purpose", "run:cat", "run:pwd"]);
    assert_eq!(cat["refs"]["subagent"], "ab201893ba8c2afa0");
    assert_ne!(cat["intent"], pwd["intent"]);
    let failing = Attended::new();
    for (name, event) in recorded("claude-code-2.1.332") {
        failing.hook(&["claude-code", "--event", &name], &event);
    }
    let results = failing.world.receipts("result");
    let failed = results
        .iter()
        .find(|result| result["refs"]["call"] == "toolu_2_0");
    assert_eq!(failed.unwrap()["status"], "error", "{results:?}");
}

#[test]
fn gemini_has_no_names_for_its_calls_so_they_are_paired_by_order() {
    let attended = Attended::new();
    let events = recorded("gemini-cli-0.61.0");
    let of = |wanted: &str| &events.iter().find(|(name, _)| name == wanted).unwrap().1;
    let (before, after) = (of("BeforeTool"), of("AfterTool"));
    for event in [before, before, after, after] {
        assert!(goes_on(&attended.hook(&["gemini-cli"], event)));
    }
    let results = attended.world.receipts("result");
    assert_eq!(results.len(), 2);
    assert!(
        results
            .iter()
            .all(|result| result["refs"]["paired"] == "by-order"),
        "{results:?}"
    );
    let intents = attended.world.payloads("receipt").len();
    assert!(
        goes_on(&attended.hook(&["gemini-cli"], after)),
        "one too many is nothing"
    );
    assert_eq!(attended.world.payloads("receipt").len(), intents);
}

#[test]
fn a_call_that_was_never_carried_out_is_cancelled() {
    let event = |name: &str, more: &str| {
        format!(
            r#"{{"hook_event_name":"{name}","session_id":"s","cwd":"/p","tool_name":"Bash","tool_input":{{"command":"cat a"}}{more}}}"#
        )
    };
    for (name, more) in [
        ("PostToolBatch", r#","tool_calls":[{"tool_use_id":"t"}]"#),
        ("Stop", r#","background_tasks":[{"id":"x"}]"#),
        ("Stop", ""),
        ("SessionEnd", ""),
    ] {
        let attended = Attended::new();
        let before = event("PreToolUse", r#","tool_use_id":"t""#);
        assert!(goes_on(&attended.hook(&["claude-code"], &before)));
        let sub = event("PreToolUse", r#","tool_use_id":"u","agent_id":"sub""#);
        assert!(goes_on(&attended.hook(&["claude-code"], &sub)));
        assert!(goes_on(
            &attended.hook(&["claude-code"], &event(name, more))
        ));
        let results = attended.world.receipts("result");
        let cancelled: Vec<&Value> = results
            .iter()
            .map(|result| &result["refs"]["call"])
            .collect();
        let all = ["t", "u"];
        // A sub-agent goes on when its parent's turn is over.
        let expected = if name == "SessionEnd" {
            &all[..]
        } else {
            &all[..1]
        };
        assert_eq!(cancelled, expected, "{name}");
        assert!(results.iter().all(|result| result["status"] == "cancelled"));
        let is_over = attended.world.receipts("outcome").len() == 1;
        assert_eq!(
            is_over,
            name == "SessionEnd",
            "{name}: something is open, or goes on behind it"
        );
    }
}

#[test]
fn a_patch_is_permitted_as_a_whole_or_not_at_all() {
    let attended = Attended::new();
    let patch = |name: &str, call: &str, files: &[&str]| {
        let lines: String = files
            .iter()
            .map(|file| format!("*** Update File: {file}\n@@\n-a\n+b\n"))
            .collect();
        let event = serde_json::json!({
            "hook_event_name": name, "session_id": "s", "cwd": "/p", "tool_name": "apply_patch", "tool_use_id": call,
            "tool_input": {"command": format!("*** Begin Patch\n{lines}*** End Patch")}, "tool_response": "done",
        });
        attended.hook(&["codex"], &event.to_string())
    };
    assert!(goes_on(&patch("PreToolUse", "one", &["src/a", "src/b"])));
    assert!(goes_on(&patch("PostToolUse", "one", &["src/a", "src/b"])));
    let denied = patch("PreToolUse", "two", &["src/c", "../etc/passwd"]);
    assert!(is_denial(&denied, "write:@abs/etc/passwd"), "{denied:?}");
    let results = attended.world.receipts("result");
    let statuses: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, ["ok", "ok", "cancelled"]);
}

/// The root of a session is where its first event was, whatever the host does afterwards.
#[test]
fn paths_are_relative_to_the_root_of_the_session() {
    let attended = Attended::new();
    let event = |name: &str, cwd: &str, file: &str| {
        format!(
            r#"{{"hook_event_name":"{name}","session_id":"s","cwd":"{cwd}","tool_name":"Read","tool_use_id":"{file}","tool_input":{{"file_path":"{file}"}}}}"#
        )
    };
    attended.hook(&["claude-code"], &event("SessionStart", "/p", ""));
    for (cwd, file) in [("/p", "/p/x"), ("/p/src", "y"), ("/q", "/q/z")] {
        assert!(goes_on(
            &attended.hook(&["claude-code"], &event("PreToolUse", cwd, file))
        ));
    }
    let named = attended.hook(
        &["claude-code", "--root", "/q"],
        &event("PreToolUse", "/p", "/q/named"),
    );
    assert!(goes_on(&named));
    let intents = attended.world.receipts("intent");
    let scopes: Vec<&Value> = intents.iter().map(|intent| &intent["scope"]).collect();
    assert_eq!(
        scopes,
        ["read:x", "read:src/y", "read:@abs/q/z", "read:named"]
    );
}

/// What fails on our side, for each event of each host: nobody is there, nobody answers, the event is not one.
#[test]
fn only_before_a_tool_and_only_with_enforce_is_a_failure_of_ours_a_denial() {
    let world = World::without_lease(60_000);
    let nowhere = world.service.scratch("nowhere");
    let silent = world.service.scratch("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    for (host, recording) in HOSTS {
        let mut seen = std::collections::BTreeSet::new();
        for (name, event) in recorded(recording) {
            if !seen.insert(name.clone()) {
                continue;
            }
            for (socket, event) in [
                (&nowhere, event.as_str()),
                (&silent, &event),
                (&nowhere, ""),
                (&nowhere, "{\"a\":"),
            ] {
                for enforce in [false, true] {
                    let mut words = vec![host, "--event", &name, "--deadline", "50ms"];
                    words.extend(enforce.then_some("--enforce"));
                    let output = hook(&world, socket, &words, event);
                    match enforce && is_before(&name) {
                        true => assert!(
                            is_denial(&output, "dragons: "),
                            "{words:?} {event}: {output:?}"
                        ),
                        false => assert!(goes_on(&output), "{words:?} {event}: {output:?}"),
                    }
                }
            }
        }
    }
}

/// A setting that another version wrote, and a host that never closes stdin.
#[test]
fn neither_a_command_line_that_is_not_understood_nor_an_open_stdin_stops_a_host() {
    let world = World::without_lease(60_000);
    for (words, code) in [
        (
            &[
                "hook",
                "claude-code",
                "--event",
                "PreToolUse",
                "--no-such-option",
            ][..],
            0,
        ),
        (
            &[
                "hook",
                "claude-code",
                "--event",
                "PreToolUse",
                "--no-such-option",
                "--enforce",
            ],
            2,
        ),
        (
            &[
                "hook",
                "claude-code",
                "--event=Stop",
                "--no-such-option",
                "--enforce",
            ],
            0,
        ),
        (&["hook", "codex", "--socket"], 0),
    ] {
        let output = world.dragons(words).output().unwrap();
        assert_eq!(
            (output.status.code(), is_silent(&output)),
            (Some(code), true),
            "{words:?}"
        );
    }
    for (enforce, code) in [("--event=PreToolUse", 0), ("--enforce", 2)] {
        let mut command = world.dragons(&[
            "hook",
            "codex",
            "--event",
            "PreToolUse",
            "--deadline",
            "50ms",
        ]);
        if enforce == "--enforce" {
            command.arg(enforce);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(b"{");
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
}

/// The hook asks through whatever it is told, and a log that only observes denies nothing.
#[test]
fn beside_a_log_that_observes_nothing_is_denied() {
    let attended = Attended::with(r#"{"mode":"observe","liveness":{"heartbeat_ms":150}}"#, &[]);
    for (name, event) in recorded("codex-0.171.0") {
        let output = attended.hook(&["codex", "--event", &name, "--enforce"], &event);
        assert!(goes_on(&output), "{name}: {output:?}");
    }
    let intents = attended.world.receipts("intent");
    assert!(
        intents.iter().any(|intent| intent["scope"] == "run:touch"),
        "it is told all the same: {intents:?}"
    );
}

/// A home with settings of its owner's.
struct Home {
    world: World,
    path: PathBuf,
}

impl Home {
    fn new() -> Self {
        let world = World::without_lease(60_000);
        let path = world.service.scratch("home");
        std::fs::create_dir(&path).unwrap();
        Self { world, path }
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.path.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn dragons(&self, words: &[&str]) -> Output {
        let mut command: Command = self.world.dragons(words);
        command
            .env("HOME", &self.path)
            .env_remove("CLAUDE_CONFIG_DIR")
            .env_remove("CODEX_HOME");
        command.output().unwrap()
    }
}

#[test]
fn hooks_are_installed_once_shown_first_and_taken_out_again_to_the_byte() {
    let home = Home::new();
    let theirs = "{\n\t// theirs\n\t\"model\": \"x\", \"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"beep\"}]}]}\n}";
    for (host, file) in [
        ("claude-code", ".claude/settings.json"),
        ("codex", ".codex/hooks.json"),
        ("gemini-cli", ".gemini/settings.json"),
    ] {
        home.write(file, theirs);
        let path = home.path.join(file);
        let dry = home.dragons(&["hook", "install", host, "--user", "--dry-run"]);
        let shown = String::from_utf8(dry.stdout).unwrap();
        assert!(
            shown.contains(&format!("hook {host} --event SessionStart")),
            "{shown}"
        );
        assert_eq!(read(&path), theirs, "nothing is written");
        let first = home.dragons(&["hook", "install", host, "--user"]);
        assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
        let installed = read(&path);
        assert!(installed.contains("// theirs") && installed.contains("beep"));
        let again = home.dragons(&["hook", "install", host]);
        assert!(
            String::from_utf8(again.stdout)
                .unwrap()
                .contains("nothing to change")
        );
        assert_eq!(read(&path), installed);
        let enforced = home.dragons(&["hook", "install", host, "--enforce"]);
        assert!(
            stderr(&enforced).contains("denials_max"),
            "{}",
            stderr(&enforced)
        );
        assert!(read(&path).contains(" --enforce"));
        assert_eq!(read(&path).contains("onFailure"), host == "claude-code");
        let gone = home.dragons(&["hook", "uninstall", host, "--user"]);
        assert_eq!(gone.status.code(), Some(0), "{}", stderr(&gone));
        assert_eq!(read(&path), theirs, "as if nothing had been");
    }
}

#[test]
fn what_others_changed_since_stays_and_what_was_not_there_goes() {
    let home = Home::new();
    let project = home.path.join("project");
    std::fs::create_dir(&project).unwrap();
    let at = ["--project", project.to_str().unwrap()];
    let file = project.join(".claude/settings.json");
    home.dragons(&[&["hook", "install", "claude-code"], &at[..]].concat());
    assert!(read(&file).contains("dragons"));
    home.dragons(&[&["hook", "uninstall", "claude-code"], &at[..]].concat());
    assert!(!file.exists(), "it was not there");
    home.dragons(&[&["hook", "install", "claude-code"], &at[..]].concat());
    let changed = read(&file).replacen('{', "{\n  \"theirs\": 1,", 1);
    std::fs::write(&file, &changed).unwrap();
    home.dragons(&[&["hook", "uninstall", "claude-code"], &at[..]].concat());
    let left: Value = serde_json::from_str(&read(&file)).unwrap();
    assert_eq!(left, serde_json::json!({"theirs": 1}));
    let cursor = home.dragons(&[&["hook", "install", "cursor"], &at[..]].concat());
    assert_eq!(cursor.status.code(), Some(2), "it is not proven");
    let cursor = home.dragons(&[&["hook", "install", "cursor", "--unproven"], &at[..]].concat());
    assert_eq!(cursor.status.code(), Some(0), "{}", stderr(&cursor));
    assert!(read(&project.join(".cursor/hooks.json")).contains("preToolUse"));
}

#[test]
fn the_doctor_sees_a_host_that_passes_over_its_hooks() {
    let home = Home::new();
    home.dragons(&["hook", "install", "codex", "--user"]);
    let told = |home: &Home| {
        let output = home.dragons(&["doctor", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap().clone();
        checks
            .into_iter()
            .find(|check| check["name"] == "hooks")
            .unwrap()
    };
    assert_eq!(told(&home)["result"], "ok", "no session yet");
    home.write(".codex/sessions/2026/11/29/rollout.jsonl", "{}\n");
    let silent = told(&home);
    assert_eq!(silent["result"], "problem");
    assert!(
        silent["advice"].as_str().unwrap().contains("trust"),
        "{silent}"
    );
    let nowhere = home.path.join("nowhere");
    let (_, event) = recorded("codex-0.171.0").remove(0);
    assert!(goes_on(&hook(
        &home.world,
        Path::new(&nowhere),
        &["codex"],
        &event
    )));
    assert_eq!(
        told(&home)["result"],
        "ok",
        "an event came, though nobody heard it"
    );
}

#[test]
fn the_doctor_sees_an_agent_that_is_kept_where_its_host_works() {
    let home = Home::new();
    let warns = |home: &Home| {
        let output = home.dragons(&["doctor", "--json"]);
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("defines the agent")
    };
    home.dragons(&["hook", "install", "claude-code", "--user"]);
    assert!(!warns(&home), "the user's own settings are of no project");
    home.dragons(&["hook", "uninstall", "claude-code", "--user"]);
    home.dragons(&["hook", "install", "claude-code", "--project", "."]);
    assert!(warns(&home));
}
