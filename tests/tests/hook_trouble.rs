//! `dragons hook` when all is not well: it comes back, says nothing on stdout, and says no only where it may.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{Attended, World, dragons, hook, recorded, stderr};

const OBSERVES: &str = r#"{"mode":"observe","liveness":{"heartbeat_ms":150}}"#;

/// Every event of every host, and whether it comes before a tool.
fn all_events() -> Vec<(&'static str, String, String)> {
    let recordings = [
        ("claude-code", "claude-code-2.1.332"),
        ("claude-code", "claude-code-2.1.332-subagent"),
        ("codex", "codex-0.171.0"),
        ("gemini-cli", "gemini-cli-0.61.0"),
        ("cursor", "cursor-documented"),
    ];
    let mut all: Vec<(&str, String, String)> = Vec::new();
    for (host, recording) in recordings {
        for (name, event) in recorded(recording) {
            if !all
                .iter()
                .any(|(known, of, _)| (*known, of) == (host, &name))
            {
                all.push((host, name, event));
            }
        }
    }
    all
}

fn is_before(name: &str) -> bool {
    ["PreToolUse", "BeforeTool", "preToolUse"].contains(&name)
}

fn before(more: &Value) -> String {
    event("PreToolUse", more)
}

/// An event of a session of Claude Code, about `cat a`, with other members.
fn event(name: &str, more: &Value) -> String {
    let mut event = json!({
        "hook_event_name": name, "session_id": "s", "cwd": "/p", "tool_name": "Bash",
        "tool_input": {"command": "cat a"}, "tool_use_id": "t",
    });
    for (member, value) in more.as_object().expect("members") {
        event[member] = value.clone();
    }
    event.to_string()
}

/// What a hook comes to, held to what always is: nothing on stdout, and a reason where it denies.
fn code(output: &Output) -> i32 {
    assert!(output.stdout.is_empty(), "{output:?}");
    let code = output.status.code().expect("no signal");
    let lines = stderr(output).lines().count();
    assert!(lines <= 1 && (code == 0 || lines == 1), "{output:?}");
    code
}

/// A service that takes connections and never answers, in place of one that did.
fn mute(attended: &mut Attended) {
    let address = attended.world.address();
    attended.world.service.kill();
    let listener = TcpListener::bind(address).expect("the port of the service");
    std::thread::spawn(move || {
        let taken: Vec<TcpStream> = listener.incoming().map_while(Result::ok).collect();
        drop(taken);
    });
}

/// As [`Attended::hook`], which needs a service that runs.
fn hook_of(attended: &Attended, words: &[&str], event: &str) -> Output {
    let mut command = dragons().command();
    command
        .arg("hook")
        .args(words)
        .arg("--socket")
        .arg(attended.socket())
        .env("XDG_STATE_HOME", attended.world.service.scratch("state"));
    ended(command, event)
}

/// A host waits for its hook, so no hook waits for a service without end.
#[test]
fn a_service_that_never_answers_is_waited_for_no_longer_than_the_deadline() {
    let mut attended = Attended::new();
    mute(&mut attended);
    for (host, name, event) in all_events() {
        for enforce in [false, true] {
            let mut words = vec![host, "--event", &name, "--deadline", "50ms"];
            words.extend(enforce.then_some("--enforce"));
            let output = hook_of(&attended, &words, &event);
            let denied = enforce && is_before(&name);
            assert_eq!(code(&output), if denied { 2 } else { 0 }, "{words:?}");
        }
    }
    attended.run.signal(Signal::KILL);
}

/// Beside a log that observes nobody has to wait even as long as that: there is leave, and it is counted.
#[test]
fn beside_a_log_that_observes_a_service_that_never_answers_changes_nothing() {
    let mut attended = Attended::with(OBSERVES, &[]);
    mute(&mut attended);
    for (host, name, event) in all_events() {
        let output = hook_of(&attended, &[host, "--event", &name, "--enforce"], &event);
        assert_eq!(code(&output), 0, "{host} {name}: {output:?}");
    }
    attended.run.signal(Signal::KILL);
}

/// Whoever speaks for the agent is killed between a question and its answer.
#[test]
fn a_speaker_that_hangs_up_has_decided_nothing() {
    let world = World::without_lease(60_000);
    let socket = world.service.scratch("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        // It is closed as soon as it is taken.
        listener.incoming().for_each(drop);
    });
    for (name, enforce, expected) in [
        ("PreToolUse", "", 0),
        ("PreToolUse", "--enforce", 2),
        ("PostToolUse", "--enforce", 0),
        ("Stop", "--enforce", 0),
    ] {
        let mut words = vec!["claude-code"];
        words.extend(Some(enforce).filter(|word| !word.is_empty()));
        let output = hook(&world, &socket, &words, &event(name, &json!({})));
        assert_eq!(code(&output), expected, "{name} {enforce}");
    }
}

/// The agent has no lease, so the log denies: that is not a failure, and stops the action with or without `--enforce`.
#[test]
fn what_a_log_that_enforces_denies_is_denied_whatever_the_hook_was_asked() {
    let mut attended = Attended::new();
    attended.world.order("quarantine");
    attended.run.until("may not act");
    for enforce in [&["claude-code"][..], &["claude-code", "--enforce"]] {
        assert_eq!(code(&attended.hook(enforce, &before(&json!({})))), 2);
        for name in ["PostToolUse", "PostToolBatch", "Stop", "SessionEnd"] {
            let output = attended.hook(enforce, &event(name, &json!({})));
            assert_eq!(code(&output), 0, "{name}");
        }
    }
}

/// What a host may do to a process that it starts.
#[test]
fn streams_that_are_closed_and_a_home_that_cannot_be_written_change_no_answer() {
    // It is denied more often than an agent usually may be.
    let attended = Attended::with(
        r#"{"liveness":{"heartbeat_ms":150},"limits":{"denials_max":1000}}"#,
        &[],
    );
    let allowed = before(&json!({}));
    let denied = before(&json!({"tool_input": {"command": "rm a"}, "tool_use_id": "u"}));
    let after = event("PostToolUse", &json!({}));
    for (what, reads) in [
        ("exec <&-", false),
        ("exec >&-", true),
        ("exec 2>&-", true),
        ("exec >/dev/full", true),
        ("exec 2>/dev/full", true),
        ("export HOME=/dev/null XDG_STATE_HOME=/dev/null", true),
        ("unset HOME XDG_STATE_HOME XDG_RUNTIME_DIR PATH", true),
        ("mkdir gone && cd gone && rmdir ../gone", true),
    ] {
        let run = |event: &str, options: &[&str]| {
            let words = [&["hook", "claude-code"], options].concat();
            let inner = attended.world.dragons(&words);
            let script = format!("{what}; exec \"$@\"");
            let mut command = attended.world.within(&["sh", "-c", &script, "sh"], &inner);
            command.arg("--socket").arg(attended.socket());
            let output = ended(command, event);
            assert!(output.stdout.is_empty(), "{what}: {output:?}");
            output.status.code().expect("no signal")
        };
        // Of an event that cannot be read nobody knows what it is, unless the settings say so.
        let unread = |enforce: bool| if enforce && !reads { 2 } else { 0 };
        let enforcing = ["--event", "PreToolUse", "--enforce"];
        assert_eq!(run(&allowed, &[]), 0, "{what}");
        assert_eq!(run(&allowed, &enforcing), unread(true), "{what}");
        assert_eq!(run(&denied, &enforcing), 2, "{what}");
        assert_eq!(run(&denied, &[]), if reads { 2 } else { 0 }, "{what}");
        for options in [&["--event", "PostToolUse"][..], &["--enforce"]] {
            assert_eq!(run(&after, options), 0, "{what}");
        }
    }
}

/// Hosts send the whole of a file that is written, and the whole of one that was read.
#[test]
fn an_event_of_any_length_is_an_event_up_to_a_bound() {
    let attended = Attended::new();
    let write = |name: &str, bytes: usize| {
        let content = "x".repeat(bytes);
        let input = json!({"file_path": "/p/src/a", "content": content});
        let more = json!({"tool_name": "Write", "tool_input": input, "tool_response": content});
        event(name, &more)
    };
    for bytes in [70_000, 3_000_000] {
        assert_eq!(
            code(&attended.hook(&["claude-code"], &write("PreToolUse", bytes))),
            0
        );
        assert_eq!(
            code(&attended.hook(&["claude-code"], &write("PostToolUse", bytes))),
            0
        );
    }
    let results = attended.world.receipts("result");
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(|result| result["status"] == "ok"));
    let endless = " ".repeat(65 * 1024 * 1024);
    for (words, expected) in [
        (&["claude-code", "--event", "PreToolUse"][..], 0),
        (&["claude-code", "--event", "PreToolUse", "--enforce"], 2),
        (&["claude-code", "--event", "PostToolUse", "--enforce"], 0),
    ] {
        assert_eq!(code(&attended.hook(words, &endless)), expected, "{words:?}");
    }
}

/// Hosts get new events with each version, and our settings may name them.
#[test]
fn an_event_that_nobody_knows_stops_nothing_and_is_not_logged() {
    let attended = Attended::new();
    for name in [
        "PermissionRequest",
        "UserPromptSubmit",
        "Notification",
        "PreCompact",
        "BeforeModel",
        "beforeShellExecution",
        "PreToolUseOfTomorrow",
        "",
    ] {
        let output = attended.hook(&["claude-code", "--enforce"], &event(name, &json!({})));
        assert_eq!(code(&output), 0, "{name}");
    }
    assert!(attended.world.payloads("receipt").is_empty());
}

/// An event that lacks what tells which action it is about: before a tool, that is a failure like any other.
#[test]
fn an_event_that_lacks_something_is_a_failure_of_ours() {
    let attended = Attended::new();
    for member in ["session_id", "tool_name", "hook_event_name"] {
        for odd in [Value::Null, json!(7), json!([]), json!("")] {
            for (enforce, expected) in [(&["--event", "PreToolUse"][..], 0), (&["--enforce"], 2)] {
                // What has no name at all is what the settings say.
                let words = [&["claude-code", "--event", "PreToolUse"], enforce].concat();
                let output = attended.hook(&words, &before(&json!({member: odd})));
                let expected = if member == "hook_event_name" {
                    0
                } else {
                    expected
                };
                assert_eq!(code(&output), expected, "{member} {odd} {enforce:?}");
            }
        }
    }
}

/// Two calls of one tool with the same input, whether or not the host has names for them.
#[test]
fn calls_that_look_alike_are_two() {
    for (one, other, paired) in [("a", "b", Value::Null), ("", "", "by-order".into())] {
        let attended = Attended::new();
        let calls = [one, other].map(|call| json!({"tool_use_id": call}));
        for name in ["PreToolUse", "PostToolUse"] {
            for call in &calls {
                assert_eq!(code(&attended.hook(&["codex"], &event(name, call))), 0);
            }
        }
        let (intents, results) = (
            attended.world.receipts("intent"),
            attended.world.receipts("result"),
        );
        assert_eq!((intents.len(), results.len()), (2, 2));
        assert_ne!(results[0]["intent"], results[1]["intent"]);
        assert!(
            results
                .iter()
                .all(|result| result["refs"]["paired"] == paired)
        );
    }
}

/// A host that dies in the middle leaves its call open; its next session does not take that for its own.
#[test]
fn what_a_host_left_that_died_is_not_the_next_sessions() {
    let attended = Attended::new();
    let of = |session: &str| json!({"session_id": session, "tool_use_id": ""});
    assert_eq!(code(&attended.hook(&["codex"], &before(&of("dead")))), 0);
    assert_eq!(code(&attended.hook(&["codex"], &before(&of("next")))), 0);
    assert_eq!(
        code(&attended.hook(&["codex"], &event("PostToolUse", &of("next")))),
        0
    );
    let end = event("SessionEnd", &of("next"));
    assert_eq!(code(&attended.hook(&["codex"], &end)), 0);
    let results = attended.world.receipts("result");
    let sessions: Vec<&Value> = results
        .iter()
        .map(|result| &result["refs"]["session"])
        .collect();
    assert_eq!(sessions, ["next"]);
    let (exit, said, world) = attended.end();
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(world.receipts("result").len(), 2, "the end closes it");
    world.blames_nobody();
}

/// Which agent is meant, where several are attended to.
#[test]
fn the_environment_names_the_agent_whose_socket_is_asked() {
    let attended = Attended::new();
    let runtime = attended.world.service.scratch("runtime");
    std::fs::create_dir(runtime.join("dragons/other")).unwrap();
    let _other = UnixListener::bind(runtime.join("dragons/other/socket")).unwrap();
    let told = |agent: Option<&str>| {
        let words = ["hook", "claude-code", "--enforce", "--deadline", "20s"];
        let mut command = attended.world.dragons(&words);
        command.env("XDG_RUNTIME_DIR", &runtime);
        command.env_remove("DRAGONS_SOCKET");
        match agent {
            Some(agent) => command.env("DRAGONS_AGENT", agent),
            None => command.env_remove("DRAGONS_AGENT"),
        };
        let output = ended(command, &before(&json!({})));
        (code(&output), stderr(&output))
    };
    assert_eq!(told(Some("worker")).0, 0);
    for (agent, why) in [
        (None, "several agents"),
        (Some("nobody"), "no process speaks"),
        (Some("not a name"), "DRAGONS_AGENT"),
    ] {
        let (code, said) = told(agent);
        assert!(code == 2 && said.contains(why), "{agent:?}: {said}");
    }
    assert_eq!(attended.world.receipts("intent").len(), 1);
}

/// Many hooks at once, as a host with parallel calls starts them.
#[test]
fn many_hooks_at_once_have_an_answer_each() {
    let attended = Attended::new();
    let (told, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        for n in 0..24 {
            let (attended, told) = (&attended, told.clone());
            scope.spawn(move || {
                let call =
                    json!({"tool_use_id": format!("t{n}"), "agent_id": format!("sub{}", n % 3)});
                for name in ["PreToolUse", "PostToolUse"] {
                    let output = attended.hook(&["claude-code", "--enforce"], &event(name, &call));
                    told.send(code(&output)).unwrap();
                }
            });
        }
    });
    drop(told);
    assert_eq!(answers.iter().collect::<Vec<_>>(), vec![0; 48]);
    let (exit, said, world) = attended.end();
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(world.receipts("result").len(), 24);
    world.blames_nobody();
}

/// Runs a command with an event on stdin.
fn ended(mut command: Command, event: &str) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("a program that starts");
    let stdin = child.stdin.take();
    // A hook that needs no event may be gone before it is written.
    let _ = stdin.expect("a pipe").write_all(event.as_bytes());
    child.wait_with_output().expect("its end")
}
