"""A log, an agent that may call every tool, and servers directly or behind `dragons mcp`."""

import base64
import json
import os
import queue
import subprocess
import tempfile
import threading
from pathlib import Path

# How long an answer may take before it counts as none.
ANSWER_S = 30

# How long a server may take to end by itself.
PATIENCE_S = 3


class World:
    def __init__(self, programs):
        self.folder = Path(tempfile.mkdtemp(prefix="dragons-mcp-"))
        self.dragons = str(programs / "dragons")
        self.env = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state"), "XDG_RUNTIME_DIR": str(self.folder)}
        self.children = []
        data = str(self.folder / "log")
        charter = self.folder / "charter.json"
        charter.write_text('{"limits":{"denials_max":200}}')
        init = [str(programs / "dragonsd"), "init", "--data", data, "--origin", "example.com/mcp", "--charter", str(charter)]
        subprocess.run(init, check=True, stdout=subprocess.DEVNULL)
        self.serve(programs, data)
        self.trust, self.operator = f"{data}/trust.json", f"{data}/keys/operator.pem"
        self.agent()

    def serve(self, programs, data):
        words = [str(programs / "dragonsd"), "serve", "--data", data, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
        service = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.children.append(service)
        self.server = service.stdout.readline().split()[-1]

    def agent(self):
        agent = self.folder / "agent"
        (agent / "src").mkdir(parents=True)
        (agent / "src/main").write_text("an agent\n")
        (agent / "agent.toml").write_text(
            'agent = "worker"\nversion = "1"\ncode = ["src"]\nconfig = []\nignore = []\n'
            'capabilities = ["call:**"]\nmax_inflight_ms = 60000\n'
        )
        self.key = str(self.folder / "worker.pem")
        self.run("keygen", "--name", "worker", "--out", self.key)
        self.run("manifest", "register", str(agent), "--key", self.operator, "--agent-key", self.key)
        self.run("lease", "grant", "worker", "--allow", "call:**", "--key", self.operator)

    def words(self, *words):
        return [self.dragons, *words, "--server", self.server, "--trust", self.trust]

    def run(self, *words):
        return subprocess.run(self.words(*words), check=True, env=self.env, capture_output=True, text=True).stdout

    def proxy(self, name, *more):
        common = ["mcp", "--agent", "worker", "--dir", str(self.folder / "agent"), "--key", self.key, "--name", name]
        return [self.dragons, *common, "--server", self.server, "--trust", self.trust, *more]

    def gateway(self, name, url):
        """The address at which a server over HTTP is reached through the proxy."""
        words = self.proxy(name, "--url", url, "--listen", "127.0.0.1:0")
        log = open(self.folder / f"{name}.stderr", "a")
        child = subprocess.Popen(words, env=self.env, stdout=subprocess.PIPE, stderr=log, text=True)
        self.children.append(child)
        return child.stdout.readline().split()[-1]

    def receipts(self):
        """How many intents and results the log has."""
        pack = self.folder / "all.pack.jsonl"
        self.run("export", "-o", str(pack))
        leaves = [json.loads(line).get("leaf") for line in pack.read_text().splitlines()]
        payloads = [json.loads(leaf)["envelope"]["payload"] for leaf in leaves if leaf]
        phases = [json.loads(base64.b64decode(payload)).get("phase") for payload in payloads]
        return phases.count("intent"), phases.count("result")

    def end(self):
        for child in reversed(self.children):
            child.terminate()
            child.wait()


class Client:
    """A client over stdin and stdout: it says lines, and keeps those that come."""

    def __init__(self, words, env, answers):
        self.child = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.lines, self.answers = queue.Queue(), answers
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def say(self, message):
        self.child.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.child.stdin.flush()

    def ask(self, message):
        """All lines until the answer. What the server asks meanwhile is answered."""
        self.say(message)
        heard = []
        while True:
            try:
                line = self.lines.get(timeout=ANSWER_S)
            except queue.Empty:
                return heard + [b"no answer"]
            if line is None:
                return heard + [b"the end"]
            heard.append(line)
            said = json.loads(line)
            if "method" in said and "id" in said:
                self.say({"id": said["id"], "result": self.answers.get(said["method"], {})})
            elif "method" not in said and said.get("id") == message["id"]:
                return heard

    def end(self):
        """What it ended with, as a shell tells it. Who does not end by itself is asked to, as clients do."""
        self.child.stdin.close()
        try:
            code = self.child.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.child.terminate()
            code = self.child.wait(timeout=ANSWER_S)
        return code if code >= 0 else 128 - code
