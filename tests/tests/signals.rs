//! Signals pass through `dragons run` once, and a program begins with those of its caller.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};
use tests::{Run, World, stderr};

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

fn kill(pid: u32, number: i32) {
    let command = format!("kill -{number} {pid}");
    assert!(
        Command::new("sh")
            .args(["-c", &command])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn everything_that_can_be_caught_passes_once() {
    let world = World::new();
    let mut run = Run::start(world.run(&[], &["python3", "-c", TELLS]));
    assert_eq!(run.line(), "up\n");
    // SIGCHLD is a parent's own. The rest is everything but SIGKILL, SIGSTOP and what the C library keeps for itself.
    let passed = (1..65).filter(|n| ![9, 17, 19, 32, 33].contains(n));
    for number in passed {
        kill(run.child.id(), number);
        assert_eq!(run.line(), format!("{number}\n"));
    }
    run.say("end");
    assert_eq!(run.line(), "got end\n", "nothing came twice");
    assert_eq!(run.end().0, Some(0));
}

/// A shell without job control, `timeout`, an editor: they signal the group.
#[test]
fn a_signal_to_the_group_comes_once() {
    let world = World::new();
    let mut command = world.run(&[], &["python3", "-c", TELLS]);
    command.process_group(0);
    let mut run = Run::start(command);
    assert_eq!(run.line(), "up\n");
    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15), (Signal::USR1, 10)] {
        kill_process_group(Pid::from_child(&run.child), signal).unwrap();
        assert_eq!(run.line(), format!("{number}\n"));
        run.say("on");
        assert_eq!(run.line(), "got on\n", "signal {number} came twice");
    }
    run.say("end");
    run.line();
    assert_eq!(run.end().0, Some(0));
}

#[test]
fn a_program_begins_with_the_signals_of_its_caller() {
    let world = World::new();
    let script = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; umask; ulimit -n; pwd";
    for ignored in [
        "",
        "trap '' HUP;",
        "trap '' CHLD;",
        "trap '' PIPE INT QUIT TERM USR1 TSTP TTOU;",
    ] {
        let outer = format!("{ignored} exec \"$@\"");
        let outer = ["sh", "-c", outer.as_str(), "sh"];
        let mut bare = Command::new("sh");
        // With a PATH of its own it is started as a run is: otherwise the C library ignores two signals more for it.
        bare.args(["-c", script])
            .env("PATH", std::env::var_os("PATH").unwrap());
        let bare = world.succeed(world.within(&outer, &bare));
        assert!(bare.contains("SigIgn"), "{bare}");
        assert_eq!(
            world.succeed(world.within(&outer, &world.shell(script))),
            bare,
            "{ignored}"
        );
    }
}

/// `nohup`: the hangup of a terminal ends neither.
#[test]
fn what_is_ignored_stays_ignored() {
    let world = World::new();
    let outer = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    let mut run = Run::start(world.within(&outer, &world.shell("echo up; read x; exit $x")));
    assert_eq!(run.line(), "up\n");
    run.signal(Signal::HUP);
    run.say("6");
    assert_eq!(run.end().0, Some(6));
}

/// A parent that ignores its children's ends loses their statuses, and a run inherits that.
#[test]
fn a_run_whose_caller_ignores_children_learns_how_its_own_ends() {
    let world = World::new();
    let outer = ["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh"];
    for code in [0, 3] {
        let script = format!("exit {code}");
        let output = world
            .within(&outer, &world.shell(&script))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    }
    let results = world.receipts("result");
    assert_eq!(
        (&results[0]["status"], &results[1]["status"]),
        (&"ok".into(), &"error".into())
    );
}
