//! The program as a process: what it prints, what it refuses, how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn dragonsd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dragonsd"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// The command that serves a log, on ports that the system picks.
fn serve(data: &Path, more: &[&str]) -> Command {
    let data = data.to_str().unwrap();
    let ports = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    dragonsd(&[&["serve", "--data", data], &ports[..], more].concat())
}

fn run(arguments: &[&str]) -> Output {
    dragonsd(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn founded() -> Self {
        let folder = Self::new();
        let output = folder.init(&[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        folder
    }

    fn init(&self, more: &[&str]) -> Output {
        let data = self.data();
        let arguments = [
            "init",
            "--data",
            data.to_str().unwrap(),
            "--origin",
            "log.example/p",
        ];
        run(&[&arguments, more].concat())
    }

    fn fsck(&self) -> Output {
        run(&["fsck", "--data", self.data().to_str().unwrap()])
    }
}

/// A service that is ready. It is killed if a test ends before it.
struct Service {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Service {
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut child = serve(data, more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://");
        let address = address
            .unwrap_or_else(|| panic!("not ready: {line:?}"))
            .to_owned();
        Self {
            child,
            stdout,
            address,
        }
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{request}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        ))
    }

    /// Waits for a size of the log: the pulse of a start may come a moment after the service listens.
    fn reach(&self, size: u64) {
        loop {
            let answer = self.get("/checkpoint");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            if answer.contains(&format!("\nlog.example/p\n{size}\n")) {
                return;
            }
        }
    }

    /// Sends a signal and gives back how the process ended, and what else it said on stdout.
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Gone already if the test got to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn init_prints_the_fingerprint_and_no_key() {
    let folder = Folder::new();
    let output = folder.init(&["--mode", "observe"]);
    assert!(output.status.success());
    let fingerprint = text(&output.stdout).trim_end();
    let trust = std::fs::read_to_string(folder.data().join("trust.json")).unwrap();
    assert!(fingerprint.starts_with("sha256:") && trust.contains(fingerprint));
    for name in ["root", "operator", "control", "observer", "log"] {
        let pem = folder.data().join("keys").join(format!("{name}.pem"));
        let pem = std::fs::read_to_string(pem).unwrap();
        let secret = pem.lines().nth(1).unwrap();
        for printed in [&output.stdout, &output.stderr] {
            assert!(!text(printed).contains(secret), "{name}");
        }
    }
    let again = folder.init(&[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        text(&again.stderr).contains("already"),
        "{}",
        text(&again.stderr)
    );
}

#[test]
fn serve_refuses_what_init_did_not_make() {
    let folder = Folder::new();
    std::fs::create_dir(folder.data()).unwrap();
    let refused = serve(&folder.data(), &[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("init"),
        "{}",
        text(&refused.stderr)
    );
    assert!(refused.stdout.is_empty());
}

#[test]
fn a_signal_ends_it_in_good_order_and_the_store_is_sound() {
    let folder = Folder::founded();
    for (signal, size) in [(Signal::TERM, 2), (Signal::INT, 3)] {
        let service = Service::start(&folder.data(), &[]);
        service.reach(size);
        assert_eq!(service.end(signal), (Some(0), String::new()));
    }
    let checked = folder.fsck();
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    assert!(
        text(&checked.stderr).contains("3 leaves"),
        "{}",
        text(&checked.stderr)
    );
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let folder = Folder::founded();
    let service = Service::start(&folder.data(), &[]);
    let second = serve(&folder.data(), &[]).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(
        text(&second.stderr).contains("another process"),
        "{}",
        text(&second.stderr)
    );
    assert_eq!(
        folder.fsck().status.code(),
        Some(2),
        "nothing can be decided while it is open"
    );
    assert_eq!(service.end(Signal::TERM).0, Some(0));
}

#[test]
fn a_disk_that_is_nearly_full_is_read_from() {
    let folder = Folder::founded();
    let most = "9223372036854775807";
    let reserves = ["--min-free-bytes", most, "--reserve-bytes", most];
    let service = Service::start(&folder.data(), &reserves);
    assert!(service.get("/checkpoint").contains("\nlog.example/p\n1\n"));
    assert_eq!(service.end(Signal::TERM).0, Some(0));
}

#[test]
fn dev_makes_a_log_once() {
    let folder = Folder::new();
    let service = Service::start(&folder.data(), &["--dev"]);
    assert!(service.get("/checkpoint").starts_with("HTTP/1.1 200"));
    assert_eq!(service.end(Signal::TERM).0, Some(0));
    let trust = std::fs::read(folder.data().join("trust.json")).unwrap();
    let service = Service::start(&folder.data(), &["--dev"]);
    assert_eq!(service.end(Signal::TERM).0, Some(0));
    assert_eq!(
        std::fs::read(folder.data().join("trust.json")).unwrap(),
        trust
    );
}

#[test]
fn config_prints_what_is_in_force() {
    let folder = Folder::new();
    let file = folder.0.path().join("dragonsd.toml");
    std::fs::write(&file, "data = \"from-file\"\nqueue = 7\n").unwrap();
    let file = file.to_str().unwrap();
    let mut command = dragonsd(&["config", "--config", file, "--listen", "127.0.0.1:1"]);
    let output = command.env("DRAGONSD_QUEUE", "9").output().unwrap();
    let printed = text(&output.stdout);
    for line in [
        "data = \"from-file\"",
        "queue = 9",
        "listen = \"127.0.0.1:1\"",
    ] {
        assert!(printed.contains(line), "{printed}{}", text(&output.stderr));
    }
    let mut command = dragonsd(&["config", "--config", file]);
    let output = command.env("DRAGONSD_LISSTEN", "x").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("lissten"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn fsck_tells_damage_from_what_it_cannot_decide() {
    let folder = Folder::founded();
    let trust = folder.data().join("trust.json");
    let text_of_trust = std::fs::read_to_string(&trust).unwrap();
    let charter = text_of_trust.split("sha256:").nth(1).unwrap()[..64].to_owned();
    std::fs::write(&trust, text_of_trust.replace(&charter, &"0".repeat(64))).unwrap();
    let checked = folder.fsck();
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked.stdout).contains("the trust names charter"));
    std::fs::remove_file(&trust).unwrap();
    assert_eq!(folder.fsck().status.code(), Some(2));
}
