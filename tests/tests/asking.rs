//! An agent asks for a lease, an operator grants it or less of it; and what people compare aloud meanwhile.

use serde_json::Value;
use tests::Shell;

fn registered() -> Shell {
    let shell = Shell::new();
    shell.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
    shell
}

fn requests(shell: &Shell) -> Vec<Value> {
    let stdout = shell.succeed("lease requests --json");
    let lines = stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_is_asked_in_the_inbox_is_granted_and_gone() {
    let mut shell = registered();
    let ask = "lease ask --dir DIR --allow run:* --for 2h --purpose greet --key AGENT";
    let asked = shell.json(ask);
    let id = asked["request"].as_str().unwrap();
    let waiting = requests(&shell);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["request"], asked["request"]);
    assert_eq!(waiting[0]["fingerprint"], asked["fingerprint"]);
    assert_eq!(waiting[0]["payload"]["for_ms"], 7_200_000);
    let shown = shell.succeed("lease requests");
    assert!(shown.contains(id) && shown.contains("2h"), "{shown}");
    assert_eq!(shell.service.stop().code(), Some(0));
    shell.service.start();
    assert_eq!(requests(&shell), waiting, "it is there after a restart");
    let grant = format!("lease grant --request {id} --key OPERATOR");
    for wider in ["--for 3h", "--allow run:x write:x", "--renewable 1h"] {
        let (status, stderr) = shell.fail(&format!("{grant} {wider}"));
        assert_eq!(status, 2, "{stderr}");
        assert!(
            stderr.contains("more than the request asks for"),
            "{stderr}"
        );
    }
    let granted = shell.json(&format!("{grant} --for 1h --allow run:greet --actions 5"));
    let record = granted["record"].as_str().unwrap();
    let lease = &shell.json(&format!("get {record}"))["payload"];
    assert_eq!(lease["allow"], serde_json::json!(["run:greet"]));
    assert_eq!(
        (&lease["purpose"], &lease["budget"]["actions"]),
        (&"greet".into(), &5.into())
    );
    assert_eq!(requests(&shell), Vec::<Value>::new());
    let (status, stderr) = shell.fail(&grant);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("waits in the inbox"), "{stderr}");
}

#[test]
fn what_is_asked_in_a_file_is_checked_before_it_is_granted() {
    let shell = registered();
    shell.succeed("keygen --name stranger --out @stranger.pem");
    shell.succeed("lease ask --dir DIR --allow run:* --key AGENT -o @request.json");
    shell.succeed("lease ask --dir DIR --allow run:* --key @stranger.pem -o @forged.json");
    let (status, stderr) = shell.fail("lease grant --request @forged.json --key OPERATOR");
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("key-not-agents"), "{stderr}");
    let (_, stderr) = shell.fail("lease ask --dir DIR --allow run:* --key @stranger.pem");
    assert!(
        stderr.contains("key-not-agents"),
        "the service checks too: {stderr}"
    );
    let sound = tests::read(&shell.service.scratch("request.json"));
    std::fs::write(
        shell.service.scratch("bent.json"),
        sound.replace("sig\":\"", "sig\":\"A"),
    )
    .unwrap();
    let (status, stderr) = shell.fail("lease grant --request @bent.json --key OPERATOR");
    assert_eq!(status, 2, "{stderr}");
    shell.succeed("lease grant --request @request.json --key OPERATOR");
    assert_eq!(shell.json("agent show greeter")["epoch"], 1);
}

#[test]
fn leases_are_listed_with_what_became_of_them() {
    let shell = registered();
    let grant = |more: &str| {
        let granted = shell.json(&format!(
            "lease grant greeter --allow run:greet --key OPERATOR {more}"
        ));
        granted["record"].as_str().unwrap().to_owned()
    };
    let list = || {
        let stdout = shell.succeed("lease list --agent greeter --json --trust TRUST");
        let lines = stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|told| told["status"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(list(), Vec::<String>::new());
    let (first, second) = (grant("--for 1h"), grant("--for 2h"));
    assert_ne!(first, second);
    assert_eq!(list(), ["superseded", "in force"]);
    let newest = shell.json("lease list");
    assert_eq!(
        (&newest["lease"], &newest["status"]),
        (&second.as_str().into(), &"in force".into())
    );
    shell.succeed(&format!(
        "lease revoke {second} --reason test --key OPERATOR"
    ));
    assert_eq!(list(), ["superseded", "revoked"]);
    let newest = shell.json("lease list");
    assert_eq!(
        (&newest["status"], &newest["ends_ms"]),
        (&"ended".into(), &Value::Null)
    );
    let table = shell.succeed("lease list --agent greeter");
    assert!(
        table.contains(&first) && table.contains("run:greet"),
        "{table}"
    );
}

#[test]
fn what_people_compare_is_the_same_everywhere() {
    let shell = registered();
    let key = shell.json("fingerprint AGENT")["fingerprint"].clone();
    let asked = shell.json("lease ask --dir DIR --allow run:* --key AGENT");
    assert_eq!(asked["fingerprint"], key);
    let charter = shell.json("charter show");
    assert_eq!(charter["fingerprint"], charter["log_fingerprint"]);
    let trust = shell.succeed("fingerprint TRUST");
    let aloud = charter["fingerprint"].as_str().unwrap();
    assert!(trust.lines().next().unwrap().contains(aloud), "{trust}");
    assert!(trust.contains(tests::ORIGIN), "{trust}");
    let words = aloud.split(' ').collect::<Vec<_>>();
    assert!(
        words.len() == 8 && words.iter().all(|word| word.len() == 4),
        "{aloud}"
    );
    let (status, stderr) = shell.fail("fingerprint @greeter/agent.toml");
    assert_eq!(status, 2, "{stderr}");
}
