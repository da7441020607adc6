//! The processes of a run: what a program leaves behind, a supervisor that is stopped, a machine that gives out.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::Signal;
use serde_json::Value;
use tests::{Run, World, stderr};

/// Starts what a daemon does to be alone: a process whose parent is gone, in a session of its own. It says its number, and
/// holds nothing of the program's open.
const DAEMON: &str =
    "setsid sh -c 'sh -c \"exec sleep 1000\" >/dev/null 2>&1 </dev/null & echo $!' </dev/null";

/// Whether a process is there and has not ended.
fn acts(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .map(|(_, fields)| fields.starts_with(['Z', 'X']));
    state == Some(false)
}

fn until_it_is_gone(pid: &str) {
    while acts(pid) {
        std::thread::yield_now();
    }
}

fn end(pid: &str) {
    let status = Command::new("kill")
        .args(["-9", pid.trim()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn left_behind(result: &Value) -> Option<&str> {
    result["refs"]["left_behind"].as_str()
}

#[test]
fn a_daemon_does_not_outlive_the_run() {
    let world = World::new();
    let mut run = Run::start(world.run(&["--grace", "300ms"], &["sh", "-c", DAEMON]));
    let daemon = run.line();
    run.until("left processes behind: 1");
    assert_eq!(run.end().0, Some(0));
    assert!(!acts(&daemon));
    let result = &world.receipts("result")[0];
    assert_eq!(
        (left_behind(result), &result["status"]),
        (Some("1"), &"ok".into())
    );
    assert_eq!(world.receipts("outcome")[0]["verdict"], "accepted");
}

/// One that is deaf to SIGTERM, and starts others as fast as it is looked at.
#[test]
fn what_does_not_want_to_end_is_killed_with_all_that_it_starts() {
    let world = World::new();
    let script = r#"setsid sh -c 'trap "" TERM HUP; echo $$; exec >/dev/null 2>&1; while :; do sh -c "sleep 0.01 & sleep 0.02" & wait; done' &"#;
    let mut run = Run::start(world.run(&["--grace", "100ms"], &["sh", "-c", script]));
    let deaf = run.line();
    assert_eq!(run.end().0, Some(0));
    assert!(!acts(&deaf));
}

#[test]
fn a_run_can_wait_for_what_is_left_behind() {
    let world = World::new();
    let script = format!("{DAEMON}; exit 3");
    let mut run = Run::start(world.run(&["--left-behind", "wait"], &["sh", "-c", &script]));
    let daemon = run.line();
    run.until("waits for them");
    assert!(world.receipts("result").is_empty(), "it acts still");
    end(&daemon);
    assert_eq!(run.end().0, Some(3));
    assert_eq!(left_behind(&world.receipts("result")[0]), Some("1"));
}

#[test]
fn what_is_left_behind_can_be_kept_and_is_told_of() {
    let world = World::new();
    let mut run = Run::start(world.run(&["--left-behind", "keep"], &["sh", "-c", DAEMON]));
    let daemon = run.line();
    assert_eq!(run.end().0, Some(0));
    assert!(acts(&daemon));
    end(&daemon);
    assert_eq!(left_behind(&world.receipts("result")[0]), Some("1"));
}

#[test]
fn beside_a_log_that_observes_what_is_left_behind_is_kept() {
    let world = World::with_charter(r#"{"mode":"observe"}"#, 60_000);
    world.lease();
    let mut run = Run::start(world.shell(DAEMON));
    let daemon = run.line();
    assert_eq!(run.end().0, Some(0));
    assert!(acts(&daemon));
    end(&daemon);
    assert_eq!(left_behind(&world.receipts("result")[0]), Some("1"));
}

#[test]
fn a_program_that_leaves_nothing_behind_has_nothing_told_of_it() {
    let world = World::new();
    world.succeed(world.shell("true | cat; (true; true); wait"));
    assert_eq!(left_behind(&world.receipts("result")[0]), None);
}

/// A double fork is not a way out of an order.
#[test]
fn an_order_ends_a_daemon_too() {
    let world = World::new();
    let script = format!("{DAEMON}; exec sleep 1000");
    let mut run = Run::start(world.run(&["--grace", "300ms"], &["sh", "-c", &script]));
    let daemon = run.line();
    world.order("stop");
    run.until("the agent is stopped");
    assert_eq!(run.end().0, Some(143));
    assert!(!acts(&daemon));
}

/// In a container a run may be the first process, which nobody else reaps for.
#[test]
fn orphans_are_reaped() {
    let world = World::new();
    // Each child starts one that it does not wait for.
    let script = "for n in 1 2 3 4 5 6 7 8; do sh -c 'sh -c : &'; done
        zombies() { grep -l '^State:.Z' /proc/[0-9]*/status | xargs -r grep -l \"^PPid:.$PPID$\"; }
        while test -n \"$(zombies 2>/dev/null)\"; do sleep 0.01; done; echo reaped";
    let mut run = Run::start(world.shell(script));
    assert_eq!(run.line(), "reaped\n");
    assert_eq!(run.end().0, Some(0));
}

/// The program itself may do that: it is of the same user.
#[test]
fn a_supervisor_that_is_stopped_does_not_let_its_program_outlive_its_authority() {
    let world = World::without_lease(2_000);
    world.lease();
    let script = format!("{DAEMON}; echo $$; read x; kill -STOP $PPID; exec sleep 1000");
    let mut run = Run::start(world.run(&["--grace", "100ms"], &["sh", "-c", &script]));
    let (daemon, program) = (run.line(), run.line());
    run.say("stop");
    for process in [&program, &daemon] {
        until_it_is_gone(process);
    }
    run.until("does not answer");
    run.signal(Signal::CONT);
    assert_eq!(run.end().0, Some(143));
    assert_eq!(world.receipts("result")[0]["status"], "timeout");
}

/// The kernel kills the program with its run; what the program has started is in its control group, where there is one.
#[test]
fn a_run_that_was_killed_takes_along_what_its_program_has_started() {
    let world = World::new();
    let script = format!("{DAEMON}; echo $$; cat /proc/self/cgroup; echo end; exec sleep 1000");
    let mut run = Run::start(world.shell(&script));
    let (daemon, program) = (run.line(), run.line());
    let mut groups = String::new();
    while !groups.ends_with("end\n") {
        groups.push_str(&run.line());
    }
    run.signal(Signal::KILL);
    run.child.wait().unwrap();
    until_it_is_gone(&program);
    assert_eq!(
        groups.contains("/dragons-"),
        has_control_groups(),
        "{groups}"
    );
    if has_control_groups() {
        until_it_is_gone(&daemon);
    } else {
        tests::skipped("this user may not make a control group here");
        end(&daemon);
    }
    run.end();
}

/// Whether a control group of version 2 can be made below that of this process, by trying.
fn has_control_groups() -> bool {
    static TRIED: OnceLock<bool> = OnceLock::new();
    *TRIED.get_or_init(can_make_a_control_group)
}

fn can_make_a_control_group() -> bool {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (own, mounts) = (read("/proc/self/cgroup"), read("/proc/mounts"));
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let mut mounts = mounts.lines().filter(|line| line.contains(" cgroup2 "));
    let mount = mounts.next().and_then(|line| line.split(' ').nth(1));
    let Some((own, mount)) = own.zip(mount) else {
        return false;
    };
    let group = Path::new(mount)
        .join(own)
        .join(format!("test-{}", std::process::id()));
    let is_made = std::fs::create_dir(&group).is_ok() && group.join("cgroup.kill").exists();
    let _ = std::fs::remove_dir(&group);
    is_made
}

/// Faster than anybody can look for parents, and none of it is left.
#[test]
fn a_control_group_ends_at_once_and_is_gone_with_the_run() {
    let world = World::new();
    if !has_control_groups() {
        tests::skipped("this user may not make a control group here");
        return;
    }
    let storm = r#"import os
while True:
    try:
        if os.fork() == 0: os.setsid()
        else: os._exit(0)
    except OSError: pass"#;
    let script = format!(
        "cat /proc/self/cgroup; python3 -c '{storm}' </dev/null >/dev/null 2>&1 & sleep 0.1; echo end"
    );
    let mut run = Run::start(world.run(&["--grace", "100ms"], &["sh", "-c", &script]));
    let mut group = String::new();
    for line in std::iter::repeat_with(|| run.line()).take_while(|line| line != "end\n") {
        if let Some(path) = line.strip_prefix("0::") {
            group = path.trim().to_owned();
        }
    }
    assert!(group.contains("/dragons-"), "{group}");
    assert_eq!(run.end().0, Some(0));
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mut mounts = mounts.lines().filter(|line| line.contains(" cgroup2 "));
    let mount = mounts.next().unwrap().split(' ').nth(1).unwrap();
    assert!(!Path::new(&format!("{mount}{group}")).exists());
}

/// Whether a process with these words on its command line is there.
fn is_there(words: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| {
        String::from_utf8_lossy(&line)
            .replace('\0', " ")
            .contains(words)
    })
}

#[test]
fn in_a_namespace_of_its_own_nothing_outlives_the_program() {
    let world = World::new();
    if !rustix::process::geteuid().is_root() {
        tests::skipped("only root makes a namespace here");
        return;
    }
    let mark = format!("sleep 1000.{}", std::process::id());
    let daemon = format!("setsid sh -c '{mark} &' >/dev/null 2>&1 </dev/null; echo $$; read x");
    let options = ["--pid-namespace", "--left-behind", "keep"];
    for (end, code) in [("exit 3", 3), ("kill -9 $$", 137)] {
        let script = format!("{daemon}; {end}");
        let mut run = Run::start(world.run(&options, &["sh", "-c", &script]));
        assert_eq!(
            run.line(),
            "2\n",
            "the first process looks after the program"
        );
        while !is_there(&mark) {
            std::thread::yield_now();
        }
        run.say("end");
        assert_eq!(run.end().0, Some(code));
        assert!(!is_there(&mark), "{end}");
    }
    let script = "trap 'echo got; exit 5' TERM; echo up; read x; sleep 1000 & wait";
    let mut run = Run::start(world.run(&options, &["sh", "-c", script]));
    assert_eq!(run.line(), "up\n");
    run.signal(Signal::TERM);
    run.say("on");
    assert_eq!(run.line(), "got\n");
    assert_eq!(run.end().0, Some(5));
}

/// A service manager names by its number the process that its sockets and its watchdog are for.
#[test]
fn variables_that_name_the_process_name_the_program() {
    let world = World::new();
    let outer = "LISTEN_PID=$$ WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=7 exec \"$@\"";
    let script = "test $LISTEN_PID = $$ && test $WATCHDOG_PID = $$ && echo own $SYSTEMD_EXEC_PID";
    let command = world.within(&["sh", "-c", outer, "sh"], &world.shell(script));
    assert_eq!(world.succeed(command), "own 7\n");
}

#[test]
fn a_directory_with_a_long_path_holds_no_socket_and_nothing_up() {
    let world = World::new();
    let long = world.service.scratch(&"long/".repeat(30));
    std::fs::create_dir_all(&long).unwrap();
    for directory in [long, PathBuf::from("/no/such/directory")] {
        let mut command = world.shell("test -S \"$DRAGONS_SOCKET\" && echo there");
        command.env("XDG_RUNTIME_DIR", directory);
        assert_eq!(world.succeed(command), "there\n");
    }
}

#[test]
fn a_program_of_any_name_runs_and_has_a_scope() {
    let world = World::without_lease(60_000);
    let names = ["g++", "[", "a bä", "_x"];
    for name in names {
        let file = format!("src/{name}");
        world.write(&file, "#!/bin/sh\necho ran\n");
        let file = world.service.scratch("agent").join(file);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    world.register();
    let allow = ["run:g++", "run:+5b", "run:a+20b+c3+a4", "run:_x"];
    let grant = ["lease", "grant", "worker", "--key", "OPERATOR", "--allow"];
    world.succeed(world.dragons(&[&grant[..], &allow].concat()));
    for (n, name) in names.iter().enumerate() {
        let file = format!("src/{name}");
        let output = world.run(&[], &[&file]).output().unwrap();
        assert_eq!(output.stdout, b"ran\n", "{name}: {}", stderr(&output));
        assert_eq!(world.receipts("intent")[n]["scope"], allow[n]);
    }
}

/// A library that lets a process have so many threads and no more.
const FEW_THREADS: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
static int left = -1;
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) real = dlsym(RTLD_NEXT, "pthread_create");
    if (left < 0) left = getenv("FEW_THREADS") ? atoi(getenv("FEW_THREADS")) : 1000;
    return left-- > 0 ? real(t, a, f, x) : EAGAIN;
}
"#;

/// A kernel, or a sandbox, without handles of processes.
const NO_HANDLES: &str = r#"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int n, char **words) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 99;
    execvp(words[1], words + 1);
    return 98;
}
"#;

fn compiled(world: &World, name: &str, source: &str, options: &[&str]) -> PathBuf {
    let (text, made) = (
        world.service.scratch("helper.c"),
        world.service.scratch(name),
    );
    std::fs::write(&text, source).unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(options)
        .arg("-o")
        .arg(&made)
        .arg(&text)
        .arg("-ldl");
    assert!(compiler.status().expect("a C compiler").success());
    made
}

/// Whatever this machine does not give, the log tells the truth: what did not act was not run, and what acted did not get
/// cancelled.
#[test]
fn a_machine_that_gives_out_never_makes_the_log_lie() {
    let world = World::new();
    let library = compiled(&world, "few.so", FEW_THREADS, &["-shared", "-fPIC"]);
    let mark = world.service.scratch("agent/mark");
    let mut has_run = false;
    for threads in 0..16 {
        let before = world.receipts("result").len();
        let mut command = world.shell("touch mark");
        command
            .env("LD_PRELOAD", &library)
            .env("FEW_THREADS", threads.to_string());
        let output = command.output().unwrap();
        let acted = std::fs::remove_file(&mark).is_ok();
        let was_not_run = output.status.code() == Some(125) || output.status.code() == Some(101);
        assert_eq!(
            acted,
            !was_not_run,
            "{threads} threads: {}",
            stderr(&output)
        );
        for result in &world.receipts("result")[before..] {
            let was_cancelled = result["status"] == "cancelled";
            assert!(!(acted && was_cancelled), "{threads} threads: {result}");
        }
        has_run |= acted;
    }
    assert!(has_run, "sixteen are enough");
}

#[test]
fn a_kernel_without_handles_of_processes_runs_programs_as_well() {
    let world = World::new();
    let outer = compiled(&world, "no-handles", NO_HANDLES, &[]);
    let outer = outer.to_str().unwrap();
    assert_eq!(
        world.succeed(world.within(&[outer], &world.shell("echo ran"))),
        "ran\n"
    );
    assert_eq!(world.receipts("result")[0]["status"], "ok");
}

/// The first process of a namespace: what is nobody's is its own, and signals that nobody handles don't reach it.
#[test]
fn the_first_process_of_a_container_reaps_and_passes_signals_on() {
    let world = World::new();
    if !rustix::process::geteuid().is_root() {
        tests::skipped("only root makes a namespace here");
        return;
    }
    let script =
        "for n in 1 2 3 4 5 6 7 8; do sh -c 'sh -c : &'; done; trap 'echo got; exit 5' TERM
        while grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do sleep 0.01; done; echo reaped
        while :; do read x; done";
    let outer = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let mut command = world.within(&outer, &world.shell(script));
    command.stderr(Stdio::inherit());
    let mut run = Run::start(command);
    assert_eq!(run.line(), "reaped\n");
    let first =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.child.id())).unwrap();
    assert!(Path::new(&format!("/proc/{}", first.trim())).exists());
    assert!(
        Command::new("kill")
            .args(["-TERM", first.trim()])
            .status()
            .unwrap()
            .success()
    );
    run.say("on");
    assert_eq!(run.line(), "got\n");
    assert_eq!(run.end().0, Some(5));
}
