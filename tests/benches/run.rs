//! What `dragons run` costs, in release: `make bench-run`. It prints and judges nothing.
//!
//! A run logs six records, each synced to the disk of the agent and to that of the log before it is answered, so its time
//! is beside that of a sync. Orders are obeyed on loopback: within a second, at the 99th percentile, is what
//! docs/agents.md promises.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Run, World};

/// How many runs are timed.
const RUNS: usize = 60;

/// How many syncs.
const SYNCS: usize = 500;

/// How many orders are obeyed.
const ORDERS: usize = 100;

/// How often a GiB is passed on.
const ROUNDS: usize = 3;

/// Says when it is told to end.
const TELLS: &str = r#"
import os, signal
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"told\n"), os._exit(0)))
os.write(1, b"up\n")
while True: signal.pause()"#;

const GIB: u64 = 1 << 30;

fn main() {
    let world = World::without_lease(60_000);
    let allow = ["run:true", "run:sh", "run:cat"];
    let grant = ["lease", "grant", "worker", "--key", "OPERATOR", "--allow"];
    world.succeed(world.dragons(&[&grant[..], &allow].concat()));
    latencies("fdatasync of 1 KiB", &syncs(&world));
    latencies("true", &runs(|| Command::new("true")));
    latencies("dragons run -- true", &runs(|| world.run(&[], &["true"])));
    memory(&world);
    throughput(&world);
    latencies("from an order to SIGTERM", &obeying());
}

fn latencies(what: &str, samples: &[Duration]) {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    let at = |share: usize| samples[(samples.len() - 1) * share / 100].as_secs_f64() * 1e3;
    let (p50, p99) = (at(50), at(99));
    println!(
        "{what:<34} p50 {p50:7.3} ms   p99 {p99:7.3} ms   of {}",
        samples.len()
    );
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn syncs(world: &World) -> Vec<Duration> {
    let mut file = File::create(world.service.scratch("sync")).expect("a file");
    let mut sync = || {
        file.write_all(&[0; 1024]).expect("room on the disk");
        timed(|| file.sync_data().expect("a disk that syncs"))
    };
    (0..SYNCS).map(|_| sync()).collect()
}

fn runs(command: impl Fn() -> Command) -> Vec<Duration> {
    let run = || {
        let mut command = command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        timed(|| assert!(command.status().expect("a program").success()))
    };
    (0..RUNS).map(|_| run()).collect()
}

/// What the run itself holds while its program works: `RssAnon` of its process.
fn memory(world: &World) {
    let mut run = Run::start(world.shell("head -c 100000000 /dev/zero; echo; echo up; read x"));
    while run.line().trim_matches('\0') != "up\n" {}
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.child.id()));
    let status = status.expect("a process");
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    println!(
        "{:<34} {}",
        "anonymous memory of a run",
        line.unwrap_or("unknown")
            .trim_start_matches("RssAnon:")
            .trim()
    );
    run.say("end");
    run.end();
}

/// From when an operator hands an order in until the program has its signal and has said so. The next heartbeat is a minute
/// away.
fn obeying() -> Vec<Duration> {
    let world = World::with_charter("{}", 60_000);
    let signer = world.service.signer();
    let obey = || {
        world.lease();
        let mut run = Run::start(world.run(&[], &["python3", "-c", TELLS]));
        assert_eq!(run.line(), "up\n");
        let lease = world.agent()["lease"].as_str().map(|lease| lease.parse());
        let order = signer.stop_after("worker", lease.and_then(Result::ok));
        let took = timed(|| {
            world.service.log(&order);
            assert_eq!(run.line(), "told\n");
        });
        run.end();
        took
    };
    (0..ORDERS).map(|_| obey()).collect()
}

fn throughput(world: &World) {
    let path = world.service.scratch("gib");
    File::create(&path)
        .and_then(|file| file.set_len(GIB))
        .expect("a sparse file");
    let path = path.to_str().expect("UTF-8");
    let piped = |command: &Command| {
        let mut command = world.within(&["sh", "-c", "\"$@\" | sha256sum", "sh"], command);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        timed(|| assert!(command.status().expect("a program").success())).as_secs_f64()
    };
    let mut cat = Command::new("cat");
    cat.arg(path);
    for _ in 0..ROUNDS {
        let (alone, under) = (piped(&cat), piped(&world.run(&[], &["cat", path])));
        println!(
            "{:<34} {:.2} of `cat | sha256sum` ({alone:.2} s alone, {under:.2} s under a run)",
            "1 GiB through stdout",
            alone / under
        );
    }
}
