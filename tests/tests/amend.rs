//! The charter is amended: by several keys, and against the key that the service itself signs with.

use serde_json::Value;
use tests::Shell;

/// The public half of a key, as `--add-key` takes it.
fn public(shell: &Shell, name: &str) -> String {
    let made = shell.json(&format!("keygen --name {name} --out @{name}.pem"));
    made["key"].as_str().unwrap().to_owned()
}

fn version(shell: &Shell) -> Value {
    shell.json("charter show")["payload"]["version"].clone()
}

fn missing(shell: &Shell, submit: &str) -> String {
    let (status, stderr) = shell.fail(submit);
    assert_eq!(status, 2, "{stderr}");
    stderr
}

#[test]
fn a_higher_threshold_needs_its_own_signatures_too() {
    let shell = Shell::new();
    let second = public(&shell, "second");
    let amend =
        format!("charter amend --add-key root:{second}:second --root-threshold 2 -o @next.json");
    let proposed = shell.json(&amend);
    assert_eq!(
        (
            &proposed["signed_by_old_roots"],
            &proposed["signed_by_new_roots"]
        ),
        (&"0 of 1".into(), &"0 of 2".into())
    );
    let paths: Vec<&str> = proposed["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert!(
        paths.contains(&"thresholds.root") && paths.contains(&"keys"),
        "{paths:?}"
    );
    let submit = "charter submit @next.json";
    assert!(missing(&shell, submit).contains("0 of 1 roots of version 1"));
    shell.succeed("charter sign @next.json --key ROOT");
    assert!(missing(&shell, submit).contains("1 more must sign: 1 of 2 roots of version 2"));
    assert!(missing(&shell, "charter sign @next.json --key ROOT").contains("key-repeated"));
    assert!(missing(&shell, "charter sign @next.json --key AGENT").contains("neither charter"));
    let signed = shell.json("charter sign @next.json --key @second.pem");
    assert_eq!(signed["fingerprint"], proposed["fingerprint"]);
    assert_eq!(version(&shell), 1);
    shell.succeed(submit);
    assert_eq!(version(&shell), 2);
    assert!(
        missing(&shell, submit).contains("not made for the charter in force"),
        "it is in force already"
    );
    shell.succeed("charter amend --mode observe -o @third.json");
    shell.succeed("charter sign @third.json --key ROOT");
    assert!(missing(&shell, "charter submit @third.json").contains("1 of 2 roots of version 2"));
}

#[test]
fn a_service_whose_control_key_is_taken_out_stops_and_says_so() {
    let mut shell = Shell::new();
    shell.register_and_lease();
    let successor = public(&shell, "successor");
    let control = shell.json("fingerprint CONTROL")["name"].clone();
    let control = control.as_str().unwrap();
    shell.succeed(&format!(
        "charter amend --distrust {control} --add-key control:{successor}:successor -o @next.json"
    ));
    shell.succeed("charter sign @next.json --key ROOT");
    shell.succeed("charter submit @next.json");
    assert!(!shell.service.wait().success());
    let said = shell.service.stderr();
    assert!(
        said.contains("the control role") && said.contains(control),
        "{said}"
    );
    std::fs::copy(
        shell.service.scratch("successor.pem"),
        shell.service.key("control"),
    )
    .unwrap();
    shell.service.start();
    assert_eq!(version(&shell), 2);
    assert_eq!(shell.service.get("/readyz").status, 200);
    shell.succeed("export -o @all.pack.jsonl");
    shell.succeed("verify @all.pack.jsonl --trust TRUST");
}

/// The steps of docs/operations.md for a log key that was stolen: the old key ends, the new one goes on, and whoever has
/// the charter follows without being told.
#[test]
fn a_stolen_log_key_is_replaced_and_who_has_the_charter_follows() {
    let mut shell = Shell::new();
    shell.register_and_lease();
    let new = public(&shell, "new-log");
    shell.succeed(&format!(
        "charter amend --log-key {new} -o @next.json --trust TRUST"
    ));
    shell.succeed("charter sign @next.json --key ROOT --trust TRUST");
    shell.succeed("charter submit @next.json --trust TRUST");
    assert!(!shell.service.wait().success());
    let said = shell.service.stderr();
    assert!(said.contains("no longer names the log key"), "{said}");
    let status = shell
        .service
        .serve_command()
        .stdout(std::process::Stdio::null())
        .status();
    assert!(!status.unwrap().success(), "the old key starts nothing");

    std::fs::rename(
        shell.service.key("log"),
        shell.service.scratch("stolen.pem"),
    )
    .unwrap();
    std::fs::copy(
        shell.service.scratch("new-log.pem"),
        shell.service.key("log"),
    )
    .unwrap();
    shell.service.start();
    assert_eq!(shell.service.get("/readyz").status, 200);
    let order = "agent quarantine greeter --reason test --key OPERATOR --trust TRUST";
    shell.succeed(order);
    // Until something is logged the newest head is the old key's, which whoever has no trust does not know.
    assert_eq!(version(&shell), 2);
    assert_eq!(shell.json("agent show greeter")["state"], "quarantined");
    shell.succeed("export -o @all.pack.jsonl --trust TRUST");
    let report = shell.json("verify @all.pack.jsonl --trust TRUST");
    assert_eq!(report["verdict"], "verified", "{report}");
    assert_eq!(
        report["findings"].as_array().map(Vec::len),
        Some(0),
        "{report}"
    );
}

#[test]
fn an_order_takes_as_many_operators_as_the_charter_asks_for() {
    let shell = Shell::new();
    shell.register_and_lease();
    let second = public(&shell, "second");
    shell.succeed(&format!(
        "charter amend --add-key operator:{second}:second --operator-threshold 2 -o @next.json"
    ));
    shell.succeed("charter sign @next.json --key ROOT");
    shell.succeed("charter submit @next.json");
    for (verb, state) in [
        ("quarantine", "quarantined"),
        ("release", "autohealing"),
        ("stop", "stopped"),
    ] {
        let order = format!("agent {verb} greeter --reason test --key OPERATOR");
        assert!(
            missing(&shell, &order).contains("threshold-not-met"),
            "{verb}"
        );
        shell.succeed(&format!("{order} --cosign-key @second.pem"));
        assert_eq!(shell.json("agent show greeter")["state"], state);
    }
    shell.succeed("export -o @all.pack.jsonl");
    shell.succeed("verify @all.pack.jsonl --trust TRUST");
}
