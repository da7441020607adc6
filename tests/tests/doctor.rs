//! `dragons doctor`: each thing that can be wrong with an installation is made wrong, and has to be found, by its name
//! and by nothing else.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tests::{Service, Shell};

/// What a doctor said.
struct Said {
    code: i32,
    checks: Vec<Value>,
}

impl Said {
    fn check(&self, name: &str) -> &Value {
        let found = self.checks.iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("no check {name}"))
    }

    fn result(&self, name: &str) -> &str {
        self.check(name)["result"].as_str().unwrap()
    }

    fn detail(&self, name: &str) -> &str {
        self.check(name)["detail"].as_str().unwrap()
    }

    fn named(&self, result: &str) -> Vec<&str> {
        let of = self.checks.iter().filter(|check| check["result"] == result);
        of.map(|check| check["name"].as_str().unwrap()).collect()
    }

    /// That these are the problems, and no others.
    fn problems(&self, names: &[&str]) {
        assert_eq!(self.named("problem"), names, "{:#?}", self.checks);
        assert_eq!(self.code, i32::from(!names.is_empty()));
    }
}

/// Runs a doctor, whose every check must say what its result asks for.
fn doctor(shell: &Shell, line: &str) -> Said {
    let output = shell.run(&format!("doctor --json {line}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    let checks = report["checks"].as_array().unwrap().clone();
    for check in &checks {
        let (is_good, is_troubled) = match check["result"].as_str().unwrap() {
            "ok" => (true, false),
            "not checked" => (false, false),
            _ => (false, true),
        };
        assert_eq!(check["advice"].is_null(), is_good, "{check}");
        assert_eq!(check["meaning"].is_string(), is_troubled, "{check}");
        assert_ne!(check["detail"], "", "{check}");
    }
    Said {
        code: output.status.code().unwrap(),
        checks,
    }
}

/// An agent that has a lease, and has spoken.
fn at_work() -> Shell {
    let shell = Shell::new();
    shell.register_and_lease();
    beat(&shell);
    shell
}

fn beat(shell: &Shell) {
    shell.succeed("heartbeat --dir DIR --key AGENT --trust TRUST");
}

const ALL: &str = "--dir DIR --key AGENT --trust TRUST";

fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for path in fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

fn journal(shell: &Shell) -> PathBuf {
    let state = files(&shell.service.scratch("state"));
    let mut paths = state.into_iter().map(|(path, _)| path);
    paths
        .find(|path| path.ends_with("greeter/journal.jsonl"))
        .unwrap()
}

fn open_to(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_sound_installation_has_no_problem_and_stays_as_it_is() {
    let shell = at_work();
    let before = files(&shell.service.scratch("state"));
    let said = doctor(&shell, ALL);
    said.problems(&[]);
    // Whether the page was built before this program is not this test's to say.
    let good = said.named("ok").len() + usize::from(said.result("verify-page") == "warning");
    let data = [
        "data",
        "data-access",
        "data-keys",
        "data-log-key",
        "data-disk",
    ];
    assert_eq!(said.named("not checked"), data);
    assert_eq!(good + data.len(), said.checks.len(), "{:#?}", said.checks);
    assert!(said.detail("address").contains("by DRAGONS_SERVER"));
    assert!(said.detail("agent").contains("greeter (by agent.toml)"));
    assert!(
        said.detail("key-holder")
            .contains("the key of the agent greeter")
    );
    assert_eq!(files(&shell.service.scratch("state")), before);
    let people = shell.succeed(&format!("doctor {ALL}"));
    assert!(people.contains("0 problems, "), "{people}");
    let named = doctor(&shell, "--agent greeter --key OPERATOR --trust TRUST");
    named.problems(&[]);
    assert!(named.detail("agent").contains("by --agent"));
    assert!(
        named
            .detail("key-holder")
            .ends_with("in the charter: operator")
    );
    assert_eq!(
        named.result("agent-key"),
        "not checked",
        "it is nobody's agent"
    );
}

#[test]
fn what_is_not_given_is_not_checked_and_said_so() {
    let shell = Shell::new();
    let said = doctor(&shell, "");
    said.problems(&[]);
    for (name, why) in [
        ("trust-file", "no trust file given"),
        ("key-file", "no key given"),
        ("agent", "no agent named"),
        ("version", "no agent named"),
        ("journal-head", "no agent named"),
        ("data-disk", "no data folder given"),
    ] {
        assert_eq!(said.result(name), "not checked", "{name}");
        assert!(
            said.detail(name).contains(why),
            "{name}: {}",
            said.detail(name)
        );
    }
    let all = doctor(&shell, ALL);
    let names = |said: &Said| {
        said.checks
            .iter()
            .map(|check| check["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&said),
        names(&all),
        "the same checks, whatever is given"
    );
}

#[test]
fn a_service_that_is_away_leaves_what_can_be_looked_at() {
    let shell = at_work();
    let said = doctor(&shell, &format!("{ALL} --server http://127.0.0.1:1"));
    said.problems(&["service"]);
    for name in [
        "clock",
        "checkpoint",
        "key-holder",
        "lease",
        "journal-head",
        "history",
    ] {
        assert_eq!(said.result(name), "not checked", "{name}");
    }
    for name in ["trust-file", "key-file", "journal", "journal-access"] {
        assert_eq!(said.result(name), "ok", "{name}");
    }
    let said = doctor(&shell, "--server 127.0.0.1:1");
    said.problems(&["address"]);
    assert!(said.detail("address").contains("by --server"));
}

#[test]
fn another_log_is_not_the_trusted_one() {
    let (shell, other) = (Shell::new(), Service::new());
    let line = format!("--trust {}", other.trust().display());
    doctor(&shell, &line).problems(&["checkpoint"]);
    let mut trust: Value =
        serde_json::from_slice(&fs::read(shell.service.trust()).unwrap()).unwrap();
    let theirs: Value = serde_json::from_slice(&fs::read(other.trust()).unwrap()).unwrap();
    trust["charter"] = theirs["charter"].clone();
    fs::write(shell.service.scratch("mixed.json"), trust.to_string()).unwrap();
    doctor(&shell, "--trust @mixed.json").problems(&["charter"]);
    fs::write(shell.service.scratch("mixed.json"), "{}").unwrap();
    doctor(&shell, "--trust @mixed.json").problems(&["trust-file"]);
}

#[test]
fn a_key_is_private_and_somebodys() {
    let shell = at_work();
    let key = shell.service.scratch("agent.pem");
    open_to(&key, 0o644);
    doctor(&shell, ALL).problems(&["key-file"]);
    open_to(&key, 0o600);
    let folder = shell.service.scratch("keys");
    fs::create_dir(&folder).unwrap();
    fs::copy(&key, folder.join("agent.pem")).unwrap();
    open_to(&folder, 0o777);
    doctor(&shell, &format!("--key {}/agent.pem", folder.display())).problems(&["key-folder"]);
    shell.succeed("keygen --name nobody --out @nobody.pem");
    let said = doctor(&shell, "--key @nobody.pem");
    said.problems(&["key-holder"]);
    assert!(
        said.detail("key-holder")
            .contains("not the key of an agent")
    );
    doctor(&shell, "--key @nobody.pem --dir DIR").problems(&["key-holder", "agent-key"]);
    let said = doctor(&shell, "--key AGENT");
    assert!(
        said.detail("key-holder").contains("the agent greeter"),
        "it is looked for"
    );
    let log = shell.service.key("log");
    doctor(&shell, &format!("--key {}", log.display())).problems(&["key-holder"]);
    fs::write(&key, "no key").unwrap();
    doctor(&shell, ALL).problems(&["key-file"]);
    doctor(&shell, "--key @absent.pem").problems(&["key-file"]);
    doctor(&shell, "--key DIR").problems(&["key-file"]);
}

#[test]
fn a_key_that_the_charter_distrusts_is_a_problem() {
    let shell = Shell::new();
    let observer = shell.service.key("observer");
    let id = shell.json(&format!("fingerprint {}", observer.display()))["name"].clone();
    let id = id.as_str().unwrap();
    shell.succeed(&format!("charter amend --distrust {id} -o @next.json"));
    shell.succeed("charter sign @next.json --key ROOT");
    shell.succeed("charter submit @next.json");
    let said = doctor(&shell, &format!("--key {}", observer.display()));
    said.problems(&["key-holder"]);
    assert!(said.detail("key-holder").contains("distrusted"));
    assert!(said.detail("charter").contains("version 2"));
}

#[test]
fn an_agent_is_known_has_a_lease_and_may_act() {
    let shell = Shell::new();
    doctor(&shell, ALL).problems(&["key-holder", "agent"]);
    shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
    doctor(&shell, ALL).problems(&["lease"]);
    shell.succeed("lease grant greeter --allow run:greet --for 30s --key OPERATOR");
    let said = doctor(&shell, ALL);
    said.problems(&[]);
    assert_eq!(
        said.result("lease"),
        "warning",
        "an action may take a minute"
    );
    shell.succeed("lease grant greeter --allow run:greet --for 1h --key OPERATOR");
    beat(&shell);
    assert_eq!(doctor(&shell, ALL).result("lease"), "ok");
    shell.succeed("agent quarantine greeter --reason test --key OPERATOR");
    let said = doctor(&shell, ALL);
    said.problems(&["agent-state"]);
    let advice = said.check("agent-state")["advice"].as_str().unwrap();
    assert!(advice.contains("dragons agent release greeter"), "{advice}");
    shell.succeed("agent stop greeter --reason test --key OPERATOR");
    doctor(&shell, ALL).problems(&["lease"]);
}

#[test]
fn a_directory_that_was_changed_is_not_the_registered_version() {
    let shell = at_work();
    let greet = shell.service.scratch("greeter/src/greet.sh");
    fs::write(&greet, "echo mischief\n").unwrap();
    let said = doctor(&shell, ALL);
    said.problems(&["version"]);
    assert!(
        said.detail("version").ends_with("differ in code"),
        "{}",
        said.detail("version")
    );
    shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
    let said = doctor(&shell, ALL);
    assert_eq!(
        said.result("version"),
        "problem",
        "the lease is for the version before"
    );
    fs::remove_file(shell.service.scratch("greeter/agent.toml")).unwrap();
    let said = doctor(&shell, "--agent greeter --dir DIR");
    assert_eq!(said.result("version"), "problem", "there is none");
    doctor(&shell, "--dir DIR").problems(&["agent"]);
}

#[test]
fn a_journal_is_whole_private_and_of_the_same_mind_as_the_log() {
    let shell = at_work();
    let journal = journal(&shell);
    let (folder, whole) = (journal.parent().unwrap(), fs::read(&journal).unwrap());
    fs::write(&journal, [&b"{}\n"[..], &whole].concat()).unwrap();
    doctor(&shell, ALL).problems(&["journal"]);
    fs::write(&journal, [&whole, &b"{\"sig"[..]].concat()).unwrap();
    let said = doctor(&shell, ALL);
    said.problems(&[]);
    assert_eq!(
        said.result("journal"),
        "warning",
        "torn, and no more than that"
    );
    fs::write(&journal, &whole).unwrap();
    open_to(folder, 0o755);
    doctor(&shell, ALL).problems(&["journal-access"]);
    open_to(folder, 0o700);
    beat(&shell);
    fs::write(&journal, &whole).unwrap();
    let said = doctor(&shell, ALL);
    said.problems(&[]);
    assert_eq!(said.result("journal-head"), "warning", "an older copy");
    fs::remove_file(&journal).unwrap();
    assert_eq!(
        doctor(&shell, ALL).result("journal"),
        "warning",
        "the agent has spoken"
    );
    let elsewhere = doctor(&shell, "--agent greeter --key OPERATOR --trust TRUST");
    assert_eq!(
        elsewhere.result("journal"),
        "not checked",
        "an operator has none"
    );
}

#[test]
fn what_is_still_to_be_said_is_told() {
    let shell = at_work();
    shell.succeed("receipt goal --dir DIR --key AGENT --trust TRUST --title greet");
    let said = doctor(&shell, ALL);
    said.problems(&[]);
    assert_eq!(said.result("journal-unsent"), "warning");
    assert!(said.detail("journal-unsent").contains("1 goal open"));
}

#[test]
fn a_log_that_was_set_back_is_found_by_whoever_saw_more() {
    let mut shell = Shell::new();
    shell.register_and_lease();
    shell.service.stop();
    let store = shell.service.data().join("store");
    let older = files(&store);
    shell.service.start();
    beat(&shell);
    beat(&shell);
    doctor(&shell, ALL).problems(&[]);
    shell.service.stop();
    fs::remove_dir_all(&store).unwrap();
    for (path, bytes) in older {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    shell.service.start();
    let said = doctor(&shell, ALL);
    said.problems(&["journal-head", "history"]);
}

#[test]
fn a_data_folder_is_looked_at_from_outside() {
    let shell = Shell::new();
    let data = shell.service.data();
    let line = format!("--trust TRUST --data {}", data.display());
    let said = doctor(&shell, &line);
    said.problems(&[]);
    assert_eq!(
        said.named("warning")
            .iter()
            .filter(|name| name.starts_with("data"))
            .collect::<Vec<_>>(),
        [&"data-keys"]
    );
    for key in ["root", "operator"] {
        fs::rename(shell.service.key(key), shell.service.scratch(key)).unwrap();
    }
    assert_eq!(doctor(&shell, &line).result("data-keys"), "ok");
    open_to(&shell.service.key("control"), 0o640);
    doctor(&shell, &line).problems(&["data-keys"]);
    open_to(&shell.service.key("control"), 0o600);
    open_to(&data, 0o777);
    doctor(&shell, &line).problems(&["data-access"]);
    open_to(&data, 0o700);
    fs::copy(shell.service.key("control"), shell.service.key("log")).unwrap();
    doctor(&shell, &line).problems(&["data-log-key"]);
    doctor(
        &shell,
        &format!("{line} --keys {}", shell.service.scratch("none").display()),
    )
    .problems(&["data-keys", "data-log-key"]);
    let other = Service::new();
    doctor(
        &shell,
        &format!("--trust TRUST --data {}", other.data().display()),
    )
    .problems(&["data"]);
    doctor(&shell, "--data @absent").problems(&["data"]);
}

/// Something at an address that gives a request the first answer whose path begins its own; without one it says nothing.
fn answering(answers: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        // What is not answered stays open, so that its client waits.
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = lines.map_while(Result::ok);
            let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
            let is_asked = |path: &str| head[0].starts_with(&format!("GET {path}"));
            match answers.iter().find(|(path, _)| is_asked(path)) {
                // Whoever asked may be gone already.
                Some((_, answer)) => drop(stream.write_all(answer.as_bytes())),
                None => open.push(stream),
            }
        }
    });
    url
}

/// An answer. Header lines end with their line break.
fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close");
    format!("{head}\r\n{headers}\r\n{body}")
}

const ALIVE: &str = "{\"status\":\"alive\"}";

/// A date of so long ago, as HTTP writes it.
fn date(ago: Duration) -> String {
    let time = SystemTime::now() - ago;
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let output = std::process::Command::new("date")
        .args([
            "-u",
            "-d",
            &format!("@{since}"),
            "+%a, %d %b %Y %H:%M:%S GMT",
        ])
        .env("LC_ALL", "C")
        .output();
    String::from_utf8(output.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn clocks_that_part_are_found_by_the_date_of_an_answer() {
    let shell = Shell::new();
    for (ago_s, result) in [(0, "ok"), (90, "warning"), (3_600, "problem")] {
        let date = format!("date: {}\r\n", date(Duration::from_secs(ago_s)));
        let url = answering(vec![("/", http("200 OK", &date, ALIVE))]);
        let said = doctor(&shell, &format!("--server {url}"));
        assert_eq!(said.result("service"), "ok");
        assert_eq!(
            said.result("clock"),
            result,
            "{ago_s} s: {}",
            said.detail("clock")
        );
    }
    let url = answering(vec![("/", http("200 OK", "", ALIVE))]);
    let said = doctor(&shell, &format!("--server {url}"));
    let told = (said.result("service"), said.result("clock"));
    assert_eq!(told, ("ok", "not checked"));
}

#[test]
fn what_answers_and_is_no_service_is_told_apart() {
    let shell = Shell::new();
    for (answer, says) in [
        (
            http("200 OK", "content-type: text/html\r\n", "<html>"),
            "200 and text/html",
        ),
        (
            http("302 Found", "location: https://other.example.com/\r\n", ""),
            "https://other.example.com/",
        ),
        (http("404 Not Found", "", ""), "HTTP 404"),
        (
            http(
                "500 Internal Server Error",
                "content-type: application/problem+json\r\n",
                "{\"code\":\"internal\",\"detail\":\"x\"}",
            ),
            "logs nothing more",
        ),
        // Waits out the time that an answer may take.
        (String::new(), "no answer"),
    ] {
        let answers = Some(("/", answer)).filter(|(_, answer)| !answer.is_empty());
        let url = answering(answers.into_iter().collect());
        let said = doctor(&shell, &format!("--server {url}"));
        said.problems(&["service"]);
        assert!(
            said.detail("service").contains(says),
            "{says}: {}",
            said.detail("service")
        );
    }
}

#[test]
fn a_service_that_lives_may_still_not_be_well() {
    let shell = Shell::new();
    let problem = |code: &str| {
        let body = format!("{{\"code\":\"{code}\",\"detail\":\"why\"}}");
        http("503 Service Unavailable", "", &body)
    };
    for (code, means) in [
        ("disk-full", "until there is room"),
        ("overloaded", "it hangs"),
        ("stopping", "takes nothing new"),
        ("no-such-code", "does not say"),
    ] {
        let document = "{\"info\":{\"title\":\"dragonsd\",\"version\":\"99.0.0\"}}";
        let url = answering(vec![
            ("/healthz", http("200 OK", "", ALIVE)),
            ("/readyz", problem(code)),
            ("/openapi.json", http("200 OK", "", document)),
            ("/verify/", problem("not-found")),
            ("/", http("404 Not Found", "", "")),
        ]);
        let said = doctor(&shell, &format!("--server {url}"));
        said.problems(&["service-ready", "checkpoint"]);
        assert_eq!(said.named("warning"), ["service-version", "verify-page"]);
        let meaning = said.check("service-ready")["meaning"].as_str().unwrap();
        assert!(meaning.contains(means), "{code}: {meaning}");
    }
}

#[test]
fn a_quorum_that_is_not_there_is_a_problem() {
    let shell = Shell::new();
    let trust = fs::read(shell.service.trust()).unwrap();
    let mut trust: Value = serde_json::from_slice(&trust).unwrap();
    let witness = "witness.example.com/w1+886a0481+BCFS+NGbeR0kRTJC4V8uq2y3z/p7al7TAJeWDgaYgdsS";
    let policy = trust["policy"]
        .as_str()
        .unwrap()
        .replace("quorum none", &format!("witness w1 {witness}\nquorum w1"));
    trust["policy"] = policy.into();
    fs::write(shell.service.scratch("witnessed.json"), trust.to_string()).unwrap();
    let said = doctor(&shell, "--trust @witnessed.json");
    said.problems(&["witnesses"]);
    assert!(
        said.detail("witnesses")
            .contains("0 of the policy's 1 witnesses")
    );
}

#[test]
fn a_password_in_an_address_is_not_shown() {
    let shell = Shell::new();
    let address = shell
        .service
        .url()
        .replace("http://", "http://user:secret@");
    let (away, wrong) = ("http://user:secret@127.0.0.1:1", "http://user:secret@x?y");
    for (line, address, code) in [
        ("doctor", address.as_str(), 0),
        ("charter show", &address, 0),
        ("doctor", away, 1),
        ("charter show", away, 2),
        ("doctor", wrong, 1),
    ] {
        let output = shell.run(&format!("{line} --server {address}"));
        assert_eq!(output.status.code(), Some(code), "{line} {address}");
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains("secret"), "{line}");
    }
}
