//! `dragons run` at a terminal: a program there does not notice it, and neither does the person.

use std::process::Command;

use tests::{Screen, World};

fn at_a_terminal(world: &World, options: &[&str], script: &str) -> Screen {
    Screen::start(&world.run(options, &["sh", "-c", script]))
}

fn kill(signal: &str, pid: u32) {
    let pid = pid.to_string();
    assert!(
        Command::new("kill")
            .args([signal, &pid])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_program_at_a_terminal_has_one_and_its_output_is_committed_to() {
    let world = World::new();
    let script = "test -t 0 && test -t 1 && test -t 2 && echo three; stty size; echo to stderr >&2; : > /dev/tty && echo controlled; read x; echo got $x; exit 4";
    let mut screen = at_a_terminal(&world, &[], script);
    for words in ["three\r\n", "24 80\r\n", "to stderr\r\n", "controlled\r\n"] {
        screen.until(words);
    }
    screen.keys("hello\r");
    screen.until("got hello\r\n");
    assert_eq!(screen.end(), Some(4));
    let disclosed = world.disclosed();
    let output = disclosed.iter().find(|(name, _)| name == "output");
    let output = String::from_utf8(output.unwrap().1.clone()).unwrap();
    assert!(
        output.starts_with("three\r\n24 80\r\nto stderr\r\n"),
        "{output}"
    );
    assert!(output.ends_with("got hello\r\n"), "{output}");
}

#[test]
fn keys_that_are_signals_come_once() {
    let world = World::new();
    for options in [&[][..], &["--no-pty"]] {
        let script = "trap 'echo caught' INT; trap 'echo quit; exit 7' QUIT; echo up; while :; do sleep 0.01; done";
        let mut screen = at_a_terminal(&world, options, script);
        screen.until("up\r\n");
        screen.keys("\x03");
        screen.until("caught\r\n");
        screen.keys("\x1c");
        let rest = screen.until("quit");
        assert!(!rest.contains("caught"), "{options:?}: {rest}");
        assert_eq!(screen.end(), Some(7), "{options:?}");
    }
}

#[test]
fn a_signal_from_elsewhere_arrives_at_a_terminal() {
    let world = World::new();
    for options in [&[][..], &["--no-pty"]] {
        let mut screen = at_a_terminal(
            &world,
            options,
            "trap 'echo caught; exit 6' INT; echo up; while :; do sleep 0.01; done",
        );
        screen.until("up\r\n");
        kill("-INT", screen.child.id());
        screen.until("caught\r\n");
        assert_eq!(screen.end(), Some(6));
    }
}

#[test]
fn a_program_sees_the_size_of_the_terminal_change() {
    let world = World::new();
    for options in [&[][..], &["--no-pty"]] {
        let mut screen = at_a_terminal(
            &world,
            options,
            "trap 'stty size' WINCH; echo up; while :; do sleep 0.01; done",
        );
        screen.until("up\r\n");
        screen.resize(40, 100);
        screen.until("40 100\r\n");
        screen.keys("\x03");
        assert_eq!(screen.end(), Some(130));
    }
}

/// As from a shell with job control: Ctrl-Z stops the program and the run, and `fg` lets both go on.
#[test]
fn a_run_is_a_job_of_its_shell() {
    let world = World::new();
    for options in [&[][..], &["--no-pty"]] {
        let run = world.run(
            options,
            &["sh", "-c", "echo up; read x; echo got $x; exit 9"],
        );
        let mut screen = Screen::start(&world.within(
            &[
                "bash",
                "--norc",
                "--noprofile",
                "-ic",
                "set -m; \"$@\"; echo back; fg; echo $? end",
                "bash",
            ],
            &run,
        ));
        screen.until("up\r\n");
        screen.keys("\x1a");
        screen.until("back");
        screen.keys("hello\r");
        screen.until("got hello\r\n");
        screen.until("9 end");
        screen.end();
    }
}

/// Of a pipeline as well, and where no descriptor is the terminal.
#[test]
fn a_run_stops_and_goes_on_with_the_rest_of_its_job() {
    let world = World::new();
    for job in ["\"$@\" | cat", "\"$@\" </dev/null 2>&1 | cat"] {
        let script = "echo up; n=0; while test $n -lt 500; do n=$((n+1)); sleep 0.01; done; exit 9";
        let run = world.run(&[], &["sh", "-c", script]);
        let shell = format!("set -m; {job}; echo back; fg; echo ${{PIPESTATUS[0]}} end");
        let outer = ["bash", "--norc", "--noprofile", "-ic", &shell, "bash"];
        let mut screen = Screen::start(&world.within(&outer, &run));
        screen.until("up\r\n");
        screen.keys("\x1a");
        screen.until("back");
        screen.until(" end");
        screen.end();
    }
}

/// Has a run with a pipe for its output, sends each signal to the whole group and to the run alone, and prints what the
/// program has got.
const SENDS: &str = r#"
import os, signal, subprocess, sys
numbers = [n for n in range(1, 65) if n not in (9, 17, 19, 32, 33)]
for n in numbers: signal.signal(n, lambda *_: None)
run = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
assert run.stdout.readline() == "up\n"
def is_pending(n):
    # One that is sent again before it is taken comes once, as with any program.
    with open(f"/proc/{run.pid}/status") as status:
        lines = [line.split() for line in status if line.startswith(("SigPnd", "ShdPnd"))]
    return any(int(pending, 16) >> (n - 1) & 1 for _, pending in lines)
got = []
for n in numbers:
    for send, to in ((os.killpg, 0), (os.kill, run.pid)):
        send(to, n)
        got.append(int(run.stdout.readline()))
        while is_pending(n): pass
print("say end", flush=True)
got += [line.strip() for line in run.stdout]
print("ok" if got == [n for n in numbers for _ in "12"] + ["got end"] else got, run.wait(), flush=True)
"#;

/// Says what it gets, and ends when it is told to.
const TELLS: &str = r#"
import os, signal, sys, threading
numbers = [n for n in range(1, 65) if n not in (9, 17, 19, 32, 33)]
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
def tell():
    # A handler of Python's may have to wait for the next signal; this does not.
    while True: os.write(1, b"%d\n" % signal.sigwaitinfo(numbers).si_signo)
threading.Thread(target=tell, daemon=True).start()
print("up", flush=True)
for line in sys.stdin:
    print("got", line.strip(), flush=True)
    if line.strip() == "end": break
"#;

/// A program in a pipeline is in the group of its run: what is sent to that has reached it.
#[test]
fn in_a_pipeline_a_signal_comes_once_whoever_it_was_sent_to() {
    let world = World::new();
    let run = world.run(&[], &["python3", "-c", TELLS]);
    let mut screen = Screen::start(&world.within(&["python3", "-c", SENDS], &run));
    screen.until("say end\r\n");
    screen.keys("end\r");
    screen.until("ok 0\r\n");
    screen.end();
}

#[test]
fn the_terminal_is_as_it_was_when_the_run_is_over() {
    let world = World::new();
    let run = world.run(&[], &["sh", "-c", "stty raw -echo; echo up; kill -9 $$"]);
    let outer = ["sh", "-c", "\"$@\"; echo code $?; read x", "sh"];
    let mut screen = Screen::start(&world.within(&outer, &run));
    screen.until("up");
    screen.until("code 137");
    assert!(screen.echoes());
    screen.keys("end\r");
    screen.end();
}

/// A pipeline: what is a terminal stays one, and what is a pipe is committed to.
#[test]
fn in_a_pipeline_each_descriptor_stays_what_it_is() {
    let world = World::new();
    let script = "test -t 0 && echo in >&2; test -t 1 || echo out >&2; test -t 2 && echo err >&2; echo through";
    let run = world.run(&[], &["sh", "-c", script]);
    let outer = ["sh", "-c", "\"$@\" | sed s/^/taken-/", "sh"];
    let mut screen = Screen::start(&world.within(&outer, &run));
    for words in ["in\r\n", "out\r\n", "err\r\n", "taken-through\r\n"] {
        screen.until(words);
    }
    screen.end();
    let disclosed = world.disclosed();
    assert!(disclosed.contains(&("stdout".to_owned(), b"through\n".to_vec())));
    assert!(!disclosed.iter().any(|(name, _)| name == "stderr"));
}

/// A terminal that is handed on is not read by the run, so there is nothing to commit to.
#[test]
fn without_a_terminal_of_its_own_a_program_has_the_persons() {
    let world = World::new();
    let mut screen = at_a_terminal(&world, &["--no-pty"], "tty; read x; exit 3");
    assert_eq!(screen.until("\r\n"), screen.name());
    screen.keys("x\r");
    assert_eq!(screen.end(), Some(3));
    let names: Vec<String> = world
        .disclosed()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["argv"]);
}
