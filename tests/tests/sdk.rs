//! The Python and Node clients under `dragons run`, with a real service.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::Signal;
use serde_json::Value;
use tests::{Run, World};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `dragons run -- python3`, which finds the package.
fn python(world: &World, script: &str) -> Command {
    let mut command = world.run(&[], &["python3", "-c", script]);
    command
        .env("PYTHONPATH", repository().join("sdk/python/src"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// `dragons run -- node`, which finds the package.
fn node(world: &World, script: &str) -> Command {
    let script = by_place(script);
    world.run(&[], &["node", "--input-type=module", "-e", &script])
}

/// A script that has the compiled package by its place.
fn by_place(script: &str) -> String {
    static BUILT: OnceLock<()> = OnceLock::new();
    let package = repository().join("sdk/typescript");
    BUILT.get_or_init(|| {
        let mut npm = Command::new("npm");
        let built = npm.args(["run", "--silent", "build", "--prefix"]);
        let built = built.arg(&package).status().unwrap();
        assert!(built.success(), "what `make setup` installs is missing");
    });
    let index = package.join("dist/index.js").canonicalize().unwrap();
    script.replace("@dragons/agent", &format!("file://{}", index.display()))
}

/// What both scripts did: a goal with two actions that are allowed, twenty at once, and one that is denied.
fn check(world: &World, out: &str) {
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines, ["2", "scope-denied", "20", "True"], "{out}");
    let goals = world.receipts("goal");
    assert_eq!(goals[1]["title"], "count the lines");
    let intents = world.receipts("intent");
    assert_eq!(intents.len(), 1 + 2 + 20);
    let named = |intent: &&Value| intent["inputs"].get("why").is_some();
    let first = intents.iter().find(named).expect("the action of the goal");
    assert_eq!(first["scope"], "read:README.md");
    let nested = intents
        .iter()
        .filter(|intent| !intent["parents"].as_array().unwrap().is_empty());
    assert_eq!(nested.count(), 1);
    let results = world.receipts("result");
    assert!(results.iter().all(|result| result["status"] == "ok"));
    assert_eq!(results.len(), intents.len());
    let outcome = &world.receipts("outcome")[0];
    assert_eq!(outcome["verdict"], "accepted");
    assert_eq!(outcome["checks"].as_array().unwrap().len(), 2);
    let values = world.disclosed();
    assert!(values.contains(&("lines".to_owned(), b"2".to_vec())));
    world.blames_nobody();
}

#[test]
fn a_python_program_asks_and_accounts() {
    let world = World::new();
    let script = r#"
import dragons
from concurrent.futures import ThreadPoolExecutor

@dragons.governed("read:{path:path}", output="lines")
def count(path):
    return len(list(open(path)))

with dragons.goal("count the lines"):
    with dragons.action("read:README.md", inputs={"why": "a test"}):
        print(count("README.md"))
try:
    count("secrets")
except dragons.Denied as error:
    print(error.code)

def act(n):
    with dragons.action("read:README.md") as action:
        return action.permit.intent

with ThreadPoolExecutor(20) as pool:
    print(len(set(pool.map(act, range(20)))))
dragons.progress()
permit = dragons.client().action("read:README.md")
print(permit.permit is None)
"#;
    let out = world.succeed(python(&world, script));
    check(&world, &out);
}

#[test]
fn a_node_program_asks_and_accounts() {
    let world = World::new();
    let script = r#"
import { readFileSync } from "node:fs";
import { action, client, goal, governed, progress } from "@dragons/agent";

const count = governed("read:{0:path}", (path) => readFileSync(path, "utf8").split("\n").length - 1, { output: "lines" });
await goal("count the lines", () =>
  action("read:README.md", async () => console.log(await count("README.md")), { inputs: { why: "a test" } }));
await count("secrets").catch((error) => console.log(error.code));
const act = () => action("read:README.md", ({ permit }) => permit.intent);
console.log(new Set(await Promise.all(Array.from({ length: 20 }, act))).size);
await progress();
console.log(client().begin("read:README.md").permit === undefined ? "True" : "False");
"#;
    let out = world.succeed(node(&world, script));
    check(&world, &out);
}

/// A program that others start, beside a speaker.
fn beside(world: &World, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(world.service.scratch("agent"))
        .env("PYTHONPATH", repository().join("sdk/python/src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("XDG_RUNTIME_DIR", world.service.scratch("run"))
        .env("DRAGONS_AGENT", "worker")
        .env_remove("DRAGONS_SOCKET")
        .env_remove("DRAGONS_GOAL");
    command
}

#[test]
fn programs_that_others_start_share_one_speaker() {
    let world = World::new();
    std::fs::create_dir(world.service.scratch("run")).unwrap();
    let words = [
        "attend", "--agent", "worker", "--dir", "DIR", "--key", "KEY", "--trust", "TRUST",
    ];
    let mut attend = world.dragons(&words);
    attend.env("XDG_RUNTIME_DIR", world.service.scratch("run"));
    let mut attending = Run::start(attend);
    assert!(attending.line().starts_with("listening on "));
    let python = r#"
import asyncio, os, dragons

async def act():
    async with dragons.action("read:README.md") as action:
        return action.permit.intent

async def work():
    return len(set(await asyncio.gather(*(act() for _ in range(40)))))

print(dragons.client().hello()["agent"], asyncio.run(work()), flush=True)
child = os.fork()
if child == 0:
    asyncio.run(work())
    dragons.client().close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"#;
    let node = by_place(
        r#"
import { action } from "@dragons/agent";
const act = () => action("read:README.md", ({ permit }) => permit.intent);
console.log(new Set(await Promise.all(Array.from({ length: 40 }, act))).size);
"#,
    );
    let node = ["--input-type=module", "-e", &node];
    let mut beside_python = Run::start(beside(&world, "python3", &["-c", python]));
    let mut beside_node = Run::start(beside(&world, "node", &node));
    assert_eq!(beside_python.line(), "worker 40\n");
    assert_eq!(beside_node.line(), "40\n");
    for program in [beside_python, beside_node] {
        let (code, _, err) = program.end();
        assert_eq!(code, Some(0), "{err}");
    }
    attending.signal(Signal::TERM);
    let (code, _, err) = attending.end();
    assert_eq!(code, Some(0), "{err}");
    let results = world.receipts("result");
    assert_eq!((results.len(), world.receipts("intent").len()), (120, 120));
    let hosts = |host: &str| {
        let of = |result: &&Value| result["refs"]["host"] == host;
        results.iter().filter(of).count()
    };
    assert_eq!((hosts("python"), hosts("node")), (80, 40));
    assert!(results.iter().all(|result| result["status"] == "ok"));
    let verdicts = world.receipts("outcome");
    let verdicts: Vec<&Value> = verdicts.iter().map(|outcome| &outcome["verdict"]).collect();
    assert_eq!(
        verdicts, ["partial"; 3],
        "each process is a session, and says when it is over"
    );
    world.blames_nobody();
}

/// Beside a log that only observes a program runs as it would without us: while the service is there, and while it is not.
fn goes_on_beside_a_log_that_observes(beside: impl FnOnce(&World) -> Command) {
    let mut world = World::with_charter(OBSERVES, 60_000);
    world.lease();
    std::fs::create_dir(world.service.scratch("run")).unwrap();
    let words = [
        "attend", "--agent", "worker", "--dir", "DIR", "--key", "KEY", "--trust", "TRUST",
    ];
    let mut attend = world.dragons(&words);
    attend.env("XDG_RUNTIME_DIR", world.service.scratch("run"));
    let mut attending = Run::start(attend);
    assert!(attending.line().starts_with("listening on "));
    let mut program = Run::start(beside(&world));
    assert_eq!(program.line(), "there\n");
    let address = world.address();
    world.service.kill();
    program.say("go on");
    for _ in 0..3 {
        assert_eq!(program.line(), "away\n");
    }
    program.say("go on");
    let (code, out, said) = program.end();
    assert_eq!((code, out.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("not logged"), "it is never silent: {said}");
    world.restart_at(&address);
    attending.until("the service is back");
    attending.signal(Signal::TERM);
    let (code, _, err) = attending.end();
    assert_eq!(code, Some(0), "{err}");
    // On a machine that is slow what came before may have been let through as well.
    let (intents, results) = (world.receipts("intent"), world.receipts("result"));
    let scopes = intents.iter().map(|intent| &intent["scope"]);
    assert!(
        scopes.clone().all(|scope| scope == "write:nowhere"),
        "{intents:?}"
    );
    assert_eq!(results.len(), intents.len());
    assert!(
        results.iter().all(|result| result["status"] == "ok"),
        "{results:?}"
    );
    let beats = world.payloads("heartbeat");
    let counted = beats
        .iter()
        .filter_map(|beat| beat["ext"]["unlogged"]["count"].as_u64());
    assert_eq!(
        counted.sum::<u64>() + intents.len() as u64,
        4,
        "nothing is lost"
    );
}

const OBSERVES: &str = r#"{"mode":"observe","liveness":{"heartbeat_ms":150}}"#;

#[test]
fn a_python_program_goes_on_beside_a_log_that_observes() {
    let script = r#"
import sys, dragons

def work(name):
    with dragons.goal(name):
        with dragons.action("write:nowhere", inputs={"a": "b"}) as action:
            action.output(done="yes")
    dragons.progress()
    print(name, flush=True)

work("there")
sys.stdin.readline()
for _ in range(3):
    work("away")
sys.stdin.readline()
"#;
    goes_on_beside_a_log_that_observes(|world| beside(world, "python3", &["-c", script]));
}

#[test]
fn a_node_program_goes_on_beside_a_log_that_observes() {
    let script = by_place(
        r#"
import { createInterface } from "node:readline/promises";
import { action, goal, progress } from "@dragons/agent";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function work(name) {
  await goal(name, () => action("write:nowhere", (action) => action.output({ done: "yes" }), { inputs: { a: "b" } }));
  await progress();
  console.log(name);
}
await work("there");
await lines.next();
for (let n = 0; n < 3; n += 1) {
  await work("away");
}
await lines.next();
process.stdin.destroy();
"#,
    );
    let words = ["--input-type=module", "-e", &script];
    goes_on_beside_a_log_that_observes(|world| beside(world, "node", &words));
}
