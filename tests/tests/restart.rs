//! Stopping, starting, and what is refused at start.

use std::process::Stdio;

use ledger::key::PrivateKey;
use tests::{Service, dragonsd};

fn agent_key() -> PrivateKey {
    PrivateKey::from_seed(&[5; 32])
}

#[test]
fn a_restart_finds_everything_and_an_orderly_stop_says_so() {
    let mut service = Service::new();
    let signer = service.signer();
    let key = agent_key();
    service.log(&signer.registration("a", &key));
    let lease = signer.lease("a", &key);
    service.log(&lease);
    let beat = signer.first_beat("a", &key, 1, lease.hash());
    let index = service.log(&beat);
    let state = |service: &Service| {
        let agent = service.get("/v1/agents/a").json();
        [
            "state",
            "epoch",
            "next_seq",
            "head",
            "last",
            "lease",
            "manifest_hash",
        ]
        .map(|member| agent[member].clone())
    };
    let (before, head) = (state(&service), service.checkpoint());
    assert_eq!(before[0], "running");
    assert_eq!(service.stop().code(), Some(0));

    service.start();
    assert_eq!(state(&service), before);
    let found = service.get(&format!("/v1/records/{}", beat.hash())).json();
    assert_eq!(found["index"].as_u64(), Some(index));
    service.log(&signer.goal_after(&beat, &key));
    let first = service.get(&format!("/v1/entries/{}", head.size())).json();
    assert_eq!(first["kind"], "pulse", "before anything else after a start");
    assert_consistent(&service, &head);
}

fn assert_consistent(service: &Service, old: &tlog::checkpoint::VerifiedCheckpoint) {
    let new = service.checkpoint();
    let path = format!("/v1/consistency?old={}&new={}", old.size(), new.size());
    let answer = service.get(&path).json();
    let hash = |hash: &serde_json::Value| hash.as_str().unwrap().parse().unwrap();
    let proof: Vec<tlog::Hash> = answer["hashes"]
        .as_array()
        .unwrap()
        .iter()
        .map(hash)
        .collect();
    tlog::consistency::verify(&proof, old.size(), old.root(), new.size(), new.root()).unwrap();
}

#[test]
fn a_second_service_on_the_same_directory_refuses() {
    let service = Service::new();
    let output = service.serve_command().output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("another process has the store"), "{stderr}");
    assert_eq!(service.get("/readyz").status, 200, "the first goes on");
}

#[test]
fn a_directory_that_init_did_not_make_is_refused() {
    let empty = tempfile::TempDir::new().unwrap();
    let data = empty.path().to_str().unwrap();
    let output = dragonsd().run(["serve", "--data", data, "--listen", "127.0.0.1:0"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("init"));
    let again = Service::new();
    let data = again.data();
    let output = dragonsd().run([
        "init",
        "--data",
        data.to_str().unwrap(),
        "--origin",
        "x.y/z",
    ]);
    assert!(!output.status.success(), "nothing is overwritten");
}

#[test]
fn another_log_key_is_refused() {
    let mut service = Service::new();
    service.stop();
    let other = PrivateKey::from_seed(&[9; 32]).to_pem().unwrap();
    std::fs::write(service.key("log"), other).unwrap();
    let mut command = service.serve_command();
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
}

#[test]
fn fsck_finds_nothing_wrong_in_a_log_that_was_used() {
    let mut service = Service::new();
    let signer = service.signer();
    let key = agent_key();
    service.log(&signer.registration("a", &key));
    for n in 0..300 {
        service.log(&signer.observation("a", &n.to_string()));
    }
    service.stop();
    let data = service.data();
    let output = dragonsd().run(["fsck", "--data", data.to_str().unwrap()]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn private_keys_are_private_and_never_printed() {
    use std::os::unix::fs::PermissionsExt as _;
    let service = Service::new();
    for name in ["root", "operator", "control", "observer", "log"] {
        let mode = std::fs::metadata(service.key(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let pem = tests::read(&service.key(name));
        let secret = pem.lines().nth(1).unwrap();
        assert!(!service.stderr().contains(secret));
    }
}
