#!/usr/bin/env python3
"""Writes seeds/ from the golden history of ledger's tests: valid inputs to begin from."""

import gzip
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "ledger" / "tests" / "golden.json"

# The order of `Kind::ALL`, which the record target counts in.
KINDS = """charter manifest lease lease-renewal lease-revocation order
heartbeat receipt transition refusal pulse observation""".split()

# One for each form of request.
REQUESTS = """/checkpoint /tile/0/000.p/2 /tile/entries/000.p/2 /v1/entries/1 /v1/entries/1/proof?size=2
/v1/consistency?old=1&new=2 /v1/checkpoints?after=0&limit=2 /v1/charter /v1/agents?limit=1 /v1/agents/a
/v1/agents/a/timeline?from_ms=0&to_ms=9 /v1/pack?from=0&to=2 /v1/pack?agent=a /v1/events?after=0&kind=pulse
/openapi.json /healthz /readyz / /agents /agents/a?span=1h /entries/1 /verify/ /v1/requests""".split()


def main():
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    checkpoint = golden["checkpoint"]
    write("note", "checkpoint", checkpoint)
    write("checkpoint", "signed", checkpoint)
    write("checkpoint", "body", checkpoint.split("\n\n")[0] + "\n")
    write("vkey", "log", golden["vkey"])
    write("policy", "trust", golden["trust"]["policy"])
    write("proof_file", "of_6", golden["proof_file_of_6"])
    hashes = "".join(f"{hash}\n" for hash in golden["consistency_5_to_16"])
    write("witness_request", "5_to_16", f"old 5\n{hashes}\n{checkpoint}")
    for path in ["/tile/0/000", "/tile/2/x001/x234/067.p/5", "/tile/entries/x001/000.p/255"]:
        write("tile_path", path.strip("/").replace("/", "_"), path)
    write("bundle", "two", b"\x01\x00\x01a\x00\x02bc")
    write("scope", "open_ended", "write:repo/** write:repo/*/b write:repo/a/b")
    write("scope", "fixed", "read:*/b/** read:a/** read:a/b")
    for record in golden["records"]:
        write_record(record)
    trust = json.dumps(golden["trust"], separators=(",", ":"))
    (HERE / "seeds" / "trust.json").write_text(trust + "\n", encoding="utf-8")
    # The first byte is the length of pieces.
    write("pack", "whole", b"\xff" + golden["pack"].encode())
    write("pack", "proof", b"\x07" + golden["proof_file_of_6"].encode())
    pack = gzip.compress(golden["pack"].encode()[:3000], mtime=0)
    write("gzip", "one", b"\x05" + pack)
    write("gzip", "two", b"\xff" + pack + gzip.compress(b"{}\n" * 9, mtime=0))
    write("gzip", "plain", b"\x01" + b"{}\n")
    write_service(golden)


def write_service(golden):
    """What the service reads: requests, bodies of lines, settings, and what lies in folders of backups."""
    envelopes = [json.loads(record["leaf"])["envelope"] for record in golden["records"]]
    lines = [json.dumps(envelope, separators=(",", ":")) for envelope in envelopes]
    batch = "".join(f"{line}\n" for line in lines[:4])
    serve("lines", "four", batch)
    for path in REQUESTS:
        name = "".join(letter if letter.isalnum() else "_" for letter in path)
        serve("requests", name, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    for name, media, body in [("one", "json", lines[1]), ("many", "x-ndjson", batch)]:
        head = f"POST /v1/entries HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/{media}\r\n\r\n"
        serve("requests", f"post_{name}", head + body)
    chunked = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    serve("framing", "chunked", "\x05POST / HTTP/1.1\r\nHost: a\r\n" + chunked)
    serve("framing", "two_lengths", "\x05POST / HTTP/1.1\r\nContent-Length: 3\r\n" + chunked)
    serve("framing", "two", "\x40" + 2 * "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
    files = [{"path": path, "bytes": 9, "sha256": golden["trust"]["charter"]}
             for path in ["trust.json", "keys/log.pem", "webhooks/ops/position"]]
    manifest = {"backup": "dragons.backup/v1", "id": 7, "made_ms": 1767225600000,
                "charter": golden["trust"]["charter"], "checkpoint": golden["checkpoint"], "files": files}
    serve("manifest", "three_files", json.dumps(manifest, separators=(",", ":")) + "\n")
    mark = {"restored": "dragons.restored/v1", "backup": 7, "size": 16, "resumed": None}
    serve("restored", "waiting", json.dumps(mark, separators=(",", ":")))
    mark["resumed"] = {"at_ms": 1767225600000, "checkpoint": golden["checkpoint"]}
    serve("restored", "resumed", json.dumps(mark, separators=(",", ":")))
    serve("config", "few", 'data = "log"\nlisten = "127.0.0.1:7117"\nhost = ["a.example"]\nqueue = 16\n')
    serve("config", "hook", 'data = "log"\n[[webhooks]]\nname = "ops"\nurl = "https://a.example/x"\n')
    hash = golden["trust"]["charter"]
    for name, line in [
        ("hello", {"hello": {"protocol": 1}}),
        ("goal", {"id": 1, "goal": {"title": "a", "requester": "b", "session": "s", "host": "h"}}),
        ("intent", {"id": "x", "intent": {"scope": "read:a/b", "goal": hash, "tool": "t", "digest": hash, "inputs": {"a": "b"},
                    "parents": [hash], "tokens": 1, "cost_micros": 2, "session": "s", "host": "h", "call": "c", "part": 1,
                    "subagent": "x", "refs": {"trace": "7"}, "deadline_ms": 9}}),
        ("result", {"result": {"call": "c", "session": "s", "status": "error", "outputs": {"a": "b"}, "duration_ms": 1}}),
        ("outcome", {"outcome": {"verdict": "accepted", "goal": hash, "checks": [{"name": "n", "record": hash}]}}),
        ("session", {"session": {"session": "s", "root": "/a", "cancel": "calls", "calls": ["c"], "end": "turn"}}),
        ("progress", {"progress": 7}),
        ("disclose", {"id": 3, "disclose": {"record": hash, "side": "inputs", "name": "a"}}),
    ]:
        serve("socket", name, json.dumps(line, separators=(",", ":")) + "\n")


def serve(target, name, content):
    write(target, name, content, HERE / "service" / "seeds")


def write_record(record):
    name = f"{record['index']:02}-{record['kind']}"
    payload = record["payload"].encode()
    envelope = json.loads(record["leaf"])["envelope"]
    write("leaf", name, record["leaf"])
    write("envelope", name, json.dumps(envelope, separators=(",", ":")))
    write("json", name, payload)
    write("record", name, bytes([KINDS.index(record["kind"])]) + payload)


def write(target, name, content, seeds=HERE / "seeds"):
    folder = seeds / target
    folder.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
