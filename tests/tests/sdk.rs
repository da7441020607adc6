//! The Python and Node clients under `dragons run`, with a real service.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tests::World;

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

/// `dragons run -- node`, with the compiled package by its place.
fn node(world: &World, script: &str) -> Command {
    static BUILT: OnceLock<()> = OnceLock::new();
    let package = repository().join("sdk/typescript");
    BUILT.get_or_init(|| {
        let mut npm = Command::new("npm");
        let built = npm.args(["run", "--silent", "build", "--prefix"]);
        let built = built.arg(&package).status().unwrap();
        assert!(built.success(), "what `make setup` installs is missing");
    });
    let index = package.join("dist/index.js").canonicalize().unwrap();
    let script = script.replace("@dragons/agent", &format!("file://{}", index.display()));
    world.run(&[], &["node", "--input-type=module", "-e", &script])
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
