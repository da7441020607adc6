//! A server of tools that was written by hand, and a client of it: directly, or through `dragons mcp`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::World;

/// The command line of the server of tests/mcp/server.py.
///
/// # Panics
/// If its path is not UTF-8.
pub fn tool_server(arguments: &[&str]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp/server.py");
    let script = script.to_str().expect("UTF-8").to_owned();
    let words = ["python3".to_owned(), script].into_iter();
    words
        .chain(arguments.iter().map(|word| (*word).to_owned()))
        .collect()
}

/// An agent that may call the tools of the server `s`, but for one.
pub fn tools_world(charter: &str) -> World {
    let world = World::with_charter(charter, 60_000);
    world.write("agent.toml", &agent_toml());
    world.register();
    grant_tools(&world);
    world
}

fn agent_toml() -> String {
    "agent = \"worker\"\nversion = \"2\"\ncode = [\"src\"]\nconfig = []\nignore = []\n\
     capabilities = [\"run:*\", \"call:**\"]\nmax_inflight_ms = 60000\n"
        .to_owned()
}

/// Grants a lease for the version that is registered.
pub fn grant_tools(world: &World) {
    let words = [
        "lease",
        "grant",
        "worker",
        "--key",
        "OPERATOR",
        "--allow",
        "call:s/*",
        "run:*",
        "--deny",
        "call:s/remove+20file",
    ];
    world.succeed(world.dragons(&words));
}

/// A client of a server, or of the proxy before it.
#[derive(Debug)]
pub struct ToolClient {
    /// The server, or the proxy.
    pub child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl ToolClient {
    /// Starts it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("a program that starts");
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
        }
    }

    /// Says a line.
    ///
    /// # Panics
    /// If nobody reads it.
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it is not closed");
        writeln!(stdin, "{line}").expect("a server that reads");
    }

    /// The next line.
    ///
    /// # Panics
    /// If there is none.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("UTF-8");
        assert_ne!(line, "", "{}", self.stderr());
        line
    }

    /// What the server says until the answer to this has come. What it asks itself is answered.
    ///
    /// # Panics
    /// If none comes.
    pub fn ask(&mut self, line: &str) -> Vec<String> {
        self.say(line);
        let asked: Value = serde_json::from_str(line).expect("JSON");
        let mut heard = Vec::new();
        // A notification has no answer.
        if asked.is_object() && asked.get("id").is_none() {
            return heard;
        }
        loop {
            heard.push(self.hear());
            let said: Value = serde_json::from_str(heard.last().expect("a line")).expect("JSON");
            if said["method"] == "sampling/createMessage" {
                self.say(r#"{"jsonrpc":"2.0","id":0,"result":{"role":"assistant","content":{"type":"text","text":"yes"}}}"#);
            } else if said.get("method").is_none() {
                return heard;
            }
        }
    }

    /// The answer to a call of a tool without arguments.
    ///
    /// # Panics
    /// If none comes.
    pub fn call(&mut self, id: u32, tool: &str) -> Value {
        let line =
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
        serde_json::from_str(self.ask(&line.to_string()).last().expect("an answer")).expect("JSON")
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.stdin.take();
        let mut stderr = self.child.stderr.take().expect("it is read once");
        stderr.read_to_string(&mut text).expect("UTF-8");
        text
    }

    /// The client goes; what the server ended with, and what was said on stderr.
    ///
    /// # Panics
    /// If it does not end.
    pub fn end(mut self) -> (Option<i32>, String) {
        let stderr = self.stderr();
        (self.child.wait().expect("an end").code(), stderr)
    }
}

/// A client of the server itself.
pub fn direct(arguments: &[&str]) -> ToolClient {
    let words = tool_server(arguments);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    ToolClient::start(command)
}

/// The proxy before the server.
pub fn proxy(world: &World, options: &[&str], arguments: &[&str]) -> Command {
    let words = tool_server(arguments);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let common = [
        "mcp", "--agent", "worker", "--dir", "DIR", "--key", "KEY", "--trust", "TRUST", "--name",
        "s",
    ];
    let mut command = world.dragons(&[&common, options, &["--"], &words].concat());
    command.env("XDG_RUNTIME_DIR", runtime(world));
    command
}

/// Where sockets are.
///
/// # Panics
/// If it cannot be made.
pub fn runtime(world: &World) -> PathBuf {
    let folder = world.service.scratch("runtime");
    std::fs::create_dir_all(&folder).expect("a directory");
    folder
}

/// A client of the proxy before the server.
pub fn proxied(world: &World, arguments: &[&str]) -> ToolClient {
    ToolClient::start(proxy(world, &[], arguments))
}

/// The scopes of all intents.
///
/// # Panics
/// If one has none.
pub fn scopes(world: &World) -> Vec<String> {
    let intents = world.receipts("intent").into_iter();
    intents
        .map(|intent| intent["scope"].as_str().expect("a scope").to_owned())
        .collect()
}
