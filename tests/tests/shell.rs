//! The command against a live service, as an operator and an auditor use it from a shell.

use std::process::Command;

use serde_json::Value;
use tests::{Shell, dragons};

#[test]
fn from_a_key_to_a_verified_proof() {
    let shell = Shell::new();
    shell.register_and_lease();
    let agent = shell.json("agent show greeter");
    assert_eq!(agent["state"], "stopped");
    assert_eq!(agent["epoch"], 1);
    let lease = agent["lease"].as_str().unwrap().to_owned();
    let entry = shell.json(&format!("get {lease}"));
    assert_eq!(entry["kind"], "lease");
    let index = entry["index"].as_u64().unwrap();
    assert_eq!(shell.json(&format!("get {index}")), entry);
    shell.succeed(&format!("prove {index} -o PROOF"));
    assert!(shell.succeed("agent list").contains("greeter"));
    shell.succeed("agent stop greeter --reason test --key OPERATOR");
    assert_eq!(
        shell.json("agent show greeter")["lease"].as_str(),
        Some(lease.as_str())
    );
    let old = index + 1;
    let new = shell.service.size();
    shell.succeed(&format!("consistency {old} {new} --trust TRUST"));
    assert!(shell.succeed("checkpoint").contains(tests::ORIGIN));
    let mut shell = shell;
    assert_eq!(shell.service.stop().code(), Some(0));
    verify_offline(&shell);
}

#[test]
fn an_agent_is_quarantined_released_and_stopped() {
    let shell = Shell::new();
    shell.register_and_lease();
    let order = |order: &str| {
        shell.json(&format!(
            "agent {order} greeter --reason test --key OPERATOR"
        ))
    };
    let told = || shell.json("agent show greeter");
    assert_eq!(order("quarantine")["to"], "quarantined");
    assert_eq!(
        (&told()["state"], &told()["ask"]),
        (&"quarantined".into(), &"stop".into())
    );
    assert_eq!(order("release")["to"], "autohealing");
    let released = told();
    assert_eq!(
        (&released["state"], &released["ask"]),
        (&"autohealing".into(), &"restart".into())
    );
    assert_eq!(released["epoch"], 2);
    let again = shell.fail("agent release greeter --reason test --key OPERATOR");
    assert!(again.1.contains("state-forbids"), "{again:?}");
    assert_eq!(order("stop")["to"], "stopped");
    assert_eq!(told()["lease_ends_ms"], Value::Null);
}

/// With the service stopped: only the file and the trust.
fn verify_offline(shell: &Shell) {
    let mut strace = Command::new("strace");
    let offline = |line: &str| {
        let mut command = dragons().command();
        for word in line.split_whitespace() {
            match word {
                "PROOF" => command.arg(shell.service.scratch("lease.tlog-proof")),
                "TRUST" => command.arg(shell.service.trust()),
                word => command.arg(word),
            };
        }
        command
    };
    let output = offline("verify PROOF --trust TRUST --json")
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["report"], &report["verdict"]),
        (&"dragons.report/v1".into(), &"verified".into())
    );
    assert!(!report["trace"].as_array().unwrap().is_empty());
    let explained = offline("verify PROOF --trust TRUST --explain")
        .output()
        .unwrap();
    assert_eq!(explained.status.code(), Some(0));

    let command = offline("verify PROOF --trust TRUST");
    let trace = shell.service.scratch("sockets");
    strace
        .args(["-f", "-qq", "-e", "trace=network", "-o"])
        .arg(&trace);
    strace.arg(command.get_program()).args(command.get_args());
    assert!(strace.output().unwrap().status.success());
    assert_eq!(tests::read(&trace), "", "a verification opens no socket");

    let proof = tests::read(&shell.service.scratch("lease.tlog-proof"));
    let broken = proof.replacen("index ", "index 1", 1);
    std::fs::write(shell.service.scratch("lease.tlog-proof"), broken).unwrap();
    let output = offline("verify PROOF --trust TRUST").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let output = offline("verify nowhere.tlog-proof --trust TRUST")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_new_version_replaces_the_one_before() {
    let shell = Shell::new();
    shell.register_and_lease();
    let first = shell.json("agent show greeter")["manifest_hash"].clone();
    std::fs::write(
        shell.service.scratch("greeter/src/greet.sh"),
        "echo goodbye\n",
    )
    .unwrap();
    shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
    let second = shell.json("agent show greeter")["manifest_hash"].clone();
    assert_ne!(first, second);
    std::fs::write(
        shell.service.scratch("greeter/src/greet.sh"),
        "echo hello\n",
    )
    .unwrap();
    shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
    assert_eq!(
        shell.json("agent show greeter")["manifest_hash"],
        first,
        "and back again"
    );
}

#[test]
fn what_goes_wrong_has_a_code_and_an_exit_status() {
    let shell = Shell::new();
    let (status, stderr) = shell.fail("agent show greeter");
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("not-found"), "{stderr}");
    let (status, stderr) = shell.fail("lease grant greeter --allow run:greet --key OPERATOR");
    assert_eq!(status, 2, "{stderr}");
    shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
    for (line, code) in [
        (
            "lease grant greeter --allow write:x --key OPERATOR",
            "capability-missing",
        ),
        (
            "lease grant greeter --allow run:greet --key AGENT",
            "role-missing",
        ),
        ("agent stop greeter --reason x --key AGENT", "role-missing"),
        ("get 99999", "not-found"),
    ] {
        let (status, stderr) = shell.fail(line);
        assert_eq!(status, 2, "{line}: {stderr}");
        assert!(stderr.contains(code), "{line}: {stderr}");
    }
    let again = shell.run("keygen --name greeter --out AGENT");
    assert_eq!(again.status.code(), Some(2), "a key is never overwritten");
    let mut shell = shell;
    shell.service.stop();
    let mut command = dragons().command();
    command.args(["checkpoint", "--server", "http://127.0.0.1:9"]);
    assert_eq!(command.output().unwrap().status.code(), Some(2));
}

#[test]
fn options_stand_before_or_after_the_subcommand() {
    let shell = Shell::new();
    let url = shell.service.url().to_owned();
    for arguments in [
        ["--server", url.as_str(), "--json", "checkpoint"],
        ["checkpoint", "--server", url.as_str(), "--json"],
    ] {
        let output = dragons().run(arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok());
    }
}

#[test]
fn a_lease_is_renewed_and_revoked() {
    let shell = Shell::new();
    shell.register_and_lease();
    let lease = shell.json("agent show greeter")["lease"].clone();
    let lease = lease.as_str().unwrap();
    let renewal = shell.json(&format!("lease renew {lease} --for 2h --key OPERATOR"));
    let granted = shell.json(&format!("lease show {lease}"));
    let (expires, until) = (&granted["payload"]["expires_ms"], &renewal["expires_ms"]);
    assert!(expires.as_u64() < until.as_u64());
    shell.succeed(&format!(
        "lease revoke {lease} --reason test --key OPERATOR"
    ));
    let (status, stderr) = shell.fail(&format!("lease renew {lease} --for 3h --key OPERATOR"));
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("lease-revoked"), "{stderr}");
    let (status, stderr) = shell.fail(&format!("lease revoke {lease} --reason x --key AGENT"));
    assert_eq!(
        (status, stderr.contains("role-missing")),
        (2, true),
        "{stderr}"
    );
}

#[test]
fn any_tool_can_sign_a_record() {
    let shell = Shell::new();
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "ed25519", "-out"])
        .arg(shell.service.scratch("foreign.pem"))
        .output()
        .expect("openssl is installed");
    assert!(made.status.success());
    std::fs::rename(
        shell.service.scratch("foreign.pem"),
        shell.service.scratch("agent.pem"),
    )
    .unwrap();
    shell.register_and_lease();
    let readable = Command::new("openssl")
        .args(["pkey", "-noout", "-text", "-in"])
        .arg(shell.service.key("operator"))
        .output()
        .unwrap();
    assert!(readable.status.success(), "openssl reads our keys");
}
