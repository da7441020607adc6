//! The examples that need nothing but the programs, as they stand in `examples/`; `make examples` runs all of them.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use tests::{dragons, dragonsd, stderr};

/// The PATH of whoever has installed the programs.
fn path() -> OsString {
    let bins = [dragons().path(), dragonsd().path()].map(|program| program.parent().unwrap());
    let path = std::env::var_os("PATH").unwrap();
    let bins = bins.map(Path::to_path_buf).into_iter();
    std::env::join_paths(bins.chain(std::env::split_paths(&path))).unwrap()
}

/// Runs an example, which has to end well, to say these lines, and to end with evidence that is verified.
fn check(name: &str, lines: &[&str]) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut command = Command::new("bash");
    command
        .arg(examples.join(name).join("run.sh"))
        .env("PATH", path())
        .env_remove("ANTHROPIC_API_KEY")
        .env_remove("EXAMPLE_DIR");
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{out}\n{}", stderr(&output));
    for line in lines.iter().chain(&["verified"]) {
        assert!(out.lines().any(|said| said == *line), "{line}\n{out}");
    }
    let readme = std::fs::read_to_string(examples.join(name).join("README.md")).unwrap();
    assert!(readme.contains("run.sh"), "it says how it is run");
}

#[test]
fn a_cron_job() {
    check("cron-job", &["packed 1 files"]);
}

#[test]
fn a_python_daemon() {
    let lines = ["rent: 700", "payroll: scope-denied", "rent: 750"];
    check("python-daemon", &lines);
}

#[test]
fn an_mcp_server_behind_the_proxy() {
    let lines = ["tools: ['look', 'close']", "look: ok: 700"];
    check("mcp-server", &lines);
}

#[test]
fn claude_code_under_hooks() {
    let lines = [
        "PreToolUse: 0",
        "PreToolUse: 2",
        "PostToolUse: 0",
        "Stop: 0",
        "SessionEnd: 0",
    ];
    check("claude-code", &lines);
}

/// The commands of docs/adopt.md that come before everything else, and the first that follows, as they stand there.
#[test]
fn the_first_steps_of_adopting() {
    let document = include_str!("../../docs/adopt.md");
    let blocks = document.split("```console\n").skip(1).take(3);
    let commands = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    let commands = commands.filter_map(|line| line.trim().strip_prefix("$ "));
    let mut script = "set -eu\nmkdir clerk\necho 'echo packed' >clerk/backup.sh\n".to_owned();
    for command in commands {
        script += &match command {
            "dragonsd serve --data log" => format!(
                "exec {{said}}< <(exec {command} --listen 127.0.0.1:0 --metrics 127.0.0.1:0)\n\
                 trap \"kill $!\" EXIT\nread -r line <&$said\nexport DRAGONS_SERVER=${{line#listening on }}\n"
            ),
            command => format!("{command}\n"),
        };
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("bash");
    command
        .args(["-c", &script])
        .current_dir(&folder)
        .env("PATH", path())
        .env("XDG_STATE_HOME", folder.path().join("state"));
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{out}\n{}", stderr(&output));
    assert!(out.lines().any(|line| line == "packed"), "{out}");
    assert!(folder.path().join("next.charter.json").exists());
}
