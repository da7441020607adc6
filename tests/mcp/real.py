"""Each scenario of the conformance suites and each tool of real servers, directly and through the proxy. See real.sh.

Prints a line for each, and `differs` where what came back is not the same. Exits with 1 if anything differs.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from world import Client, World

CACHE = Path(sys.argv[1])
HERE = Path(__file__).parent
PYTHON = sys.executable
SERVERS = CACHE / "servers-2026.8.31/node_modules/@modelcontextprotocol"
SUITES = ["0.1.16", "0.2.0-alpha.12"]
REVISIONS = ["2025-06-18", "2025-11-25"]
NEWEST = "2026-07-28"

# What differs from one run to the next without any proxy: times, ids that are drawn, measured durations.
CHANGES = re.compile(
    rb'"requestState":"[^"]*"|'
    rb"\d{4}-\d\d-\d\dT[\d:.]+Z?|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|\d\d?:\d\d:\d\d [AP]M|\d+(\.\d+)? ?ms"
    rb"|(modified|created|accessed): [^\\]*|[a-zA-Z]{3} [a-zA-Z]{3} \d\d \d{4} [^\\]*"
)

ANSWERS = {
    "roots/list": {"roots": [{"uri": "file:///tmp", "name": "tmp"}]},
    "sampling/createMessage": {"role": "assistant", "content": {"type": "text", "text": "yes"}, "model": "m"},
    "elicitation/create": {"action": "accept", "content": {"name": "a", "check": True}},
}

CAPABILITIES = {"roots": {"listChanged": True}, "sampling": {}, "elicitation": {"form": {}, "url": {}}, "tasks": {
    "list": {}, "cancel": {}, "requests": {"sampling": {"createMessage": {}}, "elicitation": {"create": {}}}}}

# Extensions of authorization, and of resources, that the client of the SDK does not have. The proxy sees but headers of them.
BEYOND_THE_CLIENT = {
    "auth/client-credentials-jwt", "auth/cross-app-access-complete-flow", "auth/enterprise-managed-authorization", "auth/dpop",
    "auth/dpop-nonce", "auth/wif-jwt-bearer", "sep-2640-client-no-prefetch", "sep-2640-client-verify-digest",
    "sep-2640-client-verify-size", "sep-2640-client-verify-frontmatter",
}

# How often a server may want something before it answers a call.
ROUNDS = 5

# What the proxy does better: it turns away who calls it by the name of another machine, where a server may not.
STRICTER = ("localhost-host-rebinding-rejected", "FAILURE"), ("localhost-host-rebinding-rejected", "SUCCESS")

differs = []
counts = {}


def judge(part, name, direct, proxied):
    same = direct == proxied
    counts.setdefault(part, [0, 0])[0 if same else 1] += 1
    print(f"{part:44} {name:48} {'same' if same else 'differs'}", flush=True)
    if not same:
        differs.append((part, name, direct, proxied))


def steady(lines):
    return [CHANGES.sub(b"~", line) for line in lines]


def sample(schema, name, fixed):
    """A value of a schema; for a name that is known, the value that makes sense."""
    if name in fixed:
        return fixed[name]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {one: sample(of, one, fixed) for one, of in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {}), name, fixed)]
    return {"number": 2, "integer": 2, "boolean": False}.get(kind, "text")


def exchange(client, revision, fixed):
    """Every list there is, and a call of every tool: as sensible as its schema allows, and without arguments."""
    meta = {}
    if revision == NEWEST:
        info = {"name": "equal", "version": "1"}
        prefix = "io.modelcontextprotocol/"
        meta = {"_meta": {prefix + "protocolVersion": revision, prefix + "clientInfo": info, prefix + "clientCapabilities": CAPABILITIES}}
        yield "server/discover", client.ask({"id": 0, "method": "server/discover", "params": meta})
    else:
        params = {"protocolVersion": revision, "capabilities": CAPABILITIES, "clientInfo": {"name": "equal", "version": "1"}}
        yield "initialize", client.ask({"id": 0, "method": "initialize", "params": params})
        client.say({"method": "notifications/initialized"})
        # The server looks for roots now; what it says of them comes before this answer or not, so it is not compared.
        client.ask({"id": "settle", "method": "ping"})
        time.sleep(0.5)
    for method in ["prompts/list", "resources/list", "resources/templates/list", "no/such"]:
        yield method, last(client.ask({"id": method, "method": method, "params": meta}))
    listed = last(client.ask({"id": 1, "method": "tools/list", "params": meta}))
    yield "tools/list", listed
    for number, tool in enumerate(json.loads(listed[0])["result"]["tools"], 2):
        arguments = sample(tool["inputSchema"], "", fixed)
        for kind, given in [("", arguments), (" without arguments", {})]:
            request = {"id": f"{number}{kind}", "method": "tools/call", "params": {"name": tool["name"], "arguments": given, **meta}}
            if not kind and revision == "2025-11-25" and tool.get("execution", {}).get("taskSupport") == "required":
                request["params"]["task"] = {"ttl": 60000}
            yield tool["name"] + kind, to_its_end(client, request)


def to_its_end(client, request):
    """The answers to a call: where the server wants something first it gets it, and is asked again."""
    heard = last(client.ask(request))
    for again in range(ROUNDS):
        result = json.loads(heard[-1]).get("result", {}) if heard[-1].startswith(b"{") else {}
        if result.get("resultType") != "input_required":
            break
        wanted = result.get("inputRequests", {})
        given = {name: ANSWERS.get(one["method"], {}) for name, one in wanted.items()}
        params = {**request["params"], "inputResponses": given}
        if "requestState" in result:
            params["requestState"] = result["requestState"]
        heard += last(client.ask({**request, "id": f"{request['id']} again {again}", "params": params}))
    return heard


def last(lines):
    """The answer alone: what a server says unasked, such as of its log, comes when it comes."""
    return lines[-1:]


def tools_of(world, name, words, revision, fixed):
    part = f"{name} {revision}"
    # The same environment for both.
    env = {**world.env, "HOME": "/root"}
    direct = Client(words, env, ANSWERS)
    proxied = Client(world.proxy(name, "--", *words), env, ANSWERS)
    pairs = zip(exchange(direct, revision, fixed), exchange(proxied, revision, fixed), strict=True)
    for (what, one), (_, other) in pairs:
        judge(part, what, steady(one), steady(other))
    judge(part, "exit code", direct.end(), proxied.end())


def wait_for(url):
    while True:
        try:
            urllib.request.urlopen(url, timeout=2)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return


def checks(folder):
    """The checks of a run of the suite: for each scenario what was checked, and how it went."""
    found = {}
    for file in sorted(folder.rglob("checks.json")):
        scenario = re.sub(r"-\d{4}-\d\d-\d\dT.*", "", str(file.parent.relative_to(folder)))
        found[scenario] = [(one["id"], one["status"]) for one in json.loads(file.read_text()) if one["status"] != "INFO"]
    return found


def suite(version, words, folder):
    program = CACHE / f"conformance-{version}/node_modules/@modelcontextprotocol/conformance/dist/index.js"
    folder.mkdir(parents=True)
    command = ["node", str(program), *words, "-o", str(folder)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=900, check=False)
    return checks(folder)


def compare(part, direct, proxied):
    for scenario in sorted(set(direct) | set(proxied)):
        one, other = direct.get(scenario), proxied.get(scenario)
        passed = sum(status == "SUCCESS" for _, status in one or [])
        kept = [STRICTER[1] if check == STRICTER[0] else check for check in one or []]
        judge(part, f"{scenario} ({passed} of {len(kept)} pass)", kept, other)


def server_suites(world, name, url):
    here = world.gateway(name, url)
    for version in SUITES:
        words = ["server", "--suite", "all", "--url"]
        runs = [suite(version, [*words, where], world.folder / f"{name}-{version}-{kind}")
                for kind, where in [("direct", url), ("proxied", here)]]
        compare(f"conformance {version} server {name}", *runs)


def scenarios_of_clients(version):
    """All scenarios of a suite for clients, but those that need what the SDK's client does not have: those it never passes."""
    program = CACHE / f"conformance-{version}/node_modules/@modelcontextprotocol/conformance/dist/index.js"
    listed = subprocess.run(["node", str(program), "list"], capture_output=True, text=True, check=True).stdout
    listed = listed.split("Client scenarios")[1].split("Authorization server scenarios")[0]
    names = re.findall(r"^  - (\S+)", listed, re.MULTILINE)
    left_out = [name for name in names if name in BEYOND_THE_CLIENT]
    print(f"conformance {version} client: left out, for the client lacks the extension: {', '.join(left_out)}", flush=True)
    return [name for name in names if name not in left_out]


def client_suites(world):
    client = f"{PYTHON} {HERE / 'client.py'}"
    os.environ["DRAGONS_PROXY"] = json.dumps(world.proxy("client"))
    os.environ.update({name: world.env[name] for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR")})
    for version in SUITES:
        names = scenarios_of_clients(version)
        runs = []
        for kind in ("direct", "proxied"):
            found = {}
            for name in names:
                words = ["client", "--scenario", name, "--command", f"{client} {kind}"]
                of_one = suite(version, words, world.folder / f"client-{version}-{kind}-{name}")
                found[name] = [one for part in of_one.values() for one in part]
            runs.append(found)
        compare(f"conformance {version} client", *runs)


def main():
    world = World(Path(os.environ["DRAGONS_PROGRAMS"]))
    files = world.folder / "files"
    files.mkdir()
    (files / "a.txt").write_text("one\ntwo\n")
    fixed = {"path": str(files / "a.txt"), "paths": [str(files / "a.txt")], "source": str(files / "a.txt"),
             "destination": str(files / "a.txt"), "edits": [{"oldText": "one", "newText": "one"}], "pattern": "*.txt",
             "content": "one\ntwo\n", "duration": 1, "steps": 2, "data": "data:text/plain,hello", "name": "a.txt.gz",
             "resourceId": 1, "head": 1, "tail": 0}
    everything = ["node", str(SERVERS / "server-everything/dist/index.js"), "stdio"]
    filesystem = ["node", str(SERVERS / "server-filesystem/dist/index.js"), str(files)]
    python = [PYTHON, str(HERE / "conformance_server.py")]
    try:
        for revision in REVISIONS:
            tools_of(world, "everything", everything, revision, fixed)
            tools_of(world, "filesystem", filesystem, revision, fixed)
        for revision in [*REVISIONS, NEWEST]:
            tools_of(world, "python", python, revision, fixed)
        http_part(world)
        intents, results = world.receipts()
        print(f"the log has {intents} intents and {results} results")
    finally:
        world.end()
    for part, (same, other) in counts.items():
        print(f"{part}: {same} same, {other} differ")
    for part, name, direct, proxied in differs:
        print(f"\n{part}: {name}\n  directly {str(direct)[:1500]}\n  proxied  {str(proxied)[:1500]}")
    sys.exit(bool(differs))


def http_part(world):
    env = {**os.environ, "PORT": "38471"}
    node = subprocess.Popen(["node", str(SERVERS / "server-everything/dist/index.js"), "streamableHttp"], env=env,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    python = subprocess.Popen([PYTHON, str(HERE / "conformance_server.py"), "38472"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    world.children += [node, python]
    for name, url in [("everything", "http://127.0.0.1:38471/mcp"), ("python", "http://127.0.0.1:38472/mcp")]:
        wait_for(url)
        server_suites(world, name, url)
    client_suites(world)


main()
