//! The commands that speak to a service, as a file: what is typed, what is printed, how it ends. And that every command
//! has such cases, here or beside the command: a success, a failure, its help, and its JSON.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{Service, dragons};

/// What has no JSON, and why: scripts and pages for other programs, what puts out what its program does, and what speaks
/// for an agent, which has one line to say.
const WITHOUT_JSON: [&str; 4] = ["attend", "completions", "mcp", "run"];

#[test]
fn commands_do_what_their_file_says() {
    let service = Service::new();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("session.in");
    std::fs::create_dir_all(here.join("greeter/src")).unwrap();
    std::fs::write(here.join("greeter/src/greet.sh"), "echo hello\n").unwrap();
    let programs = dragons().path().parent().unwrap().display();
    let agent = format!("{AGENT}programs_from = [\"{programs}\"]\n");
    std::fs::write(here.join("greeter/agent.toml"), agent).unwrap();
    std::fs::write(here.join("observe.toml"), OBSERVE).unwrap();
    std::fs::write(here.join("seen.csv"), SEEN).unwrap();
    for key in ["operator", "root"] {
        std::fs::copy(service.key(key), here.join(key).with_extension("pem")).unwrap();
    }
    std::fs::copy(service.trust(), here.join("trust.json")).unwrap();
    let session = folder.path().join("session.trycmd");
    std::fs::copy(cases().join("session.trycmd"), &session).unwrap();
    let state = service.scratch("state");
    trycmd::TestCases::new()
        .register_bin("dragons", dragons().path().to_owned())
        .register_bin("sh", PathBuf::from("/bin/sh"))
        .env("PATH", path_with_words(folder.path()))
        .env("DRAGONS_SERVER", service.url())
        .env("XDG_STATE_HOME", state.to_str().unwrap())
        .case(session.to_str().unwrap())
        .run();
    // `TRYCMD=overwrite` writes what was printed; keys, hashes and times in it are to be made `[..]`.
    if std::env::var_os("TRYCMD").is_some() {
        std::fs::copy(&session, cases().join("session.trycmd")).unwrap();
    }
}

#[test]
fn every_command_has_its_cases() {
    let cases = typed();
    let mut missing = Vec::new();
    for command in commands() {
        let mine: Vec<&Case> = cases.iter().filter(|case| case.is_of(&command)).collect();
        let mut want = |what: &str, is_it: &dyn Fn(&&&Case) -> bool| {
            if !mine.iter().any(|case| is_it(&case)) {
                missing.push(format!("{command}: {what}"));
            }
        };
        want("its help", &|case| case.has("--help"));
        want("a success", &|case| case.exit == 0 && !case.has("--help"));
        want("a failure", &|case| case.exit > 0);
        if !WITHOUT_JSON.contains(&command.as_str()) {
            want("JSON", &|case| case.has("--json"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Where programs are found: these, and `lease` and `record`, which take names from what was printed before.
fn path_with_words(folder: &Path) -> String {
    let words = folder.join("words");
    std::fs::create_dir(&words).unwrap();
    let word = |name: &str, script: &str| {
        let path = words.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    };
    let member = |names: &str| format!(r#"sed -n 's/.*"\({names}\)":"\([^"]*\)".*/\2/p'"#);
    word(
        "lease",
        &format!("dragons agent show greeter --json | {}", member("lease")),
    );
    word("record", &format!("{} \"$1\"", member(r"record\|intent")));
    let own = dragons().path().parent().unwrap();
    let system = std::env::var("PATH").unwrap();
    format!("{}:{}:{system}", words.display(), own.display())
}

const OBSERVE: &str = "[[map]]\nsource = \"csv\"\nwhere = { event = \"stuck\" }\nagent = \"greeter\"\nclass = \"stall\"\n";

const SEEN: &str = "ts,agent,event,until\n2026-11-29T20:00:00Z,,stuck,2026-11-29T20:05:00Z\n2026-11-29T21:00:00Z,,odd,\n";

const AGENT: &str = r#"agent = "greeter"
version = "1"
code = ["src"]
config = ["agent.toml"]
ignore = []
capabilities = ["run:*", "read:**"]
max_inflight_ms = 60000
"#;

/// Something typed, and the status that it ends with.
struct Case {
    words: Vec<String>,
    exit: i32,
}

impl Case {
    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|it| it == word)
    }

    /// Options of all commands may stand before the command. A man page's name does not tell `a-b` from `a b`.
    fn is_of(&self, command: &str) -> bool {
        let command: Vec<&str> = command.split([' ', '-']).collect();
        let words: Vec<&str> = self.words.iter().flat_map(|word| word.split('-')).collect();
        words.windows(command.len()).any(|window| window == command)
    }
}

/// Commands with a hyphen in their name: man pages join the words of a command by hyphens.
const HYPHENATED: [&str; 1] = ["prove-state"];

/// The commands at the ends of the tree, by their man pages.
fn commands() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(dragons().path())
        .arg("man")
        .arg(folder.path())
        .status();
    assert!(status.unwrap().success());
    let pages = std::fs::read_dir(folder.path()).unwrap();
    let names: BTreeSet<String> = pages
        .map(|page| {
            page.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .filter_map(|name| {
            name.strip_prefix("dragons-")
                .map(|name| match HYPHENATED.contains(&name) {
                    true => name.to_owned(),
                    false => name.replace('-', " "),
                })
        })
        .collect();
    assert!(names.len() > 20, "{names:?}");
    let is_end = |name: &&String| !names.iter().any(|it| it.starts_with(&format!("{name} ")));
    let is_help = |name: &String| name.split(' ').any(|word| word == "help");
    names
        .iter()
        .filter(is_end)
        .filter(|name| !is_help(name))
        .cloned()
        .collect()
}

fn typed() -> Vec<Case> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/cmd");
    [beside, cases()]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == "trycmd" || end == "toml")
        })
        .flat_map(|path| read(&path))
        .collect()
}

fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    if path.extension().is_some_and(|end| end == "toml") {
        return vec![of_toml(&text)];
    }
    let mut lines = text.lines().peekable();
    let mut cases = Vec::new();
    while let Some(line) = lines.next() {
        let Some(typed) = line.strip_prefix("$ ") else {
            continue;
        };
        let exit = lines.peek().and_then(|line| line.strip_prefix("? "));
        let exit = exit.map_or(0, |exit| exit.parse().unwrap_or(1));
        let typed = typed.replace(['\'', '"', '(', ')'], " ");
        let words = typed.split_whitespace().map(str::to_owned).collect();
        cases.push(Case { words, exit });
    }
    cases
}

/// `args = [...]` and `status.code = N`, of which trycmd's TOML here is made.
fn of_toml(text: &str) -> Case {
    let value = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(" = "));
        lines
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .next()
    };
    let args = value("args").unwrap_or_default();
    let words = args
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    let exit = value("status.code").map_or(0, |code| code.parse().unwrap());
    Case { words, exit }
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cmd")
}
