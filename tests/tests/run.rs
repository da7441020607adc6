//! `dragons run` and its like, with a real service and real programs.

use std::path::Path;
use std::process::Command;

use ledger::record::{Body, LeaseRevocation};
use rustix::process::Signal;
use serde_json::Value;
use tests::{Run, World, read, stderr};

#[test]
fn a_program_runs_as_ever_and_leaves_its_evidence() {
    let world = World::new();
    let mut running = Run::start(world.shell("read x; echo out $x; echo err >&2; exit 7"));
    running.say("hi");
    let (code, out, err) = running.end();
    assert_eq!((code, out.as_str()), (Some(7), "out hi\n"), "{err}");
    assert!(err.contains("err\n"), "{err}");
    let intent = &world.receipts("intent")[0];
    assert_eq!(intent["scope"], "run:sh");
    let (result, outcome) = (&world.receipts("result")[0], &world.receipts("outcome")[0]);
    assert_eq!(
        (&result["status"], &outcome["verdict"]),
        (&"error".into(), &"rejected".into())
    );
    assert_eq!(outcome["checks"][0]["name"], "exit status: 7");
    let disclosed = world.disclosed();
    let argv = b"sh\0-c\0read x; echo out $x; echo err >&2; exit 7\0".to_vec();
    for (name, value) in [
        ("argv", argv),
        ("stdout", b"out hi\n".to_vec()),
        ("stderr", b"err\n".to_vec()),
    ] {
        assert!(disclosed.contains(&(name.to_owned(), value)), "{name}");
    }
    assert_eq!(world.agent()["state"], "stopped", "it said goodbye");
    let again = world.shell("exit 0").output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert_eq!(world.receipts("outcome")[1]["verdict"], "accepted");
    assert_eq!(world.agent()["epoch"], 2);
}

#[test]
fn what_may_not_run_is_not_run() {
    let world = World::without_lease(60_000);
    let marks = |command: &mut Command, why: &str| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
        assert!(stderr(&output).contains(why), "{why}: {}", stderr(&output));
        assert!(!world.service.scratch("agent/mark").exists());
    };
    marks(&mut world.shell("touch mark"), "has no lease");
    world.lease();
    marks(&mut world.run(&[], &["touch", "mark"]), "scope-denied");
    assert_eq!(world.agent()["state"], "stopped", "it gave up, and said so");
    marks(&mut world.run(&[], &["no-such-program"]), "no program");
    let other = [
        "run",
        "--agent",
        "other",
        "--goal",
        "g",
        "--key",
        "KEY",
        "--",
        "sh",
        "-c",
        "touch mark",
    ];
    marks(&mut world.dragons(&other), "not other");
    let mut away = world.run(&["--patience", "0s"], &["sh", "-c", "touch mark"]);
    marks(away.env("DRAGONS_SERVER", "http://127.0.0.1:9"), "does not");
    let size = world.service.size();
    std::fs::write(
        world.service.scratch("agent/src/work.sh"),
        "echo mischief\n",
    )
    .unwrap();
    marks(&mut world.shell("touch mark"), "the version here is");
    assert_eq!(
        world.service.size(),
        size,
        "nothing was signed as another version"
    );
}

#[test]
fn signals_pass_through_and_deaths_are_told() {
    let world = World::new();
    let trap = "trap 'echo got; exit 3' TERM; echo ready; while :; do read x; done";
    let mut running = Run::start(world.shell(trap));
    assert_eq!(running.line(), "ready\n");
    running.signal(Signal::TERM);
    assert_eq!(running.line(), "got\n");
    assert_eq!(running.end().0, Some(3));
    let output = world.shell("kill -9 $$").output().unwrap();
    assert_eq!(output.status.code(), Some(137));
}

#[test]
fn the_program_has_no_key() {
    let world = World::new();
    let script =
        "env; ls -l /proc/self/fd; ls /proc/$PPID/fd >/dev/null 2>&1 && echo readable; true";
    let mut command = world.dragons(&[
        "run", "--goal", "test", "--trust", "TRUST", "--", "sh", "-c", script,
    ]);
    command.env("DRAGONS_KEY", world.service.scratch("agent.pem"));
    let output = command.output().unwrap();
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(out.contains("DRAGONS_SOCKET=") && out.contains("DRAGONS_INTENT=sha256:"));
    assert!(
        !out.contains("DRAGONS_KEY") && !out.contains("agent.pem"),
        "{out}"
    );
    let open: Vec<&str> = out.lines().filter(|line| line.contains(" -> ")).collect();
    assert!(open.len() >= 3);
    let own = world.service.scratch("").display().to_string();
    assert!(!open.iter().any(|line| line.contains(&own)), "{open:?}");
    if !rustix::process::geteuid().is_root() {
        assert!(!out.contains("readable"));
    }
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    let world = World::new();
    let script = "stat -c %a \"$DRAGONS_SOCKET\" \"$(dirname \"$DRAGONS_SOCKET\")\"; echo \"$DRAGONS_SOCKET\"";
    let out = world.succeed(world.shell(script));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], ["600", "700"]);
    assert!(!Path::new(lines[2]).exists(), "it is gone with the run");
}

/// The examples of docs/agents.md, as they stand there.
#[test]
fn the_examples_of_the_document_run() {
    let world = World::new();
    let document = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agents.md"));
    let example = |language: &str| {
        let (_, rest) = document.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    for (n, (language, program)) in [
        ("sh", ["sh", "-c"]),
        ("python", ["python3", "-c"]),
        ("js", ["node", "-e"]),
    ]
    .iter()
    .enumerate()
    {
        let text = example(language);
        world.succeed(world.run(&[], &[program[0], program[1], &text]));
        let reads = world.receipts("intent");
        let reads = reads
            .iter()
            .filter(|intent| intent["scope"] == "read:README.md");
        assert_eq!(reads.count(), n + 1, "{language}");
        let results = world.receipts("result");
        assert!(
            results.iter().all(|result| result["status"] == "ok"),
            "{language}: {results:?}"
        );
        assert_eq!(results.len(), 2 * (n + 1), "{language}");
    }
    let lines = world
        .disclosed()
        .into_iter()
        .filter(|(name, _)| name == "lines");
    assert_eq!(
        lines.map(|(_, value)| value).collect::<Vec<_>>(),
        [b"2", b"2", b"8"]
    );
}

#[test]
fn the_socket_gives_permits_refusals_and_values() {
    let world = World::new();
    let script = r#"
        dragons tell '{"intent":{"scope":"read:secrets"}}' '{"intent":{"scope":"send:mail"}}' '{"nonsense":1}'; echo $?
        dragons tell '{"goal":{"title":"a part"}}' '{"progress":41}' '{"intent":{"scope":"read:README.md","inputs":{"q":"why"},"tool":"none"}}'
        dragons tell '{"intent":{"scope":"read:README.md","inputs":{"q":"why"}}}' '{"outcome":{"verdict":"accepted"}}'
        true"#;
    let out = world.succeed(world.shell(script));
    let lines: Vec<&str> = out.lines().collect();
    for (line, code) in [
        (0, "scope-denied"),
        (1, "capability-missing"),
        (2, "malformed"),
        (6, "malformed"),
        (8, "outcome-unbacked"),
    ] {
        let answer: Value = serde_json::from_str(lines[line]).unwrap();
        assert_eq!(
            (&answer["ok"], &answer["code"]),
            (&false.into(), &code.into()),
            "{}",
            lines[line]
        );
    }
    assert_eq!(lines[3], "1");
    let permit: Value = serde_json::from_str(lines[7]).unwrap();
    assert!(permit["lapses_ms"].as_u64() > permit["received_ms"].as_u64());
    let results = world.receipts("result");
    let open = results
        .iter()
        .find(|result| result["intent"] == permit["intent"])
        .unwrap();
    assert_eq!(open["status"], "error", "what was left open is closed");
    let verdicts: Vec<Value> = world
        .receipts("outcome")
        .iter()
        .map(|outcome| outcome["verdict"].clone())
        .collect();
    assert_eq!(
        verdicts,
        ["abandoned", "accepted"],
        "the part, then the whole"
    );
}

#[test]
fn a_service_that_was_away_gets_all_of_it_once() {
    let mut world = World::new();
    let address = world.address();
    let script = r#"
        dragons tell '{"intent":{"scope":"read:README.md"}}'; echo begun; read x
        dragons tell '{"result":{}}' '{"intent":{"scope":"read:README.md"}}'; echo away; read x; exit 4"#;
    let mut running = Run::start(world.run(&["--patience", "60s"], &["sh", "-c", script]));
    assert!(running.line().contains("\"ok\":true"));
    assert_eq!(running.line(), "begun\n");
    world.service.kill();
    running.say("go on");
    assert!(
        running.line().contains("\"waits\":true"),
        "a result waits in the journal"
    );
    running.until("waiting for the service");
    world.restart_at(&address);
    assert!(
        running.line().contains("\"ok\":true"),
        "and an intent for the answer"
    );
    assert_eq!(running.line(), "away\n");
    running.say("end");
    let (code, _, err) = running.end();
    assert_eq!(code, Some(4), "{err}");
    let phases = ["goal", "intent", "result", "outcome"].map(|phase| world.receipts(phase).len());
    assert_eq!(phases, [1, 3, 3, 1], "{err}");
    assert_eq!(world.agent()["state"], "stopped");
}

#[test]
fn what_waits_is_logged_by_the_next_command() {
    let mut world = World::new();
    let address = world.address();
    let mut running =
        Run::start(world.run(&["--patience", "0s"], &["sh", "-c", "echo begun; read x"]));
    assert_eq!(running.line(), "begun\n");
    world.service.kill();
    let (code, _, err) = running.end();
    assert_eq!(code, Some(1), "read found the end of stdin");
    assert!(err.contains("waits in the journal"), "{err}");
    world.restart_at(&address);
    let flush = [
        "receipt", "flush", "--key", "KEY", "--trust", "TRUST", "--json",
    ];
    let flushed: Value = serde_json::from_str(&world.succeed(world.dragons(&flush))).unwrap();
    assert_eq!(
        (&flushed["waited"], &flushed["waiting"]),
        (&2.into(), &0.into())
    );
    assert_eq!(
        (
            world.receipts("result").len(),
            world.receipts("outcome").len()
        ),
        (1, 1)
    );
}

#[test]
fn a_program_ends_with_its_lease() {
    let world = World::new();
    let stubborn = "trap 'echo asked' TERM; echo ready; while :; do read x || sleep 0.01; done";
    let mut running = Run::start(world.run(&["--grace", "300ms"], &["sh", "-c", stubborn]));
    assert_eq!(running.line(), "ready\n");
    let lease = world.agent()["lease"].as_str().unwrap().parse().unwrap();
    let reason = "a test".parse().unwrap();
    let signer = world.service.signer();
    world
        .service
        .log(&signer.by_operator(Body::LeaseRevocation(LeaseRevocation { lease, reason })));
    assert_eq!(running.line(), "asked\n");
    let (code, _, err) = running.end();
    assert_eq!(code, Some(137), "{err}");
    assert_eq!(world.receipts("result")[0]["status"], "cancelled");
}

#[test]
fn a_program_ends_before_its_permit_lapses() {
    let world = World::without_lease(2_000);
    world.lease();
    let mut running = Run::start(world.shell("echo ready; exec tail -f /dev/null"));
    assert_eq!(running.line(), "ready\n");
    let (code, _, err) = running.end();
    assert_eq!(code, Some(143), "{err}");
    let (intent, result) = (world.entry_of("intent"), world.entry_of("result"));
    assert_eq!(result["payload"]["status"], "timeout");
    let took = result["received_ms"].as_u64().unwrap() - intent["received_ms"].as_u64().unwrap();
    assert!(took < 2_000, "{took} ms");
}

#[test]
fn a_run_that_was_killed_takes_its_program_along_and_is_succeeded() {
    let world = World::new();
    let mut running = Run::start(world.shell("echo $$; exec tail -f /dev/null"));
    let program = format!("/proc/{}/exe", running.line().trim());
    assert!(Path::new(&program).exists());
    let second = world.shell("exit 0").output().unwrap();
    assert_eq!(second.status.code(), Some(125));
    assert!(stderr(&second).contains("in use"), "{}", stderr(&second));
    running.signal(Signal::KILL);
    running.child.wait().unwrap();
    // Nothing else ends it: it reads nothing, writes nothing, and has not been sent a signal.
    while Path::new(&program).exists() {
        std::thread::yield_now();
    }
    running.end();
    let next = world.shell("exit 0").output().unwrap();
    assert_eq!(next.status.code(), Some(0), "{}", stderr(&next));
    let results = world.receipts("result");
    assert_eq!(
        (&results[0]["status"], &results[1]["status"]),
        (&"error".into(), &"ok".into())
    );
}

#[test]
fn one_record_each_from_the_command_line() {
    let world = World::new();
    let command = |words: &[&str]| {
        let words = [words, &["--key", "KEY", "--trust", "TRUST", "--json"]].concat();
        serde_json::from_str::<Value>(&world.succeed(world.dragons(&words))).unwrap()
    };
    let goal = command(&["receipt", "goal", "--title", "count"]);
    let goal = goal["record"].as_str().unwrap();
    let permit = command(&[
        "receipt",
        "intent",
        "--goal",
        goal,
        "--scope",
        "read:README.md",
        "--input",
        "q=why",
    ]);
    let intent = permit["intent"].as_str().unwrap();
    command(&[
        "receipt",
        "result",
        "--intent",
        intent,
        "--output",
        "total=2",
        "--duration",
        "3ms",
        "--ref",
        "trace=7",
    ]);
    let beat = command(&["heartbeat", "--progress", "5"]);
    assert_eq!(beat["state"], "running");
    command(&[
        "receipt",
        "outcome",
        "--goal",
        goal,
        "--verdict",
        "accepted",
        "--check",
        "count=README.md",
    ]);
    assert_eq!(command(&["heartbeat", "--final"])["state"], "stopped");
    let result = &world.receipts("result")[0];
    assert_eq!(
        (&result["duration_ms"], &result["refs"]["trace"]),
        (&3.into(), &"7".into())
    );
    assert_eq!(world.agent()["epoch"], 1, "it was one process all along");
    let denied = [
        "receipt",
        "intent",
        "--goal",
        goal,
        "--scope",
        "read:secrets",
        "--key",
        "KEY",
        "--trust",
        "TRUST",
    ];
    let output = world.dragons(&denied).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("scope-denied"),
        "{}",
        stderr(&output)
    );
}

/// Two workers of one program, each with a connection of its own, and one that names nothing.
#[test]
fn a_result_is_about_the_only_open_intent_of_its_connection() {
    let world = World::new();
    let script = r#"
import json, os, socket
def connect():
    run = socket.socket(socket.AF_UNIX); run.connect(os.environ["DRAGONS_SOCKET"]); wire = run.makefile("rw")
    def tell(**said): print(json.dumps(said), file=wire, flush=True); return json.loads(wire.readline())
    return tell
one, two, three = connect(), connect(), connect()
ask = {"scope": "read:README.md"}
first, second = one(intent=ask), two(intent=ask)
refused = three(result={})
assert not refused["ok"] and first["intent"] in refused["detail"] and second["intent"] in refused["detail"], refused
assert one(result={"status": "error"})["ok"]
again = one(result={})
assert not again["ok"] and again["code"] == "intent-unknown", again
assert three(result={"status": "timeout"})["ok"]
print(first["intent"], second["intent"])
"#;
    let out = world.succeed(world.run(&[], &["python3", "-c", script]));
    let intents: Vec<&str> = out.split_whitespace().collect();
    let results = world.receipts("result");
    let status_of = |intent: &str| {
        let mut results = results.iter();
        let result = results.find(|result| result["intent"] == intent);
        result.unwrap()["status"].clone()
    };
    assert_eq!(status_of(intents[0]), "error");
    assert_eq!(status_of(intents[1]), "timeout");
}

/// The helpers of docs/agents.md, asked many things at once: each answer is that of its own question.
#[test]
fn the_helpers_of_the_document_do_not_mix_answers_up() {
    let world = World::new();
    let document = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/agents.md"));
    let helper = |language: &str, end: &str| {
        let (_, rest) = document.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once(end).unwrap().0.to_owned()
    };
    let python = helper("python", "leave = ")
        + r#"
from concurrent.futures import ThreadPoolExecutor
scopes = ["read:README.md" if n % 2 else "read:secrets" for n in range(8)]
with ThreadPoolExecutor(8) as pool: answers = list(pool.map(lambda scope: tell(intent={"scope": scope})["ok"], scopes))
assert answers == [scope == "read:README.md" for scope in scopes], answers
"#;
    let node = helper("js", "const work")
        + r#"
const scopes = [0, 1, 2, 3].map((n) => (n % 2 ? "read:README.md" : "read:secrets"));
Promise.all(scopes.map((scope) => tell({ intent: { scope } }))).then((answers) => {
  run.end();
  if (answers.some(({ ok }, n) => ok !== (n % 2 === 1))) process.exit(1);
});
"#;
    for program in [["python3", "-c", &python], ["node", "-e", &node]] {
        world.succeed(world.run(&[], &program));
    }
}
