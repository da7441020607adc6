"""`make hosts`: the real Claude Code, Codex and Gemini CLI under our hooks, offline.

They are fetched once into the user's cache (0.9 GB) and run in a network namespace that has loopback alone, against model
servers that answer from a script. Where they cannot be had, that is said, and nothing is tested.
"""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dragons" / "hosts"
PACKAGES = ["@anthropic-ai/claude-code-linux-x64@2.1.332", "@openai/codex@0.171.0", "@google/gemini-cli@0.61.0"]
CLAUDE = CACHE / "node_modules/@anthropic-ai/claude-code-linux-x64/claude"
CODEX = CACHE / "node_modules/.bin/codex"
GEMINI = CACHE / "node_modules/.bin/gemini"
ALLOWED, FORBIDDEN = "touch allowed.txt", "mkdir forbidden"
ISOLATED = "DRAGONS_HOSTS_ISOLATED"


def main():
    if os.environ.get(ISOLATED):
        return run_all(Path(os.environ["DRAGONS_BIN"]))
    if not fetch():
        print("SKIPPED: the hosts are not in", CACHE, "and npm does not fetch them. Nothing was tested.")
        return 0
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode:
        print("SKIPPED: this user may not make a network namespace. Nothing was tested.")
        return 0
    environment = {**os.environ, ISOLATED: "1"}
    return subprocess.run([*unshare, sys.executable, __file__], env=environment).returncode


def fetch():
    if all(program.exists() for program in (CLAUDE, CODEX, GEMINI)):
        return True
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "package.json").write_text('{"private":true}\n')
    command = ["npm", "install", "--no-audit", "--no-fund", *PACKAGES]
    return bool(shutil.which("npm")) and subprocess.run(command, cwd=CACHE).returncode == 0


def loopback_up():
    """What `ip link set lo up` does (netdevice(7)); not every machine has ip."""
    import fcntl
    import struct
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))


def free_port():
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return any_socket.getsockname()[1]


class Log:
    """A log, an agent that may run `touch`, and a process that speaks for it."""

    def __init__(self, binaries, folder):
        self.folder, self.dragons = folder, binaries / "dragons"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder / "run")}
        data, agent = folder / "log", folder / "agent"
        charter = folder / "charter.json"
        charter.write_text('{"limits":{"denials_max":1000}}')
        self.call(binaries / "dragonsd", "init", "--data", data, "--origin", "example.com/hosts", "--charter", charter)
        serve = [binaries / "dragonsd", "serve", "--data", data, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
        self.service = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        url = self.service.stdout.readline().split()[-1]
        self.environment["DRAGONS_SERVER"] = url
        (agent / "src").mkdir(parents=True)
        (agent / "src/prompt").write_text("be good\n")
        (agent / "agent.toml").write_text(
            'agent = "hosts"\nversion = "1"\ncode = ["src"]\nconfig = ["agent.toml"]\nignore = []\n'
            'capabilities = ["run:*"]\nmax_inflight_ms = 60000\n')
        key, trust, operator = folder / "agent.pem", data / "trust.json", data / "keys/operator.pem"
        self.signed = ["--trust", trust, "--key", operator]
        self.call(self.dragons, "keygen", "--name", "hosts", "--out", key)
        self.call(self.dragons, "manifest", "register", agent, "--agent-key", key, *self.signed)
        self.call(self.dragons, "lease", "grant", "hosts", "--allow", "run:touch", *self.signed)
        attend = [self.dragons, "attend", "--agent", "hosts", "--dir", agent, "--key", key, "--trust", trust]
        self.attend = subprocess.Popen(attend, env=self.environment, stdout=subprocess.PIPE, text=True,
                                       stderr=open(folder / "attend.log", "w"))
        self.attend.stdout.readline()

    def call(self, *words):
        done = subprocess.run([str(word) for word in words], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{words}: {done.stderr}")
        return done.stdout

    def scopes(self):
        """The scopes of the intents in the log, with how each ended."""
        pack = self.folder / "all.pack.jsonl"
        pack.unlink(missing_ok=True)
        self.call(self.dragons, "export", "-o", pack, *self.signed[:2])
        intents, ended = [], []
        for line in pack.read_text().splitlines():
            leaf = json.loads(line).get("leaf")
            if not leaf:
                continue
            envelope = json.loads(leaf)["envelope"]
            payload = json.loads(base64.b64decode(envelope["payload"]))
            is_receipt = ".receipt." in envelope["payloadType"]
            if is_receipt and payload["phase"] == "intent":
                intents.append(payload["scope"])
            if is_receipt and payload["phase"] == "result":
                ended.append(payload["status"])
        return intents, ended

    def end(self):
        for process in (self.attend, self.service):
            process.send_signal(signal.SIGTERM)
            process.wait()


class Host:
    """One of the programs, with a home and a project of its own."""

    def __init__(self, log, name, form):
        self.log, self.name, self.form = log, name, form
        self.home = Path(tempfile.mkdtemp(dir=log.folder, prefix=name))
        self.project = self.home / "project"
        self.project.mkdir()
        self.settings = {"claude-code": ".claude/settings.json", "codex": ".codex/hooks.json",
                         "gemini-cli": ".gemini/settings.json"}[name]
        if name == "gemini-cli":
            self.write(self.theirs())

    def theirs(self):
        """Settings that are there before ours: with an address of its own, Gemini has to be told how it signs in."""
        is_gemini = self.name == "gemini-cli"
        return {"security": {"auth": {"selectedType": "gemini-api-key"}}} if is_gemini else {}

    def write(self, settings):
        file = self.home / self.settings
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(settings))

    def environment(self, port):
        here = f"http://127.0.0.1:{port}"
        base = {**self.log.environment, "HOME": str(self.home), "PATH": f"{self.log.dragons.parent}:{os.environ['PATH']}"}
        for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "DRAGONS_SOCKET"):
            base.pop(name, None)
        own = {
            "claude-code": {"ANTHROPIC_BASE_URL": here, "ANTHROPIC_API_KEY": "none", "DISABLE_AUTOUPDATER": "1",
                            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_TELEMETRY": "1", "IS_SANDBOX": "1"},
            "codex": {"MODEL_KEY": "none"},
            "gemini-cli": {"GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": here},
        }[self.name]
        return {**base, **own}

    def command(self, port, trusts):
        if self.name == "claude-code":
            return [CLAUDE, "-p", "do it", "--permission-mode", "bypassPermissions", "--output-format", "json"]
        if self.name == "gemini-cli":
            return [GEMINI, "--yolo", "--skip-trust", "-m", "gemini-2.5-flash", "-p", "do it"]
        config = self.home / ".codex/config.toml"
        config.parent.mkdir(exist_ok=True)
        config.write_text(
            'model = "gpt-5.2-codex"\nmodel_provider = "scripted"\napproval_policy = "never"\nsandbox_mode = "danger-full-access"\n'
            f'[model_providers.scripted]\nname = "scripted"\nbase_url = "http://127.0.0.1:{port}/v1"\n'
            'wire_api = "responses"\nenv_key = "MODEL_KEY"\n')
        trust = ["--dangerously-bypass-hook-trust"] if trusts else []
        return [CODEX, "exec", "--skip-git-repo-check", *trust, "do it"]

    def install(self, *options):
        self.log.call("env", f"HOME={self.home}", self.log.dragons, "hook", "install", self.name, "--user", *options)

    def install_raw(self, command, timeout_s, extra):
        """A hook that is not ours, for what a host does with a hook that fails."""
        event = "BeforeTool" if self.name == "gemini-cli" else "PreToolUse"
        timeout = timeout_s * 1000 if self.name == "gemini-cli" else timeout_s
        hook = {"type": "command", "command": command, "timeout": timeout, **extra}
        self.write({**self.theirs(), "hooks": {event: [{"hooks": [hook]}]}})

    def run(self, *commands, trusts=True):
        """Has it carry out the commands. Which of the two files are there then, and how long it took."""
        port = free_port()
        model = subprocess.Popen([sys.executable, HERE / "models.py", self.form, str(port), *commands])
        wait_for(port)
        begun = time.monotonic()
        try:
            done = subprocess.run(self.command(port, trusts), cwd=self.project, env=self.environment(port),
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
            (self.home / "said").write_text(done.stdout + done.stderr)
        finally:
            model.kill()
            model.wait()
        took = time.monotonic() - begun
        return (self.project / "allowed.txt").exists(), (self.project / "forbidden").exists(), took


def wait_for(port):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("the model server did not start")


class Rows:
    """What was expected, what happened."""

    def __init__(self):
        self.failed = 0

    def row(self, host, what, expected, happened, took):
        verdict = "ok" if expected == happened else "FAILED"
        self.failed += expected != happened
        print(f"{verdict:7}{host:13}{what:58}{happened!s:22}{took:6.1f} s", flush=True)


def with_log(binaries, act):
    folder = Path(tempfile.mkdtemp(prefix="dragons-hosts-"))
    log = Log(binaries, folder)
    try:
        act(log)
    finally:
        log.end()
        shutil.rmtree(folder, ignore_errors=True)


def governed(rows, name, form):
    def act(log):
        for options in ([], ["--enforce"]):
            host = Host(log, name, form)
            host.install("--agent", "hosts", *options)
            allowed, forbidden, took = host.run(ALLOWED, FORBIDDEN)
            what = "dragons hook " + " ".join(["allowed, denied by the log", *options])
            rows.row(name, what, (True, False), (allowed, forbidden), took)
        scopes, ended = log.scopes()
        rows.row(name, "the log has both, and how each ended", (["run:touch"] * 2, ["ok"] * 2), (scopes, ended), 0)
        for options, expected in ([], True), (["--enforce"], False):
            host = Host(log, name, form)
            host.install("--socket", log.folder / "nowhere", *options)
            _, ran, took = host.run(ALLOWED, FORBIDDEN)
            rows.row(name, " ".join(["nobody speaks for the agent", *options]), expected, ran, took)
        if name == "codex":
            untrusted(rows, log, form)
    return act


def untrusted(rows, log, form):
    """Codex passes over hooks that its user has not trusted; the doctor notices."""
    host = Host(log, "codex", form)
    log.environment["XDG_STATE_HOME"] = str(host.home / "state")
    host.install("--agent", "hosts", "--enforce")
    _, ran, took = host.run(ALLOWED, FORBIDDEN, trusts=False)
    rows.row("codex", "hooks that are not trusted are passed over", True, ran, took)
    doctor = subprocess.run([log.dragons, "doctor", "--json"], env={**log.environment, "HOME": str(host.home)},
                            capture_output=True, text=True)
    checks = {check["name"]: check["result"] for check in json.loads(doctor.stdout)["checks"]}
    rows.row("codex", "and dragons doctor says so", "problem", checks.get("hooks"), 0)


def failing(rows, name, form):
    """The table in docs/hooks.md: whether the forbidden command ran."""
    blocks = {"onFailure": "block"}
    table = [
        ("exit 2 and a reason", "echo no >&2; exit 2", [False] * 4),
        ("exit 2 and no reason", "exit 2", [False, False, True, True]),
        ("exit 1", "exit 1", [True, False, True, True]),
        ("crash", "kill -9 $$", [True, False, True, True]),
        ("too slow", "sleep 20", [True, False, True, True]),
    ]

    def act(log):
        columns = {"claude-code": [(0, {}), (1, blocks)], "codex": [(2, {})], "gemini-cli": [(3, {})]}[name]
        for what, script, expected in table:
            for column, extra in columns:
                host = Host(log, name, form)
                host.install_raw(f"sh -c '{script}'", 2, extra)
                _, ran, took = host.run(FORBIDDEN)
                told = f"a hook that does: {what}" + (", onFailure" if extra else "")
                rows.row(name, told, expected[column], ran, took)
    return act


def run_all(binaries):
    loopback_up()
    rows = Rows()
    for program in (CLAUDE, CODEX, GEMINI):
        said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
        print(program.name, said, flush=True)
    for name, form in ("claude-code", "anthropic"), ("codex", "openai"), ("gemini-cli", "gemini"):
        with_log(binaries, governed(rows, name, form))
        with_log(binaries, failing(rows, name, form))
    print("failed:", rows.failed)
    return 1 if rows.failed else 0


if __name__ == "__main__":
    sys.exit(main())
