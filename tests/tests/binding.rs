//! What runs is what was checked: names that are bound, and versions that change on the way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::Value;
use tests::{HeldLine, Meddling, World, read, stderr};

/// A world whose agent may run anything that is bound, and nothing else.
fn world() -> World {
    let world = World::without_lease(60_000);
    allow(&world, &["run:*"]);
    world
}

fn allow(world: &World, scopes: &[&str]) {
    let grant = ["lease", "grant", "worker", "--key", "OPERATOR", "--allow"];
    world.succeed(world.dragons(&[&grant, scopes].concat()));
}

fn place(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.service.scratch(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn output(world: &World, options: &[&str], program: &[&str]) -> Output {
    world.run(options, program).output().unwrap()
}

/// Holds that nothing was run, and that the refusal says what would help.
fn is_refused(world: &World, program: &[&str], words: &[&str]) {
    let output = output(world, &[], program);
    assert_eq!(output.status.code(), Some(125), "{program:?}");
    assert!(output.stdout.is_empty(), "{program:?}");
    let said = stderr(&output);
    for word in words {
        assert!(said.contains(word), "{program:?}: {word}: {said}");
    }
}

#[test]
fn a_program_of_another_place_is_refused_or_runs_as_any() {
    let world = world();
    let ls = place(&world, "x/ls", "#!/bin/sh\necho mischief\n");
    let script = place(&world, "x/x.sh", "echo mischief\n");
    let (ls, script) = (ls.to_str().unwrap(), script.to_str().unwrap());
    is_refused(
        &world,
        &[ls],
        &["programs_from", "[[tools]]", "--any-program"],
    );
    is_refused(
        &world,
        &["sh", script],
        &["outside", "in code", "--any-program"],
    );
    is_refused(&world, &["sh", "-e", script], &["outside"]);
    assert!(world.receipts("intent").is_empty());
    // `run:*` is one segment, and what is bound to nothing has two.
    let denied = output(&world, &["--any-program"], &[ls]);
    assert_eq!(denied.status.code(), Some(125));
    assert!(
        stderr(&denied).contains("capability-missing"),
        "{}",
        stderr(&denied)
    );
    let config = world.service.scratch("agent/agent.toml");
    let wider = read(&config).replace("run:*", "run:**");
    std::fs::write(config, wider).unwrap();
    world.register();
    allow(&world, &["run:**"]);
    let any = output(&world, &["--any-program"], &[ls]);
    assert_eq!(any.stdout, b"mischief\n", "{}", stderr(&any));
    let any = output(&world, &["--any-program"], &["sh", script]);
    assert_eq!(any.stdout, b"mischief\n", "{}", stderr(&any));
    let scopes: Vec<Value> = world
        .receipts("intent")
        .iter()
        .map(|one| one["scope"].clone())
        .collect();
    assert_eq!(scopes, ["run:@any/ls", "run:@any/sh"]);
}

#[test]
fn what_is_the_agents_the_systems_or_pinned_runs_under_its_name() {
    let world = world();
    let own = place(&world, "agent/src/own", "#!/bin/sh\necho own\n");
    let tool = place(&world, "x/tool", "#!/bin/sh\necho tool\n");
    let digest = ledger::digest::Digest::of(&[b"#!/bin/sh\necho tool\n"]);
    let config = read(&world.service.scratch("agent/agent.toml"));
    world.write(
        "agent.toml",
        &format!("{config}[[tools]]\nname = \"tool\"\ndigest = \"{digest}\"\n"),
    );
    world.register();
    allow(&world, &["run:*"]);
    let tool_path = tool.to_str().unwrap();
    for (program, out) in [
        (&["src/own"][..], "own\n"),
        (&[own.to_str().unwrap()], "own\n"),
        (&["sh", "src/work.sh"], "work\n"),
        (&["echo", "system"], "system\n"),
        (&["/bin/echo", "system"], "system\n"),
        (&[tool_path], "tool\n"),
    ] {
        let output = output(&world, &[], program);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            out,
            "{}",
            stderr(&output)
        );
    }
    let intents = world.receipts("intent");
    let scopes: Vec<&str> = intents
        .iter()
        .map(|one| one["scope"].as_str().unwrap())
        .collect();
    assert_eq!(
        scopes,
        [
            "run:own", "run:own", "run:sh", "run:echo", "run:echo", "run:tool"
        ]
    );
    assert_eq!(intents[5]["tool"]["digest"], digest.to_string());
    let script = ledger::digest::Digest::of(&[b"echo work\n"]);
    assert_eq!(intents[2]["ext"]["script"], script.to_string());
    std::fs::write(&tool, "#!/bin/sh\necho mischief\n").unwrap();
    is_refused(&world, &[tool_path], &["pin it"]);
}

#[test]
fn what_a_program_leaves_among_the_files_is_told_at_once_and_named_by_the_refusal() {
    let world = world();
    let leaves =
        "mkdir -p src/__pycache__; echo x > src/__pycache__/work.pyc; echo y >> src/work.sh";
    let first = output(&world, &[], &["sh", "-c", leaves]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let named = [
        "src/__pycache__/work.pyc is new",
        "src/work.sh has changed",
        "ignore",
    ];
    for words in named {
        assert!(stderr(&first).contains(words), "{}", stderr(&first));
    }
    let second = output(&world, &[], &["true"]);
    assert_eq!(second.status.code(), Some(125));
    for words in named {
        assert!(stderr(&second).contains(words), "{}", stderr(&second));
    }
}

#[test]
fn an_agent_that_begins_with_init_is_not_locked_out_by_what_programs_write() {
    let world = World::without_lease(60_000);
    std::fs::remove_file(world.service.scratch("agent/agent.toml")).unwrap();
    let init = ["manifest", "init", "DIR", "--agent", "worker"];
    world.succeed(world.dragons(&init));
    let refused = world.dragons(&init).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("was not changed"),
        "{}",
        stderr(&refused)
    );
    world.write("src/part.py", "VALUE = 'imported'\n");
    world.write("src/work.py", "import part\nprint(part.VALUE)\n");
    world.register();
    allow(&world, &["run:*"]);
    for _ in 0..2 {
        let mut run = world.run(&[], &["python3", "src/work.py"]);
        let output = run.env_remove("PYTHONDONTWRITEBYTECODE").output().unwrap();
        assert_eq!(output.stdout, b"imported\n", "{}", stderr(&output));
    }
    assert!(world.service.scratch("agent/src/__pycache__").is_dir());
}

/// What stands behind the name when the permit comes is looked at again: the swap is found, and nothing runs.
#[test]
fn a_file_that_is_swapped_while_the_service_is_slow_does_not_run() {
    let world = world();
    place(&world, "agent/src/own", "#!/bin/sh\necho own\n");
    world.register();
    allow(&world, &["run:*"]);
    let line = HeldLine::to(&world.service);
    line.meddle(Meddling::HoldPermits);
    let mut run = world.run(&[], &["src/own"]);
    run.env("DRAGONS_SERVER", line.url());
    run.stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = run.spawn().unwrap();
    line.wait_for_intent();
    place(&world, "agent/src/own", "#!/bin/sh\necho mischief\n");
    line.meddle(Meddling::None);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "{}", stderr(&output));
    assert!(stderr(&output).contains("src/own"), "{}", stderr(&output));
    let result = &world.receipts("result")[0];
    assert_eq!(result["status"], "cancelled", "{result}");
    world.blames_nobody();
}
