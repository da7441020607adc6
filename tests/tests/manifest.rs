//! An agent's identity, by the command: the same directory has one hash, what would blur it is refused, one file of it
//! can be proven.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tests::{dragons, read};

const AGENT: &str = "agent = 'a'\nversion = '1'\ncode = ['src']\nconfig = ['agent.toml']\nignore = ['src/cache']\n\
    capabilities = ['read:**']\nmax_inflight_ms = 1000\n[[prompts]]\nname = 'system'\nfile = 'src/prompt.txt'\n";

/// An agent's directory.
fn agent() -> TempDir {
    let directory = TempDir::new().unwrap();
    std::fs::create_dir(directory.path().join("src")).unwrap();
    for (name, content) in [
        ("agent.toml", AGENT),
        ("src/prompt.txt", "Be brief.\n"),
        ("src/main.py", "print('hello')\n"),
    ] {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

fn manifest(words: &[&str], directory: &Path) -> Output {
    let mut command = dragons().command();
    command.arg("manifest").args(words).arg(directory);
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
}

fn hash(directory: &Path) -> String {
    let built = json(&manifest(&["build", "--json"], directory));
    built["manifest_hash"].as_str().unwrap().to_owned()
}

#[test]
fn a_directory_has_one_hash_however_it_was_made_and_is_read() {
    let original = agent();
    let expected = hash(original.path());
    for (umask, locale) in [("077", "C"), ("000", "tr_TR.UTF-8"), ("022", "C.UTF-8")] {
        let copy = TempDir::new().unwrap();
        let script = "umask $0; for file in src/prompt.txt src/main.py agent.toml; do \
            mkdir -p \"$(dirname \"$2/$file\")\"; cat \"$1/$file\" > \"$2/$file\"; touch -d @$(($$ * 1000)) \"$2/$file\"; done; \
            exec \"$3\" --json manifest build \"$2\"";
        let mut sh = Command::new("sh");
        sh.args(["-euc", script, umask]);
        sh.arg(original.path())
            .arg(copy.path())
            .arg(dragons().path());
        let output = sh.env("LC_ALL", locale).env("TZ", "Asia/Kolkata").output();
        assert_eq!(json(&output.unwrap())["manifest_hash"], expected, "{umask}");
    }
    // What is ignored does not count, even where it could not be hashed.
    std::fs::create_dir(original.path().join("src/cache")).unwrap();
    UnixListener::bind(original.path().join("src/cache/socket")).unwrap();
    assert_eq!(hash(original.path()), expected);
    std::fs::write(original.path().join("src/cached"), "").unwrap();
    assert_ne!(hash(original.path()), expected);
}

/// Why a directory is refused, and what makes it so.
type Hostile<'a> = (&'a str, &'a dyn Fn(&Path));

#[test]
fn what_would_blur_an_identity_is_refused_with_its_reason() {
    let write = |path: PathBuf| std::fs::write(path, "").unwrap();
    let hostile: [Hostile; 7] = [
        ("outside the directory", &|src| {
            symlink("../../..", src.join("l")).unwrap();
        }),
        ("outside the directory", &|src| {
            symlink("/etc/hostname", src.join("l")).unwrap();
        }),
        ("neither a file", &|src| {
            let made = Command::new("mkfifo").arg(src.join("pipe")).status();
            assert!(made.unwrap().success());
        }),
        ("neither a file", &|src| {
            UnixListener::bind(src.join("socket")).unwrap();
        }),
        ("normalisation", &|src| {
            write(src.join("caf\u{e9}"));
            write(src.join("cafe\u{301}"));
        }),
        ("normalisation", &|src| {
            for name in ["caf\u{e9}", "cafe\u{301}"] {
                std::fs::create_dir(src.join(name)).unwrap();
                write(src.join(name).join(name.len().to_string()));
            }
        }),
        ("not UTF-8", &|src| {
            write(src.join(std::ffi::OsStr::from_bytes(b"\xc3\x28")));
        }),
    ];
    for (reason, make) in hostile {
        let directory = agent();
        make(&directory.path().join("src"));
        let output = manifest(&["build"], directory.path());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{reason}: {stderr}");
        assert!(stderr.contains(reason), "{reason}: {stderr}");
        assert!(output.stdout.is_empty(), "{reason}");
    }
}

#[test]
fn one_file_is_proven_to_whoever_has_nothing_else() {
    let directory = agent();
    let proof = directory.path().join("proof.json");
    let mut prove = dragons().command();
    prove.args(["manifest", "prove", "src/prompt.txt", "-o"]);
    prove.arg(&proof).arg("--dir").arg(directory.path());
    assert!(prove.status().unwrap().success());
    let checked = json(&manifest(&["check", "--json"], &proof));
    assert_eq!(checked["manifest_hash"], hash(directory.path()).as_str());
    assert_eq!(checked["path"], "src/prompt.txt");
    let mut sum = Command::new("sha256sum");
    let sum = sum.arg(directory.path().join("src/prompt.txt")).output();
    let sum = String::from_utf8(sum.unwrap().stdout).unwrap();
    let content = checked["content"].as_str().unwrap();
    assert_eq!(content.strip_prefix("sha256:"), sum.split(' ').next());

    let forged = read(&proof).replace("src/prompt.txt", "src/prompt.text");
    std::fs::write(&proof, forged).unwrap();
    assert_eq!(manifest(&["check"], &proof).status.code(), Some(1));
}

#[test]
fn versions_differ_by_group_for_people_and_for_programs() {
    let (old, new) = (agent(), agent());
    std::fs::write(new.path().join("src/prompt.txt"), "Be kind.\n").unwrap();
    std::fs::write(
        new.path().join("agent.toml"),
        AGENT.replace("read:**", "read:books"),
    )
    .unwrap();
    let diff = |words: &[&str]| {
        let mut command = dragons().command();
        command.args(["manifest", "diff"]).args(words);
        let output = command.arg(old.path()).arg(new.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let told: Vec<Value> = diff(&["--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let groups = [
        ("code", "src/prompt.txt"),
        ("config", "agent.toml"),
        ("prompts", "system"),
        ("capabilities", "read:**"),
        ("capabilities", "read:books"),
    ];
    let text = diff(&[]);
    let mut lines = text.lines().skip(1);
    assert_eq!(told.len(), groups.len());
    for (one, (group, name)) in told.iter().zip(groups) {
        assert_eq!((&one["group"], &one["name"]), (&group.into(), &name.into()));
        let words: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(words[..2], [group, name]);
    }
}

#[test]
fn a_bar_is_for_terminals_alone() {
    let directory = agent();
    std::fs::write(directory.path().join("src/large"), vec![7; 3_000_000]).unwrap();
    let output = manifest(&["build"], directory.path());
    assert!(output.stderr.is_empty());
    let line = format!(
        "{} manifest build {}",
        dragons().path().display(),
        directory.path().display()
    );
    let mut script = Command::new("script");
    let typed = script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let typed = typed.env("TERM", "xterm").output().unwrap();
    let shown = String::from_utf8(typed.stdout).unwrap();
    assert!(shown.contains("of 2.86 MiB"), "{shown}");
}
