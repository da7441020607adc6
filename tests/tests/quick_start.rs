//! The commands of `docs/quick-start.md`, in their order, as they stand there.

use std::path::Path;
use std::process::{Command, Output};

use tests::{dragons, dragonsd, read};

/// Where the page says that the service listens. The test lets it take a free port.
const ADDRESS: &str = "http://127.0.0.1:7117";

/// Beside the reader's first terminal: the service, until the script ends.
const SERVE: &str = "exec 3< <(exec dragonsd serve --data log --listen 127.0.0.1:0 --metrics 127.0.0.1:0 2>serve.log)
trap \"kill $!\" EXIT
read -r listening <&3";

#[test]
fn the_steps_lead_to_evidence_that_holds() {
    let folder = tempfile::tempdir().unwrap();
    let output = follow(&steps(), folder.path());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for line in ["hello\n", "refused\n", "  stopped\n"] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert_eq!(out.matches("\nlogged\n").count(), 1, "{out}");
    assert_eq!(out.matches("\nverified\n").count(), 1, "{out}");
    assert!(err.contains("scope-denied"), "{err}");
}

/// All commands but those that build, with the lines of their documents.
fn steps() -> Vec<String> {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/quick-start.md"));
    let blocks = page.split("```console\n").skip(2);
    blocks.flat_map(commands).collect()
}

/// The commands of a block; what they print is left out.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut is_document = false;
    for line in block.lines().take_while(|line| !line.starts_with("```")) {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push(command.to_owned()),
            (None, Some(command)) if is_document => *command += &format!("\n{line}"),
            _ => {}
        }
        is_document = (is_document || line.ends_with("<<'TOML'")) && line != "TOML";
    }
    commands
}

fn follow(steps: &[String], folder: &Path) -> Output {
    let replaced = |step: &String| match step.as_str() {
        "dragonsd serve --data log" => SERVE.to_owned(),
        step => step.replace(ADDRESS, "${listening#listening on }"),
    };
    let steps: Vec<String> = steps.iter().map(replaced).collect();
    let programs = [dragons(), dragonsd()].map(|program| program.path().parent().unwrap());
    let path = std::env::var("PATH").unwrap();
    let mut bash = Command::new("bash");
    bash.arg("-euc").arg(steps.join("\n")).current_dir(folder);
    bash.env("XDG_STATE_HOME", folder.join("state"));
    bash.env("PATH", format!("{}:{path}", programs[0].display()));
    assert_eq!(programs[0], programs[1], "both lie in one folder");
    bash.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
