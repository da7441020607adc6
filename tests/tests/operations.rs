//! The recipes of `docs/operations.md`: each command as it is there, on a log that is set up as the page says.
//!
//! Paths of the page lie below the folder of the test, and the service has an address of its own. `systemctl` is a script.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::{ORIGIN, SetClock, dragons, dragonsd, own_address, read};

/// Where the page says that things are.
const PLACES: [&str; 5] = ["/etc/dragons", "/var/", "/mnt/", "/usr/local/bin", "/srv/"];

/// Where the page says that the service listens.
const ADDRESS: &str = "127.0.0.1:7117";

const SYSTEMCTL: &str = r#"#!/bin/bash
# Starts and stops one service, and comes back when that is done.
set -eu
root=ROOT
start() {
  : > "$root/stdout"
  ${WIND:+env $WIND} "$root/usr/local/bin/dragonsd" serve --config "$root/etc/dragons/dragonsd.toml" --metrics 127.0.0.1:0 > "$root/stdout" 2> "$root/stderr" < /dev/null &
  pid=$!
  echo "$pid" > "$root/pid"
  until grep -q '^listening' "$root/stdout"; do
    kill -0 "$pid" 2> /dev/null || { cat "$root/stderr" >&2; exit 1; }
    sleep 0.05
  done
}
stop() {
  [[ -e $root/pid ]] || return 0
  pid=$(cat "$root/pid")
  rm "$root/pid"
  kill "$pid" 2> /dev/null || return 0
  tail --pid="$pid" -f /dev/null
}
case "$1" in
  start) start ;;
  stop) stop ;;
  restart) stop; start ;;
esac
"#;

/// A service as the page takes it to be set up, and an operator's folder.
struct Setup {
    folder: tempfile::TempDir,
    address: String,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("{}:7117", own_address());
        let setup = Self { folder, address };
        for place in [
            "etc/dragons/keys",
            "var/lib/dragons",
            "var/backups",
            "var/tmp",
            "mnt/second",
            "mnt/larger",
            "usr/local/bin",
            "home/greeter/src",
        ] {
            fs::create_dir_all(setup.root().join(place)).unwrap();
        }
        setup.install();
        setup.make_log();
        setup.follow("systemctl start dragonsd");
        setup.enlist();
        setup
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    fn install(&self) {
        let bin = self.root().join("usr/local/bin");
        symlink(dragons().path(), bin.join("dragons")).unwrap();
        fs::copy(dragonsd().path(), bin.join("dragonsd")).unwrap();
        let systemctl = bin.join("systemctl");
        let root = self.root().to_str().unwrap();
        fs::write(&systemctl, SYSTEMCTL.replace("ROOT", root)).unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn make_log(&self) {
        let keys = self.root().join("etc/dragons/keys");
        let data = self.root().join("var/lib/dragons/log");
        let paths = [&data, &keys].map(|path| path.to_str().unwrap());
        dragonsd().succeed([
            "init", "--data", paths[0], "--keys", paths[1], "--origin", ORIGIN,
        ]);
        for key in ["root.pem", "operator.pem", "observer.pem"] {
            fs::rename(keys.join(key), self.home().join(key)).unwrap();
        }
        fs::copy(data.join("trust.json"), self.home().join("trust.json")).unwrap();
        let settings = format!(
            "data = \"/var/lib/dragons/log\"\nkeys = \"/etc/dragons/keys\"\nlisten = \"{ADDRESS}\"\nanchor = \"/mnt/second/anchor\"\n"
        );
        let file = self.root().join("etc/dragons/dragonsd.toml");
        fs::write(file, self.placed(&settings)).unwrap();
    }

    /// An agent, for what is done to agents.
    fn enlist(&self) {
        let agent = self.home().join("greeter");
        fs::write(agent.join("src/greet.sh"), "echo hello\n").unwrap();
        let toml = "agent = \"greeter\"\nversion = \"1\"\ncode = [\"src\"]\nconfig = [\"agent.toml\"]\nignore = []\n\
                    capabilities = [\"run:*\"]\nmax_inflight_ms = 60000\n";
        fs::write(agent.join("agent.toml"), toml).unwrap();
        self.follow(
            "dragons keygen --name greeter --out agent.pem\n\
             dragons manifest register greeter --key operator.pem --agent-key agent.pem --trust trust.json",
        );
    }

    /// The commands of a recipe with the paths and the port of this test.
    fn placed(&self, text: &str) -> String {
        let root = self.root().to_str().unwrap();
        let placed = PLACES.iter().fold(text.to_owned(), |text, place| {
            text.replace(place, &format!("{root}{place}"))
        });
        placed.replace(ADDRESS, &self.address)
    }

    fn try_follow(&self, script: &str, environment: &[(&str, &str)]) -> Output {
        let bin = self.root().join("usr/local/bin");
        let path = std::env::var("PATH").unwrap();
        let mut bash = Command::new("bash");
        bash.arg("-euxo")
            .arg("pipefail")
            .arg("-c")
            .arg(self.placed(script));
        bash.current_dir(self.home());
        bash.env("PATH", format!("{}:{path}", bin.display()));
        bash.env("DRAGONS_SERVER", format!("http://{}", self.address));
        bash.env("XDG_STATE_HOME", self.root().join("state"));
        bash.envs(environment.iter().copied());
        bash.output().unwrap()
    }

    fn follow(&self, script: &str) -> String {
        let output = self.try_follow(script, &[]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{script}\n{out}\n{err}");
        out
    }

    /// The commands under a heading of the page, from its first block to its last.
    fn recipe(&self, heading: &str) -> String {
        self.follow(&recipe(heading))
    }

    fn checkpoint(&self) -> String {
        self.follow("curl -fsS http://127.0.0.1:7117/checkpoint")
    }

    fn size(&self) -> u64 {
        self.checkpoint().lines().nth(1).unwrap().parse().unwrap()
    }

    /// Something is logged, and whoever has the trust file can verify all of it.
    fn goes_on(&self, operator: &str) {
        let size = self.size();
        self.follow(&format!(
            "dragons lease grant greeter --allow run:greet --for 1h --key {operator} --trust trust.json\n\
             rm -f all.pack.jsonl; dragons export -o all.pack.jsonl --trust trust.json\n\
             dragons verify all.pack.jsonl --trust trust.json"
        ));
        assert!(self.size() > size);
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.try_follow("systemctl stop dragonsd", &[]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn recipe(heading: &str) -> String {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md"));
    let title = format!("\n### {heading}\n");
    let (_, section) = page
        .split_once(&title)
        .unwrap_or_else(|| panic!("no recipe {heading}"));
    let section = section.split("\n### ").next().unwrap();
    let mut commands = Vec::new();
    for block in section.split("```console\n").skip(1) {
        let lines = block.lines().take_while(|line| !line.starts_with("```"));
        commands.extend(lines.map(|line| line.strip_prefix("$ ").expect("a command").to_owned()));
    }
    assert!(!commands.is_empty(), "{heading} has no commands");
    commands.join("\n")
}

#[test]
fn upgrade() {
    let setup = Setup::new();
    fs::copy(dragonsd().path(), setup.home().join("dragonsd")).unwrap();
    setup.recipe("Upgrade");
    setup.goes_on("operator.pem");
}

#[test]
fn move_to_another_machine() {
    let setup = Setup::new();
    let size = setup.size();
    setup.recipe("Move to another machine");
    assert!(setup.size() > size);
    setup.goes_on("operator.pem");
}

#[test]
fn replace_the_keys_of_the_service() {
    let setup = Setup::new();
    setup.recipe("Replace the log key");
    setup.goes_on("operator.pem");
    setup.follow("rm next.charter.json");
    setup.recipe("Replace the control key");
    setup.goes_on("operator.pem");
}

#[test]
fn replace_the_keys_of_people_and_agents() {
    let setup = Setup::new();
    setup.recipe("Replace the key of an agent");
    let agent = "dragons agent show greeter --json --trust trust.json";
    let leased = setup.follow(agent);
    assert!(leased.contains("\"lease\":\"sha256:"), "{leased}");
    setup.recipe("Replace the key of an operator or an observer");
    assert!(setup.follow(agent).contains("\"quarantined\""));
    let grant = "dragons lease grant greeter --allow run:greet --for 1h --key operator.pem --trust trust.json";
    let refused = setup.try_follow(grant, &[]);
    assert!(!refused.status.success(), "the old key counts no more");
    setup.follow("rm next.charter.json");
    setup.recipe("Replace the key of a root");
    setup.goes_on("new-operator.pem");
    let next = "rm next.charter.json; dragons charter amend --mode observe -o next.charter.json --trust trust.json";
    setup.follow(next);
    let sign = "dragons charter sign next.charter.json --key root.pem --trust trust.json";
    assert!(!setup.try_follow(sign, &[]).status.success());
    setup.follow(&sign.replace("root.pem", "new-root.pem"));
}

#[test]
fn the_disk_is_full() {
    let setup = Setup::new();
    let settings = setup.root().join("etc/dragons/dragonsd.toml");
    let sound = read(&settings);
    setup.follow("systemctl stop dragonsd");
    fs::write(
        &settings,
        format!("{sound}min_free_bytes = 4503599627370495\n"),
    )
    .unwrap();
    setup.follow("systemctl start dragonsd");
    let ready = "curl -fsS http://127.0.0.1:7117/readyz";
    assert!(!setup.try_follow(ready, &[]).status.success());
    fs::write(&settings, sound).unwrap();
    setup.recipe("The disk is full");
    setup.goes_on("operator.pem");
}

#[test]
fn the_clock_was_ahead() {
    let setup = Setup::new();
    setup.follow("systemctl stop dragonsd");
    let clock = SetClock::new(setup.root());
    clock.set(6 * 24 * 60 * 60 * 1_000, 0);
    let mut wound = Command::new("true");
    clock.wind(&mut wound);
    let wind: Vec<String> = wound
        .get_envs()
        .map(|(name, value)| {
            format!(
                "{}={}",
                name.to_str().unwrap(),
                value.unwrap().to_str().unwrap()
            )
        })
        .collect();
    // An operator's word is the second voice, or somebody accepts the jump: here the setting does.
    let settings = setup.root().join("etc/dragons/dragonsd.toml");
    let sound = read(&settings);
    fs::write(&settings, format!("{sound}accept_clock_jump = true\n")).unwrap();
    let wound = setup.try_follow("systemctl start dragonsd", &[("WIND", &wind.join(" "))]);
    assert!(wound.status.success(), "{}", text(&wound.stderr));
    setup.follow("systemctl stop dragonsd");
    fs::write(&settings, sound).unwrap();
    let refused = setup.try_follow("systemctl start dragonsd", &[]);
    assert!(
        text(&refused.stderr).contains("behind the last leaf"),
        "{}",
        text(&refused.stderr)
    );
    setup.recipe("The clock was ahead");
    let grant = "dragons lease grant greeter --allow run:greet --for 1h --key operator.pem --trust trust.json";
    setup.follow(grant);
    setup.follow("dragons export -o all.pack.jsonl --trust trust.json");
    let verified = setup.try_follow("dragons verify all.pack.jsonl --trust trust.json", &[]);
    let report = text(&verified.stdout);
    // Days of which nobody knows anything, and nothing else.
    let breaches: Vec<&str> = report
        .lines()
        .filter(|line| line.starts_with("breach"))
        .collect();
    assert_eq!(breaches.len(), 1, "{report}");
    assert!(breaches[0].starts_with("breach control-gap"), "{report}");
}

#[test]
fn a_lost_anchor() {
    let setup = Setup::new();
    let anchor = setup.root().join("mnt/second/anchor");
    fs::write(&anchor, "scratched\n").unwrap();
    let said = setup.recipe("A lost anchor");
    assert!(said.contains(ORIGIN), "{said}");
    setup.goes_on("operator.pem");
}

#[test]
fn restore_a_backup() {
    let setup = Setup::new();
    setup.follow(
        "systemctl stop dragonsd\n\
         dragonsd backup create --data /var/lib/dragons/log --to /var/backups/dragons",
    );
    let size = setup.root().join("mnt/second/anchor");
    let anchored = read(&size);
    setup.recipe("Restore a backup");
    assert!(setup.size() > anchored.lines().nth(1).unwrap().parse().unwrap());
    setup.goes_on("operator.pem");
    // Once more: the log has gone on behind that backup.
    let again = recipe("Restore a backup").replace("log.broken", "log.broken-again");
    let refused = setup.try_follow(&again, &[]);
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    assert!(said.contains("are missing: they were published"), "{said}");
}

/// Each recipe that the page has is run by one of the tests above.
#[test]
fn no_recipe_is_left_out() {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md"));
    let (_, recipes) = page.split_once("\n## Recipes\n").unwrap();
    let here = include_str!("operations.rs");
    for title in recipes.lines().filter_map(|line| line.strip_prefix("### ")) {
        assert!(here.contains(&format!("\"{title}\"")), "{title} is not run");
    }
}
