//! Trouble with the disk: nearly full, and a sync that fails.

use std::process::Command;

use ledger::key::PrivateKey;
use tests::{Answer, Service};

fn first_record(service: &Service) -> String {
    let key = PrivateKey::from_seed(&[5; 32]);
    service
        .signer()
        .registration("a", &key)
        .envelope()
        .to_json()
}

/// More than any disk has.
const MOST: &str = "4503599627370495";

#[test]
fn a_disk_that_is_full_is_read_and_not_written() {
    let reserves = ["--min-free-bytes", MOST, "--reserve-bytes", MOST];
    let service = Service::with(&[], &reserves);
    let size = service.size();
    let answer = service.post(first_record(&service));
    assert_eq!((answer.status, answer.code().as_str()), (507, "disk-full"));
    assert_eq!(service.size(), size);
    assert_eq!(service.get("/v1/entries/0").status, 200);
    assert_eq!(service.get("/healthz").status, 200);
    assert_eq!(
        service.get("/readyz").code(),
        "disk-full",
        "not ready to log"
    );
}

/// Whoever has filled the disk can still be stopped: below the first reserve authority and control go on.
#[test]
fn a_disk_that_is_nearly_full_takes_authority_and_nothing_else() {
    let mut service = Service::new();
    let signer = service.signer();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&signer.registration("a", &key));
    let lease = signer.lease("a", &key);
    service.log(&lease);
    let beat = signer.first_beat("a", &key, 1, lease.hash());
    service.log(&beat);
    service.stop();
    let mut command = service.serve_command();
    command.args(["--min-free-bytes", MOST]);
    service.start_by(command);
    let goal = signer.goal_after(&beat, &key).envelope().to_json();
    for record in [goal, observation(&service, 1)] {
        let answer = service.post(record);
        assert_eq!((answer.status, answer.code().as_str()), (507, "disk-full"));
    }
    assert_eq!(service.get("/readyz").code(), "disk-full");
    let stop = service.log(&signer.stop_after("a", Some(lease.hash())));
    let agent = service.get("/v1/agents/a").json();
    assert_eq!(agent["state"], "stopped");
    let kinds =
        (0..=stop).map(|index| service.get(&format!("/v1/entries/{index}")).json()["kind"].clone());
    let pulses = kinds.filter(|kind| kind == "pulse").count();
    assert_eq!(pulses, 2, "each start is told of");
}

/// Runs the service under strace as a grandchild (`-D`), so that signals and exit codes are the
/// service's own.
fn traced(service: &Service, flags: &[&str]) -> Command {
    let serve = service.serve_command();
    let mut strace = Command::new("strace");
    strace
        .args(["-D", "-f", "-o"])
        .arg(service.scratch("trace"))
        .args(flags);
    strace.arg(serve.get_program()).args(serve.get_args());
    for (name, value) in serve.get_envs() {
        if value.is_none() {
            strace.env_remove(name);
        }
    }
    strace
}

/// A sync that fails leaves it open what is on the disk: the service must not answer, must not
/// sign on, and must find out at its next start.
#[test]
fn a_failed_sync_is_the_end_of_the_process_and_not_of_the_log() {
    let mut service = Service::new();
    let record = first_record(&service);
    let before = service.checkpoint();
    service.stop();
    // strace counts for each thread: opening the store takes a handful of syncs, and each group
    // of the sequencer one.
    let fault = "inject=fdatasync:error=EIO:when=24+";
    let inject = ["-e", "trace=fdatasync", "-e", fault];
    service.start_by(traced(&service, &inject));
    let bodies = (1..64).map(|n| observation(&service, n));
    let bodies: Vec<String> = std::iter::once(record).chain(bodies).collect();
    let acknowledged: Vec<String> = bodies
        .iter()
        .map_while(|body| post(&service, body))
        .collect();
    assert!(!acknowledged.is_empty());
    assert!(
        acknowledged.len() < bodies.len(),
        "a sync has failed by now"
    );
    assert!(!service.wait().success());

    service.start();
    assert!(service.size() >= before.size().get() + acknowledged.len() as u64);
    for record in acknowledged {
        assert_eq!(
            service.get(&format!("/v1/records/{record}")).status,
            200,
            "{record}"
        );
    }
    let signer = service.signer();
    service.log(&signer.observation("a", "afterwards"));
}

/// Posts a record and gives its name, or nothing when the service says that it failed or is gone.
fn post(service: &Service, body: &str) -> Option<String> {
    let request = service
        .request("POST", "/v1/entries")
        .header("content-type", "application/json");
    let answer = Answer::try_of(request.body(body.to_owned())).ok()?;
    assert!(
        answer.status == 200 || answer.status >= 500,
        "{}",
        answer.text()
    );
    (answer.status == 200).then(|| answer.json()["record"].as_str().expect("a name").to_owned())
}

fn observation(service: &Service, n: u64) -> String {
    service
        .signer()
        .observation("a", &n.to_string())
        .envelope()
        .to_json()
}

/// The trace, once strace has written its last line: it outlives the service by a moment.
fn finished_trace(service: &Service) -> String {
    loop {
        let trace = tests::read(&service.scratch("trace"));
        if trace.contains("+++ exited with 0 +++") && trace.ends_with("+++\n") {
            return trace;
        }
        std::thread::yield_now();
    }
}

/// `ulimit -f`: a write beyond it is a signal that would kill the process without a word if nobody took it.
#[test]
fn a_file_that_may_not_grow_ends_the_service_by_itself_and_loses_nothing() {
    let mut service = Service::new();
    service.log(
        &service
            .signer()
            .registration("a", &PrivateKey::from_seed(&[5; 32])),
    );
    let pid = service.process().0.to_string();
    let mut limit = Command::new("prlimit");
    limit.args(["--pid", &pid, "--fsize=1000"]);
    assert!(limit.status().unwrap().success());
    let acknowledged: Vec<String> = (0..)
        .map_while(|n| post(&service, &observation(&service, n)))
        .collect();
    // What it says goes to a file here, which may not grow either: its code says that it ended by itself.
    assert_eq!(service.wait().code(), Some(2));
    service.start();
    for record in &acknowledged {
        let found = service.get(&format!("/v1/records/{record}"));
        assert_eq!(found.status, 200, "{record}");
    }
    service.log(&service.signer().observation("a", "afterwards"));
    assert!(service.stop().success());
}

/// The order of a durable answer: sync, then answer.
#[test]
fn an_answer_leaves_after_the_sync_of_its_group_has_returned() {
    let mut service = Service::new();
    service.log(
        &service
            .signer()
            .registration("a", &PrivateKey::from_seed(&[5; 32])),
    );
    service.stop();
    let calls = "trace=fdatasync,recvfrom,read,sendto,write,writev";
    service.start_by(traced(&service, &["-ttt", "-s", "64", "-e", calls]));
    service.log(&service.signer().observation("a", "traced"));
    service.stop();
    let trace = finished_trace(&service);
    let lines: Vec<&str> = trace.lines().collect();
    let at = |needle: &str| lines.iter().position(|line| line.contains(needle));
    let request = at("POST /v1/entries").expect("the request in the trace");
    let answer = request
        + lines[request..]
            .iter()
            .position(|line| line.contains("HTTP/1.1 200"))
            .expect("the answer in the trace");
    let between = &lines[request..answer];
    let synced = |line: &&&str| line.contains("fdatasync") && line.trim_end().ends_with("= 0");
    assert!(
        between.iter().any(|line| synced(&line)),
        "{}",
        between.join("\n")
    );
}
