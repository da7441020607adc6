//! What a program puts out passes through `dragons run` whole, in order, and to whoever takes it, however slowly.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use tests::World;

/// More than all pipes on the way hold together.
const LINES: &str = "seq 1 200000";

fn seq() -> Vec<u8> {
    Command::new("sh")
        .args(["-c", LINES])
        .output()
        .unwrap()
        .stdout
}

/// What is not taken yet when the program is long gone is CMD's all the same. The run is not over before.
#[test]
fn a_slow_reader_gets_everything() {
    let world = World::new();
    let mut command = world.shell("seq 1 20000");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    // The run waits for the reader for as long as that takes: longer than it would wait for strangers.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it waits for its reader"
        );
        std::thread::yield_now();
    }
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert_eq!(out.lines().count(), 20_000);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let digest = ledger::digest::Digest::of(&[out.as_bytes()]).to_string();
    let kept = ("stdout.digest".to_owned(), digest.into_bytes());
    assert!(world.disclosed().contains(&kept));
    assert_eq!(world.receipts("outcome")[0]["verdict"], "accepted");
}

/// As node and bun leave the pipes of their children.
#[test]
fn an_output_that_does_not_block_is_waited_for() {
    let world = World::new();
    let (from, to) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    rustix::io::ioctl_fionbio(&from, false).unwrap();
    let mut child = world.shell(LINES).stdout(to).spawn().unwrap();
    let mut out = Vec::new();
    File::from(from).read_to_end(&mut out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(out == seq(), "{} bytes", out.len());
}

#[test]
fn an_output_that_cannot_be_written_fails_the_run() {
    let world = World::new();
    for (n, script) in ["echo hi", "yes", "echo hi; exit 7"].iter().enumerate() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = world.shell(script).stdout(full).output().unwrap();
        let said = tests::stderr(&output);
        assert!(said.contains("could not be written"), "{said}");
        let want = [Some(1), Some(128 + 13), Some(7)][n];
        assert_eq!(output.status.code(), want, "{script}: {said}");
        assert_eq!(world.receipts("result")[n]["status"], "error");
        assert_eq!(world.receipts("outcome")[n]["verdict"], "rejected");
    }
    let why = world.receipts("result")[0]["refs"]["reason"].to_string();
    assert!(why.contains("could not be written"), "{why}");
}

/// `2>&1`: one open file is one pipe, so lines come out as they were written, and are committed to as one output.
#[test]
fn outputs_that_are_one_file_keep_their_order() {
    let world = World::new();
    let script = "for n in 1 2 3 4 5 6 7 8 9; do echo out $n; echo err $n >&2; done";
    let (from, to) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let mut command = world.shell(script);
    command.stdout(to.try_clone().unwrap()).stderr(to);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut out = String::new();
    File::from(from).read_to_string(&mut out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{out}");
    let want: String = (1..10).map(|n| format!("out {n}\nerr {n}\n")).collect();
    assert_eq!(out, want);
    let disclosed = world.disclosed();
    assert!(disclosed.contains(&("output".to_owned(), want.into_bytes())));
    assert!(
        !disclosed
            .iter()
            .any(|(name, _)| name == "stdout" || name == "stderr")
    );
}

/// Two openings of one file are not one open file: each keeps its place, as without a run in between.
#[test]
fn outputs_that_are_two_openings_stay_two() {
    let world = World::new();
    let path = world.service.scratch("both");
    let open = || {
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap()
    };
    let mut command = world.shell("echo out; echo err >&2");
    let status = command.stdout(open()).stderr(open()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let disclosed = world.disclosed();
    for (name, value) in [("stdout", "out\n"), ("stderr", "err\n")] {
        assert!(
            disclosed.contains(&(name.to_owned(), value.into())),
            "{name}"
        );
    }
}

/// What a stranger holds open, and writes to forever, does not hold the run forever.
#[test]
fn what_is_left_behind_and_writes_on_holds_nobody() {
    let world = World::new();
    let mut command = world.run(
        &["--left-behind", "keep"],
        &["sh", "-c", "echo first; yes & exit 4"],
    );
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", tests::stderr(&output));
    assert!(output.stdout.starts_with(b"first\n"));
}
