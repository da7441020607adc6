//! `dragonsd backup create` is killed at its steps: the backups that were there are as they were, and the next one that is
//! made leaves nothing of the half behind. `DRAGONS_FAULTS=all` tries each step; without it every third of each kind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ledger::key::PrivateKey;
use tests::{Service, dragonsd, read, stderr};

/// How many backups stay.
const KEEP: usize = 2;

/// Of how many calls one is the last, where not all are tried.
const STRIDE: usize = 3;

struct Shelf {
    service: Service,
}

impl Shelf {
    /// A log that nobody serves meanwhile, and two backups.
    fn new() -> Self {
        let mut service = Service::new();
        let key = PrivateKey::from_seed(&[5; 32]);
        service.log(&service.signer().registration("a", &key));
        assert!(service.stop().success());
        let shelf = Self { service };
        for _ in 0..KEEP {
            shelf.succeed(&shelf.create());
        }
        shelf
    }

    fn create(&self) -> Command {
        let mut create = dragonsd().command();
        create.args(["backup", "create", "--keep", &KEEP.to_string(), "--data"]);
        create.arg(self.service.data()).arg("--to");
        create.arg(self.service.scratch("backups"));
        create
    }

    fn of_backups(&self, word: &str) -> Command {
        let mut command = dragonsd().command();
        command.args(["backup", word, "--from"]);
        command.arg(self.service.scratch("backups"));
        command
    }

    fn succeed(&self, command: &Command) -> String {
        let output = again(command).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes a backup that is killed at this call; `false` if it has no such call.
    fn kill(&self, call: &str, when: usize) -> bool {
        let trace = self.service.scratch("trace");
        let create = self.create();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o"]).arg(&trace);
        strace.args(["-e", &format!("trace={call}"), "-e"]);
        strace.arg(format!("inject={call}:signal=KILL:when={when}"));
        strace.arg(create.get_program()).args(create.get_args());
        let output = strace.output().unwrap();
        let killed = read(&trace).contains("+++ killed by SIGKILL +++");
        assert_eq!(output.status.success(), !killed, "{}", said(&output));
        killed
    }

    fn numbers(&self) -> BTreeSet<u32> {
        let listed = self.succeed(&self.of_backups("list"));
        let rows = listed.lines().skip(1);
        rows.map(|row| row.split_whitespace().next().unwrap().parse().unwrap())
            .collect()
    }

    /// Each backup that is listed is sound, and the newest comes back.
    fn check(&self, after: &str) {
        let before = self.numbers();
        assert!(before.len() >= KEEP, "{after}: {before:?}");
        self.succeed(&self.of_backups("verify"));
        let mut restore = self.of_backups("restore");
        let restored = self.service.scratch("restored");
        restore.arg("--data").arg(&restored);
        self.succeed(&restore);
        fs::remove_dir_all(&restored).unwrap();
    }

    /// One more backup, and all that is there is what the list tells.
    fn make_one_and_look(&self, after: &str) {
        let number: u32 = self.succeed(&self.create()).trim().parse().unwrap();
        let numbers = self.numbers();
        assert_eq!(numbers.len(), KEEP, "{after}");
        assert_eq!(numbers.last(), Some(&number), "{after}");
        let backups = self.service.scratch("backups");
        let mut there = names(&backups);
        assert!(there.remove(".lock") && there.remove("store"));
        let listed: BTreeSet<String> = numbers.iter().map(ToString::to_string).collect();
        assert_eq!(there, listed, "{after}");
        for of_engine in ["meta", "private"] {
            assert_eq!(
                names(&backups.join("store").join(of_engine)),
                listed,
                "{after}"
            );
        }
        self.succeed(&self.of_backups("verify"));
    }
}

fn again(command: &Command) -> Command {
    let mut same = Command::new(command.get_program());
    same.args(command.get_args());
    same
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(output)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_backup_that_is_killed_at_any_step_leaves_the_others_and_nothing_behind() {
    let stride = match std::env::var("DRAGONS_FAULTS").is_ok_and(|which| which == "all") {
        true => 1,
        false => STRIDE,
    };
    let shelf = Shelf::new();
    for call in ["mkdir", "rename", "fsync", "unlinkat"] {
        let (mut when, mut killed) = (1, 0);
        while shelf.kill(call, when) {
            let after = format!("{call} {when}");
            shelf.check(&after);
            killed += 1;
            // Also of several in a row nothing stays.
            if killed % 2 == 0 {
                shelf.make_one_and_look(&after);
            }
            when += stride;
        }
        shelf.make_one_and_look(call);
        println!("killed at {killed} calls of {call}");
        assert!(killed > 0, "{call} is never called");
    }
}

#[test]
fn what_a_killed_verification_leaves_goes_with_the_next_backup() {
    let shelf = Shelf::new();
    let trace = shelf.service.scratch("trace");
    let verify = shelf.of_backups("verify");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o"]).arg(&trace);
    strace.args(["-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=3"]);
    strace.arg(verify.get_program()).args(verify.get_args());
    assert!(!strace.output().unwrap().status.success());
    let backups = shelf.service.scratch("backups");
    let left = |names: &BTreeSet<String>| names.iter().any(|name| name.starts_with(".verifying-"));
    assert!(left(&names(&backups)), "it was killed too early");
    shelf.make_one_and_look("a verification");
}
