//! A shell of an operator, an agent or an auditor: command lines against a live service.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{Service, dragons};

/// A service, and a shell that talks to it.
#[derive(Debug)]
pub struct Shell {
    /// The service.
    pub service: Service,
}

impl Shell {
    /// A new log, and the directory and the key of an agent called greeter.
    ///
    /// # Panics
    /// If something of it fails.
    pub fn new() -> Self {
        Self::over(Service::new())
    }

    /// A shell that talks to a service, with the directory and the key of an agent called greeter.
    ///
    /// # Panics
    /// If something of it fails.
    pub fn over(service: Service) -> Self {
        let shell = Self { service };
        let directory = shell.service.scratch("greeter/src");
        std::fs::create_dir_all(&directory).expect("a directory");
        std::fs::write(directory.join("greet.sh"), "echo hello\n").expect("a file");
        std::fs::write(
            shell.service.scratch("greeter/agent.toml"),
            "agent = \"greeter\"\nversion = \"1\"\ncode = [\"src\"]\nconfig = [\"agent.toml\"]\n\
             ignore = []\ncapabilities = [\"run:*\"]\nmax_inflight_ms = 60000\n",
        )
        .expect("a file");
        shell.succeed("keygen --name greeter --out AGENT");
        shell
    }

    /// A command line in which a few words stand for files of this test: those in capitals, and `@name` for any other.
    pub fn command(&self, line: &str) -> Command {
        let service = &self.service;
        let mut command = dragons().command();
        command
            .env("DRAGONS_SERVER", service.url())
            .env("NO_COLOR", "1");
        command.env("XDG_STATE_HOME", service.scratch("state"));
        if signs(line) && !line.contains("--trust") {
            command.arg("--trust").arg(service.trust());
        }
        for word in line.split_whitespace() {
            match word {
                "AGENT" => command.arg(service.scratch("agent.pem")),
                "OPERATOR" => command.arg(service.key("operator")),
                "ROOT" => command.arg(service.key("root")),
                "CONTROL" => command.arg(service.key("control")),
                "DIR" => command.arg(service.scratch("greeter")),
                "TRUST" => command.arg(service.trust()),
                "PROOF" => command.arg(service.scratch("lease.tlog-proof")),
                word => match word.strip_prefix('@') {
                    Some(file) => command.arg(service.scratch(file)),
                    None => command.arg(word),
                },
            };
        }
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("dragons starts")
    }

    /// Runs it, which must succeed, and gives what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn succeed(&self, line: &str) -> String {
        let output = self.run(line);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{line}: {}\n{stderr}",
            output.status
        );
        String::from_utf8(output.stdout).expect("UTF-8 on stdout")
    }

    /// Runs it with `--json`, and reads the one document that it prints.
    ///
    /// # Panics
    /// If it fails, or prints another number of documents.
    pub fn json(&self, line: &str) -> Value {
        let stdout = self.succeed(&format!("{line} --json"));
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{line}: {error}: {stdout}"))
    }

    /// Runs it, and gives its exit code and what it said on stderr.
    ///
    /// # Panics
    /// If it printed what only a command that succeeds prints.
    pub fn fail(&self, line: &str) -> (i32, String) {
        let output = self.run(line);
        assert!(output.stdout.is_empty() || line.contains("--json") || line.starts_with("verify"));
        (
            output.status.code().expect("an exit code"),
            String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
        )
    }

    /// Registers the agent and gives it a lease of an hour.
    ///
    /// # Panics
    /// If either fails.
    pub fn register_and_lease(&self) {
        self.succeed("manifest register DIR --key OPERATOR --agent-key AGENT");
        self.succeed("lease grant greeter --allow run:greet --for 1h --key OPERATOR");
    }
}

/// Whether a command signs something, for which it has to be told which log is the right one.
pub(crate) fn signs(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let groups = [
        "agent",
        "charter",
        "heartbeat",
        "lease",
        "manifest",
        "receipt",
        "run",
    ];
    groups.contains(&first) && line.contains("--key")
}

impl Default for Shell {
    fn default() -> Self {
        Self::new()
    }
}
