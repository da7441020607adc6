//! Which log one signs for: nobody signs for whatever log a service says it is.

use std::process::{Command, Output};

use serde_json::Value;
use tests::{Service, Shell, dragons};

const REGISTER: &str = "manifest register DIR --key OPERATOR --agent-key AGENT";

/// A command of somebody who has the shell's files and no trust file.
fn without_trust(shell: &Shell, server: &str, line: &str) -> Output {
    let mut command = dragons().command();
    command
        .env("DRAGONS_SERVER", server)
        .env("XDG_STATE_HOME", shell.service.scratch("state"))
        .env_remove("XDG_RUNTIME_DIR");
    command.args(line.split_whitespace().map(|word| match word {
        "OPERATOR" => shell.service.key("operator"),
        "AGENT" => shell.service.scratch("agent.pem"),
        "DIR" => shell.service.scratch("greeter"),
        "TRUST" => shell.service.trust(),
        word => word.into(),
    }));
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn fingerprint(shell: &Shell) -> String {
    let charter = shell.json("charter show");
    let told = charter["log_fingerprint"].as_str().unwrap();
    told.replace(' ', "")
}

#[test]
fn a_script_signs_for_no_log_that_nobody_vouched_for() {
    let shell = Shell::new();
    shell.register_and_lease();
    let size = shell.service.size();
    let lease = shell.json("agent show greeter")["lease"].clone();
    let lease = lease.as_str().unwrap().to_owned();
    for line in [
        REGISTER,
        "lease grant greeter --allow run:greet --key OPERATOR",
        &format!("lease renew {lease} --for 2h --key OPERATOR"),
        &format!("lease revoke {lease} --reason x --key OPERATOR"),
        "agent quarantine greeter --reason x --key OPERATOR",
        "agent stop greeter --reason x --key OPERATOR",
        "lease ask --dir DIR --allow run:* --key AGENT",
        "heartbeat --dir DIR --key AGENT",
        "receipt goal --title greet --dir DIR --key AGENT",
        "agent release greeter --reason x --key OPERATOR",
        "attend --agent greeter --dir DIR --key AGENT",
    ] {
        let output = without_trust(&shell, shell.service.url(), line);
        let stderr = stderr(&output);
        // What speaks for others' processes says by its code that it never began.
        let code = if line.starts_with("attend") { 125 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert!(stderr.contains("--trust FILE"), "{line}: {stderr}");
        assert!(stderr.contains("dragons trust add"), "{line}: {stderr}");
    }
    assert_eq!(shell.service.size(), size, "nothing was signed or sent");
}

#[test]
fn a_log_is_pinned_by_its_fingerprint_and_known_from_then_on() {
    let shell = Shell::new();
    let url = shell.service.url();
    let add = format!("trust add {url}");
    let refused = without_trust(&shell, url, &add);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let wrong = format!("{add} --fingerprint 0000 --log test");
    assert_eq!(without_trust(&shell, url, &wrong).status.code(), Some(2));
    let right = format!("{add} --fingerprint {} --log test", fingerprint(&shell));
    let added = without_trust(&shell, url, &right);
    assert!(added.status.success(), "{}", stderr(&added));
    // By its address, and by its name from anywhere.
    let registered = without_trust(&shell, url, REGISTER);
    assert!(registered.status.success(), "{}", stderr(&registered));
    let elsewhere = "http://127.0.0.1:9";
    let named = without_trust(&shell, elsewhere, "agent list --log test");
    let told = String::from_utf8_lossy(&named.stdout).into_owned();
    assert!(told.contains("greeter"), "{told}{}", stderr(&named));
    assert!(!stderr(&named).contains("no --trust"), "{}", stderr(&named));
    let listed = without_trust(&shell, url, "trust list --json");
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(
        (&listed["name"], &listed["servers"][0]),
        (&"test".into(), &url.into())
    );
    let removed = without_trust(&shell, url, "trust remove test");
    assert!(removed.status.success(), "{}", stderr(&removed));
    let unknown = without_trust(&shell, elsewhere, "agent list --log test");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("trust list"));
}

/// A service that is known as one log and is another, as one is that was put in its place.
#[test]
fn a_log_in_the_place_of_another_is_refused_loudly() {
    let (shell, other) = (Shell::new(), Service::new());
    let url = other.url().to_owned();
    let add = format!("trust add TRUST --log test --server {url}");
    let refused = without_trust(&shell, &url, &add);
    assert!(
        !refused.status.success(),
        "the service says that it is another"
    );
    let address = url.trim_start_matches("http://").to_owned();
    let mut other = other;
    other.stop();
    let added = without_trust(&shell, &url, &add);
    assert!(added.status.success(), "{}", stderr(&added));
    other.start_at(&address);
    let size = other.size();
    for line in [REGISTER, "agent list", "lease requests", "get 0"] {
        let output = without_trust(&shell, &url, line);
        let stderr = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {stderr}");
        assert!(stderr.contains("ANOTHER LOG"), "{line}: {stderr}");
        assert!(stderr.contains("dragons trust remove test"), "{stderr}");
    }
    assert!(other.size() <= size + 1, "a pulse at most");
}

#[test]
fn trust_is_obeyed_by_every_command_that_reads() {
    let (shell, other) = (Shell::new(), Service::new());
    shell.register_and_lease();
    let foreign = other.trust();
    let foreign = foreign.to_str().unwrap();
    let lease = shell.json("agent show greeter")["lease"].clone();
    for line in [
        "agent list".to_owned(),
        "agent show greeter".to_owned(),
        "lease list".to_owned(),
        "lease list --agent greeter".to_owned(),
        "lease requests".to_owned(),
        format!("lease show {}", lease.as_str().unwrap()),
        "charter show".to_owned(),
        "checkpoint".to_owned(),
        "get 0".to_owned(),
        "prove 0".to_owned(),
        "consistency 1 2".to_owned(),
        "export -o @x.pack.jsonl".to_owned(),
        "prove-state greeter -o @x.state-proof.jsonl".to_owned(),
        "replay --json".to_owned(),
        "incident greeter --from -1h --whole-log -o @OUT".to_owned(),
    ] {
        shell.succeed(&format!("{line} --trust TRUST").replace("OUT", "known"));
        let foreign = format!("{line} --trust {foreign}").replace("OUT", "foreign");
        let (status, stderr) = shell.fail(&foreign);
        assert_eq!(status, 1, "{line}: {stderr}");
    }
}

/// Whoever trusts one log signs nothing for another, whatever is served at the address.
#[test]
fn nothing_is_signed_for_another_log_than_the_trusted_one() {
    let (shell, other) = (Shell::new(), Service::new());
    shell.register_and_lease();
    shell.succeed("heartbeat --dir DIR --key AGENT");
    let lease = shell.json("agent show greeter")["lease"].clone();
    let lease = lease.as_str().unwrap().to_owned();
    let (size, foreign) = (shell.service.size(), other.trust());
    let ran = shell.service.scratch("ran");
    for line in [
        REGISTER.to_owned(),
        "lease grant greeter --allow run:greet --key OPERATOR".to_owned(),
        format!("lease renew {lease} --for 2h --key OPERATOR"),
        format!("lease revoke {lease} --reason x --key OPERATOR"),
        "agent quarantine greeter --reason x --key OPERATOR".to_owned(),
        "agent release greeter --reason x --key OPERATOR".to_owned(),
        "agent stop greeter --reason x --key OPERATOR".to_owned(),
        "lease ask --dir DIR --allow run:* --key AGENT".to_owned(),
        "heartbeat --dir DIR --key AGENT".to_owned(),
        "receipt goal --title greet --dir DIR --key AGENT".to_owned(),
        "run --agent greeter --goal greet --dir DIR --key AGENT -- touch @ran".to_owned(),
    ] {
        let (options, program) = match line.split_once(" -- ") {
            Some((options, program)) => (options, format!(" -- {program}")),
            None => (line.as_str(), String::new()),
        };
        let output = shell.run(&format!("{options} --trust {}{program}", foreign.display()));
        assert!(!output.status.success(), "{line}: {}", stderr(&output));
    }
    assert!(!ran.exists(), "a program ran under nobody's leave");
    assert!(shell.service.size() <= size + 1, "a pulse at most");
}

/// Where a log only observes nothing is kept from running. Anybody can serve such a log, in place of another or to
/// somebody who knows none.
#[test]
fn a_log_that_nobody_vouched_for_lets_no_program_run() {
    let shell = Shell::new();
    let mut other = Service::with(&["--mode", "observe"], &[]);
    let url = other.url().to_owned();
    let address = url.trim_start_matches("http://").to_owned();
    let run = |server: &str| {
        let ran = shell.service.scratch("ran");
        let line = "run --agent greeter --goal greet --dir DIR --key AGENT -- touch";
        let line = format!("{line} {}", ran.display());
        let output = without_trust(&shell, server, &line);
        assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
        assert!(!ran.exists(), "{}", stderr(&output));
        stderr(&output)
    };
    let told = run(&url);
    assert!(told.contains("dragons trust add"), "{told}");
    other.stop();
    let add = format!("trust add TRUST --log test --server {url}");
    let added = without_trust(&shell, &url, &add);
    assert!(added.status.success(), "{}", stderr(&added));
    other.start_at(&address);
    let told = run(&url);
    assert!(told.contains("ANOTHER LOG"), "{told}");
}

/// At a terminal one is asked, as by ssh: with the fingerprint, once.
#[test]
fn a_person_is_asked_once() {
    let shell = Shell::new();
    let typed = |answer: &str| {
        let line = format!(
            "{} manifest register {} --key {} --agent-key {}",
            dragons().path().display(),
            shell.service.scratch("greeter").display(),
            shell.service.key("operator").display(),
            shell.service.scratch("agent.pem").display()
        );
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env("DRAGONS_SERVER", shell.service.url())
            .env("XDG_STATE_HOME", shell.service.scratch("state"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut child = script.spawn().expect("script is installed");
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, format!("{answer}\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (status, said) = typed("no");
    assert_eq!(status, Some(2), "{said}");
    assert!(
        said.contains("fingerprint") && said.contains("not trusted"),
        "{said}"
    );
    assert!(
        shell.service.size() <= 2,
        "the charter, and a pulse at most"
    );
    let (status, said) = typed(&fingerprint(&shell));
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("is known from now on"), "{said}");
    let (status, said) = typed("");
    assert_eq!(status, Some(0), "{said}");
    assert!(!said.contains("Type yes"), "{said}");
}
