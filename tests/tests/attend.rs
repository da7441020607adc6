//! `dragons attend` with a real service: whoever comes, in whatever order, and whatever becomes of them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tests::{Attended, Run, Talk, World, stderr};

const OBSERVES: &str = r#"{"mode":"observe","liveness":{"heartbeat_ms":150}}"#;

fn intent(call: &str) -> String {
    format!(r#"{{"intent":{{"scope":"read:a","call":"{call}","session":"s","host":"codex"}}}}"#)
}

fn result(call: &str) -> String {
    format!(r#"{{"result":{{"call":"{call}","session":"s","host":"codex"}}}}"#)
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn one_connection_serves_many_tasks_whose_results_come_in_any_order() {
    let attended = Attended::new();
    assert_eq!(mode(&attended.socket()), 0o600);
    assert_eq!(mode(attended.socket().parent().unwrap()), 0o700);
    let mut talk = attended.talk();
    let hello = talk.say(r#"{"id":"h","hello":{"protocol":1}}"#);
    assert_eq!(
        (&hello["id"], &hello["agent"]),
        (&"h".into(), &"worker".into())
    );
    assert_eq!(hello["mode"], "enforce");
    let calls: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    for call in &calls {
        let line = intent(call).replacen('{', &format!("{{\"id\":\"{call}\","), 1);
        talk.tell(&line);
    }
    let mut answered: Vec<String> = Vec::new();
    for _ in &calls {
        let answer = talk.hear();
        assert_eq!(answer["ok"], true, "{answer}");
        answered.push(answer["id"].as_str().unwrap().to_owned());
    }
    answered.sort();
    let mut all = calls.clone();
    all.sort();
    assert_eq!(answered, all);
    for call in calls.iter().rev() {
        assert_eq!(attended.say(&result(call))["ok"], true);
    }
    let (code, said, world) = attended.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(world.receipts("goal").len(), 1);
    assert_eq!(world.receipts("result").len(), calls.len());
    assert_eq!(world.agent()["state"], "stopped");
    world.blames_nobody();
}

#[test]
fn two_hosts_at_once_have_a_session_each() {
    let attended = Attended::new();
    let of = |host: &str| intent("c").replace("codex", host);
    let (one, other) = (attended.say(&of("codex")), attended.say(&of("claude-code")));
    assert!(
        one["intent"].is_string() && one["intent"] != other["intent"],
        "{one} {other}"
    );
    let turn = r#"{"session":{"session":"s","host":"codex","cancel":"turn","end":"turn"}}"#;
    assert_eq!(attended.say(turn)["goal"], Value::Null);
    let goals = attended.world.receipts("goal");
    assert_eq!(goals.len(), 2);
    assert_eq!(
        attended.world.receipts("outcome").len(),
        1,
        "the other goes on"
    );
    assert_eq!(attended.world.receipts("result")[0]["status"], "cancelled");
}

#[test]
fn a_second_process_says_that_somebody_speaks_already() {
    let attended = Attended::new();
    let output = Attended::command(&attended.world, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("another process speaks for this agent"),
        "{}",
        stderr(&output)
    );
    assert!(output.stdout.is_empty());
    assert_eq!(attended.say(&intent("c"))["ok"], true, "the first goes on");
}

#[test]
fn what_a_killed_process_left_is_closed_by_the_next_and_hosts_come_back() {
    let attended = Attended::new();
    assert_eq!(attended.say(&intent("c1"))["ok"], true);
    // A host that dies takes its connection along, and not what it has begun.
    let mut talk = attended.talk();
    assert_eq!(talk.say(&intent("c2"))["ok"], true);
    assert_eq!(talk.say(r#"{"progress":1}"#)["ok"], true);
    drop(talk);
    assert_eq!(attended.say(&result("c2"))["ok"], true, "it came back");
    attended.run.signal(Signal::KILL);
    let Attended { world, run } = attended;
    run.end();
    let again = Attended {
        run: Attended::start(&world, &[]),
        world,
    };
    let unknown = again.say(&result("c1"));
    assert_eq!(unknown["code"], "intent-unknown", "{unknown}");
    assert_eq!(again.say(&intent("c3"))["ok"], true);
    let results = again.world.receipts("result");
    assert!(
        results.iter().any(|result| result["status"] == "error"),
        "{results:?}"
    );
    assert_eq!(again.world.receipts("outcome")[0]["verdict"], "abandoned");
}

#[test]
fn whoever_is_gone_before_reading_its_permit_does_not_act() {
    let attended = Attended::new();
    let mut talk = attended.talk();
    talk.tell(&intent("c"));
    drop(talk);
    let is_cancelled = |world: &World| {
        let results = world.receipts("result");
        results
            .first()
            .is_some_and(|result| result["status"] == "cancelled")
    };
    while !is_cancelled(&attended.world) {
        attended.say(r#"{"hello":{"protocol":1}}"#);
    }
}

#[test]
fn while_the_service_is_away_results_wait_and_intents_do_not() {
    let mut attended = Attended::new();
    assert_eq!(attended.say(&intent("c"))["ok"], true);
    let address = attended.world.address();
    attended.world.service.kill();
    let away = attended.say(&intent("d"));
    assert_eq!(
        (&away["code"], &away["by"]),
        (&"service-away".into(), &"speaker".into()),
        "{away}"
    );
    let waits = attended.say(&result("c"));
    assert_eq!(
        (&waits["ok"], &waits["waits"]),
        (&true.into(), &true.into()),
        "{waits}"
    );
    attended.world.restart_at(&address);
    attended.run.until("the service is back");
    assert_eq!(attended.say(&intent("e"))["ok"], true);
    // Nobody knew whether the log had d, so it was found out; nobody had leave to act upon it. On a machine that is slow a
    // beat may have found out before that the service is away, and then d was not even signed.
    let ended =
        |world: &World| world.receipts("result").len() + 1 == world.receipts("intent").len();
    while !ended(&attended.world) {
        attended.say(r#"{"hello":{"protocol":1}}"#);
    }
    let statuses: Vec<Value> = attended
        .world
        .receipts("result")
        .iter()
        .map(|one| one["status"].clone())
        .collect();
    assert_eq!(statuses[0], "ok");
    assert!(statuses[1..].iter().all(|status| status == "cancelled"));
    let (code, said, world) = attended.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(world.agent()["state"], "stopped");
}

#[test]
fn beside_a_log_that_observes_nobody_waits_and_what_was_not_logged_is_counted() {
    let mut attended = Attended::with(OBSERVES, &[]);
    let mut asked = 0;
    for scope in ["read:a", "write:nowhere"] {
        // What is not allowed is only told of. On a machine that is slow what is asked may be let through unsigned.
        let call = loop {
            let call = format!("c{asked}");
            asked += 1;
            let line = format!(r#"{{"intent":{{"scope":"{scope}","call":"{call}"}}}}"#);
            let answer = attended.say(&line);
            assert_eq!(answer["ok"], true, "{answer}");
            if answer["intent"].is_string() {
                break call;
            }
        };
        let line = format!(r#"{{"result":{{"call":"{call}"}}}}"#);
        assert_eq!(attended.say(&line)["ok"], true);
    }
    let address = attended.world.address();
    attended.world.service.kill();
    // Whether it is known yet that the service is away or not, nobody waits for it.
    for n in 0..3 {
        assert_eq!(attended.say(&intent(&format!("d{n}")))["ok"], true);
    }
    let last = attended.say(&intent("e"));
    assert_eq!(last["unlogged"], true, "{last}");
    attended.world.restart_at(&address);
    let counted = |world: &World| {
        let beats = world.payloads("heartbeat");
        let told = beats.iter().map(|beat| &beat["ext"]["unlogged"]);
        let told: Vec<Value> = told.filter(|told| told.is_object()).cloned().collect();
        let count: u64 = told.iter().filter_map(|told| told["count"].as_u64()).sum();
        (count, told)
    };
    let logged = |world: &World| world.receipts("intent").len() as u64;
    let all = || counted(&attended.world).0 + logged(&attended.world);
    asked += 4;
    while all() < asked {
        attended.say(r#"{"hello":{"protocol":1}}"#);
    }
    let (count, told) = counted(&attended.world);
    assert!(count >= 1 && all() == asked, "{told:?}");
    assert!(
        told.iter()
            .all(|told| told["from_ms"].as_u64() <= told["to_ms"].as_u64()),
        "{told:?}"
    );
    assert_eq!(attended.say(&intent("f"))["ok"], true);
}

#[test]
fn an_agent_that_idles_says_goodbye_and_begins_again_when_something_is_asked() {
    let mut attended = Attended::with(
        "{\"liveness\":{\"heartbeat_ms\":100}}",
        &["--idle", "200ms"],
    );
    let first = attended.say(&intent("c"));
    assert_eq!(first["ok"], true, "{first}");
    assert_eq!(attended.say(&result("c"))["ok"], true);
    let end = r#"{"session":{"session":"s","host":"codex","end":"session"}}"#;
    assert_eq!(attended.say(end)["ok"], true);
    attended.run.until("says goodbye");
    assert_eq!(attended.world.agent()["state"], "stopped");
    let again = attended.say(&intent("d"));
    assert_eq!(again["ok"], true, "{again}");
    assert_eq!(attended.world.agent()["state"], "running");
    assert_eq!(attended.world.receipts("outcome")[0]["verdict"], "partial");
}

#[test]
fn a_quarantined_agent_is_refused_and_a_released_one_is_healed() {
    let mut attended = Attended::new();
    assert_eq!(attended.say(&intent("c"))["ok"], true);
    attended.world.order("quarantine");
    attended.run.until("may not act");
    let refused = attended.say(&intent("d"));
    assert_eq!(
        (&refused["code"], &refused["by"]),
        (&"state-forbids".into(), &"log".into()),
        "{refused}"
    );
    assert_eq!(
        attended.say(&result("c"))["ok"],
        true,
        "what came of it may be said"
    );
    attended.world.order("release");
    attended.run.until("healed");
    assert_eq!(attended.say(&intent("e"))["ok"], true);
    assert_eq!(attended.world.agent()["state"], "running");
}

#[test]
fn another_version_in_the_directory_is_told_by_the_next_beat() {
    let mut attended = Attended::new();
    attended.world.write("src/work.sh", "echo mischief\n");
    attended.run.until("has become another version");
    attended.run.until("may not act");
    let refused = attended.say(&intent("c"));
    assert_eq!(refused["by"], "log", "{refused}");
    let rules: Vec<Value> = attended
        .world
        .payloads("transition")
        .iter()
        .map(|one| one["rule"].clone())
        .collect();
    assert!(rules.contains(&"manifest-drift".into()), "{rules:?}");
}

#[test]
fn a_service_manager_may_hand_the_socket_on() {
    let attended = Attended::new();
    let (_, _, world) = attended.end();
    let socket = world.service.scratch("handed.sock");
    let script = "import os, socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\n\
                  os.dup2(s.fileno(), 3)\nos.set_inheritable(3, True)\nos.environ['LISTEN_FDS'] = '1'\n\
                  os.environ['LISTEN_PID'] = str(os.getpid())\nos.execvp(sys.argv[2], sys.argv[2:])\n";
    let inner = Attended::command(&world, &[]);
    let outer = ["python3", "-c", script, socket.to_str().unwrap()];
    let mut run = Run::start(world.within(&outer, &inner));
    assert_eq!(run.line(), format!("listening on {}\n", socket.display()));
    assert_eq!(Talk::to(&socket).say(&intent("c"))["ok"], true);
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(0));
    assert!(socket.exists(), "it is the service manager's");
}

#[test]
fn the_65th_action_waits_for_a_place_and_nothing_is_denied() {
    let attended = Attended::new();
    let mut talk = attended.talk();
    for n in 0..64 {
        assert_eq!(talk.say(&intent(&format!("c{n}")))["ok"], true);
    }
    talk.tell(&intent("last").replacen('{', "{\"id\":\"last\",", 1));
    let hasty = intent("hasty").replace("\"scope\"", "\"deadline_ms\":0,\"scope\"");
    let refused = attended.say(&hasty);
    assert_eq!(
        (&refused["code"], &refused["by"]),
        (&"too-many-open".into(), &"speaker".into())
    );
    assert_eq!(attended.say(&result("c7"))["ok"], true);
    let last = talk.hear();
    assert_eq!(
        (&last["id"], &last["ok"]),
        (&"last".into(), &true.into()),
        "{last}"
    );
    assert!(attended.world.payloads("refusal").is_empty());
}

#[test]
fn a_session_that_works_where_the_agent_is_kept_is_warned_of() {
    let mut attended = Attended::new();
    let line = |root: &str| format!(r#"{{"session":{{"session":"s","root":"{root}"}}}}"#);
    let elsewhere = attended.world.service.scratch("state");
    assert_eq!(attended.say(&line(elsewhere.to_str().unwrap()))["ok"], true);
    let own = attended.world.service.scratch("agent");
    attended.say(&line(own.to_str().unwrap()).replace("\"s\"", "\"t\""));
    let said = attended.run.until("another version");
    assert!(said.contains(own.to_str().unwrap()), "{said}");
}

/// The kernel tells who is at the other end, whatever the modes of files say. To be somebody else takes the right to.
#[test]
fn another_user_is_not_answered() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut attended = Attended::new();
    let socket = attended.socket();
    let mut folder = socket.as_path();
    while let Some(parent) = folder.parent().filter(|parent| mode(parent) & 0o001 == 0) {
        std::fs::set_permissions(parent, std::fs::Permissions::from_mode(0o711)).unwrap();
        folder = parent;
    }
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let script = "import os, socket, sys\nos.setgid(65534); os.setuid(65534)\ns = socket.socket(socket.AF_UNIX)\n\
                  s.connect(sys.argv[1])\ntry:\n s.sendall(b'{\"progress\":1}\\n'); print(len(s.recv(99)))\n\
                  except OSError: print(0)";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(&socket)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "0\n",
        "{}",
        stderr(&output)
    );
    attended.run.until("another user");
    assert_eq!(attended.say(r#"{"progress":1}"#)["ok"], true);
}
