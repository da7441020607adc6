//! What passes through `dragons run`: a program does not notice that it is governed.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::{World, stderr};

/// Bytes of all values in no order that a text would have.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

/// Runs a command with this on its stdin, and gives its stdout.
fn piped(mut command: Command, stdin: Vec<u8>) -> Vec<u8> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || to.write_all(&stdin));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    output.stdout
}

#[test]
fn bytes_pass_through_both_ways_however_many() {
    let world = World::new();
    // Less than is kept of an output, and more than all buffers on the way hold.
    for count in [1_000, 5_000_000] {
        let bytes = noise(count);
        let out = piped(world.run(&[], &["cat"]), bytes.clone());
        assert!(out == bytes, "{count} bytes came out as {}", out.len());
        let digest = ledger::digest::Digest::of(&[&bytes]).to_string();
        let kept = match count {
            1_000 => ("stdout".to_owned(), bytes),
            _ => ("stdout.digest".to_owned(), digest.into_bytes()),
        };
        assert!(world.disclosed().contains(&kept), "{count}");
    }
}

#[test]
fn both_streams_pass_through_apart() {
    let world = World::new();
    let script = r"printf 'out\377\000\n'; printf 'err\376\000' >&2";
    let output = world.shell(script).output().unwrap();
    assert_eq!(output.stdout, b"out\xff\0\n");
    assert_eq!(output.stderr, b"err\xfe\0");
}

#[test]
fn a_reader_that_goes_away_ends_the_program_as_a_pipe_does() {
    let world = World::new();
    let mut command = world.shell("yes");
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"y\n");
    assert_eq!(child.wait().unwrap().code(), Some(128 + 13), "by SIGPIPE");
    assert_eq!(world.receipts("outcome")[0]["verdict"], "rejected");
}

/// The same command with no signal ignored, however these tests were started: a script ignores some for what it starts
/// in the background.
fn by_default(command: &Command) -> Command {
    let mut env = Command::new("env");
    env.arg("--default-signal").arg(command.get_program());
    env.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => env.env(name, value),
            None => env.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        env.current_dir(directory);
    }
    env
}

#[test]
fn a_death_by_any_signal_is_told_as_a_shell_tells_it() {
    let world = World::new();
    for (signal, number) in [
        ("INT", 2),
        ("HUP", 1),
        ("QUIT", 3),
        ("PIPE", 13),
        ("USR1", 10),
        ("KILL", 9),
    ] {
        let mut run = by_default(&world.shell(&format!("kill -{signal} $$")));
        let output = run.output().unwrap();
        assert_eq!(output.status.code(), Some(128 + number), "{signal}");
        assert_eq!(output.status.signal(), None);
    }
}

#[test]
fn exit_codes_pass_through_and_tell_failure_from_refusal() {
    let world = World::new();
    for code in [0, 1, 2, 124, 126, 127, 255] {
        let output = world.shell(&format!("exit {code}")).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    }
    let usage = world
        .dragons(&["run", "--no-such-option", "--", "true"])
        .output()
        .unwrap();
    assert_eq!(usage.status.code(), Some(125), "{}", stderr(&usage));
}

/// It is there and may be run by its bits, and the kernel finds no interpreter for it.
#[test]
fn a_program_that_the_kernel_refuses_was_not_run() {
    let world = World::without_lease(60_000);
    world.write("src/resume", "#!/no/such/interpreter\n");
    let resume = world.service.scratch("agent/src/resume");
    std::fs::set_permissions(resume, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.register();
    world.lease();
    let output = world.run(&[], &["src/resume"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("cannot be run"),
        "{}",
        stderr(&output)
    );
    assert_eq!(world.receipts("result")[0]["status"], "cancelled");
    assert_eq!(world.receipts("outcome")[0]["verdict"], "abandoned");
}

#[test]
fn a_result_tells_how_long_the_program_ran() {
    let world = World::new();
    world.succeed(world.shell("sleep 0.3"));
    let took_ms = |result: &Value| result["duration_ms"].as_u64().unwrap();
    let took_ms = took_ms(&world.receipts("result")[0]);
    let received_ms = |phase| world.entry_of(phase)["received_ms"].as_u64().unwrap();
    let between_ms = received_ms("result") - received_ms("intent");
    assert!(
        (300..=between_ms).contains(&took_ms),
        "{took_ms} of {between_ms} ms"
    );
}
