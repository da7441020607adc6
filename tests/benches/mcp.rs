//! What a call of a tool costs behind `dragons mcp`, in release: `make bench-mcp`. It prints and judges nothing.
//!
//! A call behind the proxy waits for the log's answer to its intent, so that answer is timed alone too, over the same
//! socket: what is left is the proxy's own.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tests::World;

/// How many calls are timed.
const CALLS: usize = 300;

fn main() {
    let world = world();
    let mut direct = Server::start(server());
    let mut proxied = Server::start(proxy(&world));
    proxied.call(0);
    let mut socket = Socket::at(&runtime(&world).join("dragons/worker/socket"));
    // One of each in turn, so that all meet the machine in the same mood.
    let (mut calls, mut asks, mut governed) = (Vec::new(), Vec::new(), Vec::new());
    for id in 1..=CALLS {
        calls.push(direct.call(id));
        asks.push(socket.intent());
        governed.push(proxied.call(id));
    }
    let direct_p50 = latencies("a call, directly", &mut calls);
    let log_p50 = latencies("an intent over the socket, and the log's answer", &mut asks);
    let proxied_p50 = latencies("a call behind dragons mcp", &mut governed);
    println!(
        "the proxy's own share, by the medians: {:.3} ms",
        proxied_p50 - direct_p50 - log_p50
    );
}

fn latencies(what: &str, samples: &mut [Duration]) -> f64 {
    samples.sort_unstable();
    let at = |share: usize| samples[(samples.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("{what:50} p50 {:8.3} ms   p99 {:8.3} ms", at(50), at(99));
    at(50)
}

fn world() -> World {
    let world = World::without_lease(60_000);
    world.write(
        "agent.toml",
        "agent = \"worker\"\nversion = \"2\"\ncode = [\"src\"]\nconfig = []\nignore = []\n\
         capabilities = [\"call:**\"]\nmax_inflight_ms = 60000\n",
    );
    world.register();
    let grant = [
        "lease", "grant", "worker", "--key", "OPERATOR", "--allow", "call:s/*",
    ];
    world.succeed(world.dragons(&grant));
    world
}

fn runtime(world: &World) -> PathBuf {
    let folder = world.service.scratch("runtime");
    std::fs::create_dir_all(&folder).expect("a directory");
    folder
}

fn script() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp/server.py");
    script.to_str().expect("UTF-8").to_owned()
}

fn server() -> Command {
    let mut command = Command::new("python3");
    command.arg(script());
    command
}

fn proxy(world: &World) -> Command {
    let common = [
        "mcp", "--agent", "worker", "--dir", "DIR", "--key", "KEY", "--trust", "TRUST",
    ];
    let script = script();
    let server = ["--name", "s", "--", "python3", script.as_str()];
    let mut command = world.dragons(&[&common[..], &server].concat());
    command.env("XDG_RUNTIME_DIR", runtime(world));
    command
}

struct Server {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("a program that starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self {
            child,
            stdin,
            stdout,
        }
    }

    fn call(&mut self, id: usize) -> Duration {
        let params = r#"{"name":"echo","arguments":{"text":"hello"}}"#;
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{params}}}"
        );
        timed(&mut self.stdin, &mut self.stdout, &line)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Socket {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Socket {
    fn at(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("somebody who speaks");
        let answers = BufReader::new(stream.try_clone().expect("a stream"));
        Self { stream, answers }
    }

    /// An intent as the proxy asks for it; its result is not timed.
    fn intent(&mut self) -> Duration {
        let intent = r#"{"intent":{"scope":"call:s/echo","inputs":{"arguments":"{}"}}}"#;
        let took = timed(&mut self.stream, &mut self.answers, intent);
        timed(&mut self.stream, &mut self.answers, r#"{"result":{}}"#);
        took
    }
}

fn timed(to: &mut impl Write, from: &mut impl BufRead, line: &str) -> Duration {
    let began = Instant::now();
    to.write_all(format!("{line}\n").as_bytes())
        .expect("somebody who reads");
    let mut answer = String::new();
    from.read_line(&mut answer).expect("an answer");
    assert!(
        answer.contains("\"ok\":true") || answer.contains("\"result\""),
        "{answer}"
    );
    began.elapsed()
}
