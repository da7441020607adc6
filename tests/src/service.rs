//! A `dragonsd` process on a temporary directory.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder, Response};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tlog::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use tlog::note::VerifierKey;
use tlog::policy::Policy;

use crate::{Events, ORIGIN, Process, Signer, dragonsd, own_address, read};

/// More than any agent sends.
const UNLIMITED: u64 = 1 << 40;

/// A running service, and the directory that outlives it.
#[derive(Debug)]
pub struct Service {
    directory: TempDir,
    running: Option<Running>,
    client: Client,
    flags: Vec<String>,
}

#[derive(Debug)]
struct Running {
    process: Child,
    url: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Service {
    /// Makes a log and serves it.
    pub fn new() -> Self {
        Self::with(&[], &[])
    }

    /// Makes a log with flags for `init` and serves it with flags for `serve`.
    ///
    /// # Panics
    /// If either fails.
    pub fn with(init: &[&str], serve: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let flags = serve.iter().map(ToString::to_string).collect();
        Self::on(directory, init, flags)
    }

    /// Makes a log with flags for `init`, and serves it to agents that send as fast as they can: for figures.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn unlimited(init: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let config = directory.path().join("unlimited.toml");
        let rates = ["records", "bytes"].map(|what| {
            format!("agent_{what}_at_once = {UNLIMITED}\nagent_{what}_per_s = {UNLIMITED}\n")
        });
        std::fs::write(&config, rates.concat()).expect("a file");
        let flags = vec!["--config".to_owned(), path(&config).to_owned()];
        Self::on(directory, init, flags)
    }

    fn on(directory: TempDir, init: &[&str], flags: Vec<String>) -> Self {
        let mut service = Self {
            directory,
            running: None,
            client: http_client(),
            flags,
        };
        let data = service.data();
        let arguments = ["init", "--data", path(&data), "--origin", ORIGIN];
        dragonsd().succeed(arguments.into_iter().chain(init.iter().copied()));
        service.start();
        service
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A place for the test's own files, removed with the service.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The file with one of the keys that `init` made.
    pub fn key(&self, name: &str) -> PathBuf {
        self.data().join("keys").join(format!("{name}.pem"))
    }

    /// The file with the trust that `init` wrote.
    pub fn trust(&self) -> PathBuf {
        self.data().join("trust.json")
    }

    /// The command that `start` runs.
    pub fn serve_command(&self) -> Command {
        let mut command = dragonsd().command();
        command.args(["serve", "--metrics", "127.0.0.1:0", "--listen"]);
        command.arg(format!("{}:0", own_address()));
        command
            .args(["--data", path(&self.data())])
            .args(&self.flags);
        command
    }

    /// Starts the service and waits until it says that it listens.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start(&mut self) {
        let command = self.serve_command();
        self.start_by(command);
    }

    /// Starts the service where it was, so that whoever knows its address finds it.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start_at(&mut self, address: &str) {
        let mut command = dragonsd().command();
        command.args(["serve", "--metrics", "127.0.0.1:0", "--listen", address]);
        command.arg("--data").arg(self.data());
        self.start_by(command);
    }

    /// Starts the service by another command, such as one that traces it.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start_by(&mut self, command: Command) {
        if let Err(status) = self.try_start_by(command) {
            panic!(
                "dragonsd ended: {status:?}\n{}",
                read(&self.scratch("stderr"))
            );
        }
    }

    /// Starts the service by another command, and waits until it listens or has ended.
    ///
    /// # Errors
    /// How it ended.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn try_start_by(&mut self, command: Command) -> Result<(), ExitStatus> {
        let log = std::fs::File::create(self.scratch("stderr")).expect("a log file");
        self.try_start_saying(command, log.into())
    }

    /// Starts the service by a command, with what it says about itself going there.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start_saying(&mut self, command: Command, stderr: Stdio) {
        if let Err(status) = self.try_start_saying(command, stderr) {
            panic!("dragonsd ended: {status:?}");
        }
    }

    fn try_start_saying(&mut self, mut command: Command, stderr: Stdio) -> Result<(), ExitStatus> {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(stderr)
            .stdin(Stdio::null())
            .spawn()
            .expect("dragonsd starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let Some(url) = line.trim_end().strip_prefix("listening on ") else {
            return Err(process.wait().expect("its end"));
        };
        self.running = Some(Running {
            url: url.to_owned(),
            process,
        });
        Ok(())
    }

    /// The process of the service.
    ///
    /// # Panics
    /// If it is not running.
    pub fn process(&self) -> Process {
        Process(
            self.running
                .as_ref()
                .expect("a running service")
                .process
                .id(),
        )
    }

    /// The address of the service.
    ///
    /// # Panics
    /// If it is not running.
    pub fn url(&self) -> &str {
        &self.running.as_ref().expect("a running service").url
    }

    /// What the service has written to stderr since its start.
    pub fn stderr(&self) -> String {
        read(&self.scratch("stderr"))
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Panics
    /// If it is not running.
    pub fn kill(&mut self) {
        let mut running = self.running.take().expect("a running service");
        running.process.kill().expect("a process to kill");
        running.process.wait().expect("its end");
    }

    /// Asks it to stop, and waits for its end.
    ///
    /// # Panics
    /// If it is not running.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it is not running.
    pub fn wait(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("a running service");
        running.process.wait().expect("its end")
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is not running.
    pub fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("a running service");
        let pid = Pid::from_child(&running.process);
        kill_process(pid, signal).expect("a process to signal");
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.at(path)))
    }

    /// What the service measures of itself.
    ///
    /// # Panics
    /// If it has not said where.
    pub fn metrics(&self) -> String {
        self.get_as_operator("/metrics").text()
    }

    /// A GET request on the listener for operators.
    ///
    /// # Panics
    /// If the service has not said where that is.
    pub fn get_as_operator(&self, path: &str) -> Answer {
        let metrics = self.metrics_url();
        let base = metrics.trim_end_matches("/metrics");
        Answer::of(self.client.get(format!("{base}{path}")))
    }

    /// Where the service says what it measures of itself.
    ///
    /// # Panics
    /// If the service has not said where that is.
    pub fn metrics_url(&self) -> String {
        let log = self.stderr();
        let mut words = log.split_whitespace();
        let url = words.find(|word| word.starts_with("http://") && word.ends_with("/metrics"));
        url.expect("an address").to_owned()
    }

    /// An open stream of events, which is not read yet.
    ///
    /// # Panics
    /// If it is refused.
    pub fn events(&self, path: &str) -> Events {
        self.open_events(self.client.get(self.at(path)))
    }

    /// The stream of all events, taken up again as a browser does it.
    ///
    /// # Panics
    /// If it is refused.
    pub fn events_after(&self, seen: u64) -> Events {
        let request = self.client.get(self.at("/v1/events"));
        self.open_events(request.header("last-event-id", seen))
    }

    fn open_events(&self, request: RequestBuilder) -> Events {
        // It has no end, so it has no time within which it must end.
        let request = request.timeout(Duration::from_secs(600));
        let response = request.send().expect("an answer");
        assert_eq!(response.status(), 200);
        Events::of(response)
    }

    /// A request of any kind.
    ///
    /// # Panics
    /// If the method is not a token.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client
            .request(method.parse().expect("a method"), self.at(path))
    }

    /// A request to any address.
    ///
    /// # Panics
    /// If the method is not a token.
    pub fn request_to(&self, method: &str, url: &str) -> RequestBuilder {
        self.client.request(method.parse().expect("a method"), url)
    }

    /// Posts a record, or what claims to be one.
    pub fn post(&self, body: impl Into<reqwest::blocking::Body>) -> Answer {
        Answer::of(
            self.request("POST", "/v1/entries")
                .header("content-type", "application/json")
                .body(body),
        )
    }

    /// Posts a record and gives the index that it got.
    ///
    /// # Panics
    /// If it is not logged.
    pub fn log(&self, record: &ledger::record::SignedRecord) -> u64 {
        let answer = self.post(record.envelope().to_json());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["index"].as_u64().expect("an index")
    }

    /// Posts lines of records and gives the answer to them all.
    pub fn post_lines(&self, lines: &[String]) -> Answer {
        let request = self.request("POST", "/v1/entries");
        let request = request.header("content-type", "application/x-ndjson");
        Answer::of(request.body(lines.join("\n")))
    }

    /// Fills the log to at least a size, by what an observer sees of agent `a`, which has to be registered.
    ///
    /// # Panics
    /// If the lines are not taken.
    pub fn fill(&self, to: u64) {
        let signer = self.signer();
        while self.size() < to {
            let seen = |n: u64| signer.observation("a", &n.to_string()).envelope().to_json();
            let lines = self.size()..to.min(self.size() + 4_000);
            let answer = self.post_lines(&lines.map(seen).collect::<Vec<_>>());
            assert_eq!(answer.status, 200, "{}", answer.text());
            // Of an agent that nobody registered nothing is logged, however often it is sent.
            assert!(answer.text().contains("\"logged\""), "{}", answer.text());
        }
    }

    /// The newest checkpoint, verified with the key that `init` told.
    ///
    /// # Panics
    /// If it does not verify.
    pub fn checkpoint(&self) -> VerifiedCheckpoint {
        let text = self.get("/checkpoint").text();
        let signed = SignedCheckpoint::parse(&text).expect("a checkpoint");
        signed.verify(&self.log_key()).expect("the log's signature")
    }

    /// The size of the newest checkpoint.
    pub fn size(&self) -> u64 {
        self.checkpoint().size().get()
    }

    /// The sizes of the heads that are kept, ascending.
    ///
    /// # Panics
    /// If a line is not a head.
    pub fn kept_sizes(&self) -> Vec<u64> {
        let size = |line: &str| {
            let head: serde_json::Value = serde_json::from_str(line).expect("JSON");
            head["size"].as_u64().expect("a size")
        };
        let heads = self.get("/v1/checkpoints?limit=1000").text();
        heads.lines().map(size).collect()
    }

    /// The policy that `init` wrote.
    ///
    /// # Panics
    /// If there is none.
    pub fn policy(&self) -> Policy {
        let trust: serde_json::Value = serde_json::from_str(&read(&self.trust())).expect("JSON");
        Policy::parse(trust["policy"].as_str().expect("a policy")).expect("a sound one")
    }

    /// The key of the log, out of that policy.
    ///
    /// # Panics
    /// If there is none.
    pub fn log_key(&self) -> VerifierKey {
        self.policy().logs().first().expect("a log").key.clone()
    }

    /// Whoever signs with the keys that `init` made.
    pub fn signer(&self) -> Signer {
        Signer::of(self)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url())
    }
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

impl Answer {
    /// Sends a request and reads the answer.
    ///
    /// # Panics
    /// If there is none.
    pub fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).expect("an answer")
    }

    /// Sends a request and reads the answer, if there is one.
    ///
    /// # Errors
    /// When the service goes away before it has answered.
    pub fn try_of(request: RequestBuilder) -> reqwest::Result<Self> {
        let answer: Response = request.send()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Self {
            status,
            headers,
            body: answer.bytes()?.to_vec(),
        })
    }

    /// The body as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header as text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The code of the problem that this is; empty if it is none.
    pub fn code(&self) -> String {
        let problem = self
            .header("content-type")
            .starts_with("application/problem+json");
        let code = problem
            .then(|| self.json()["code"].as_str().map(ToOwned::to_owned))
            .flatten();
        code.unwrap_or_default()
    }
}

/// The HTTP library insists on a TLS provider, though nothing here speaks TLS.
fn http_client() -> Client {
    // An error says that another test of this process has installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .build()
        .expect("an HTTP client")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
