//! What an agent did, told from the service and from a file of its records.

use tests::Shell;

#[test]
fn a_goal_is_told_with_its_authority_from_the_service_and_from_a_file() {
    let shell = Shell::new();
    shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
    shell.succeed("lease grant greeter --allow run:true run:false --key OPERATOR");
    shell.succeed("run --agent greeter --dir DIR --goal a\u{200b}b --key AGENT -- true");
    let failed = shell.run("run --agent greeter --dir DIR --goal c --key AGENT -- false");
    assert_eq!(failed.status.code(), Some(1), "the program's own exit code");
    let denied = shell.run("run --agent greeter --dir DIR --goal d --key AGENT -- ls");
    assert_eq!(denied.status.code(), Some(125));
    shell.succeed("export -o @all.pack.jsonl");
    let told = shell.run("replay --trust TRUST");
    let from_file = shell.run("replay @all.pack.jsonl --trust TRUST");
    assert_eq!(
        (told.status.code(), from_file.status.code()),
        (Some(0), Some(0))
    );
    let text = String::from_utf8(from_file.stdout).unwrap();
    let lease = shell.json("agent show greeter")["lease"].clone();
    let lease = lease.as_str().unwrap();
    let words = text.split_whitespace().collect::<String>();
    for part in [
        &format!("lease{lease}byoperator"),
        "intentrun:true",
        "resultok",
        "resulterror",
        "version1(",
    ] {
        assert!(words.contains(part), "{part}: {text}");
    }
    assert!(text.contains("a⟨U+200B⟩b"), "{text}");
    let story = shell.json("replay --agent greeter");
    let goal = story["goals"][1]["goal"].as_str().unwrap();
    assert_eq!(story["goals"][0]["authority"]["lease"], lease);
    assert_eq!(story["verdict"], serde_json::Value::Null);
    let one = shell.json(&format!("replay --goal {goal}"));
    assert_eq!(one["goals"].as_array().unwrap().len(), 1);
    assert_eq!(one["goals"][0]["title"], "c");
    let of_agent = shell.run("replay --agent greeter --trust TRUST");
    assert_eq!(
        of_agent.status.code(),
        Some(3),
        "an agent's pack is never the whole log"
    );
}
