#!/usr/bin/env python3
"""Writes seeds/ from the golden history of ledger's tests: valid inputs to begin from."""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "ledger" / "tests" / "golden.json"

# The order of `Kind::ALL`, which the record target counts in.
KINDS = """charter manifest lease lease-renewal lease-revocation order
heartbeat receipt transition refusal pulse observation""".split()


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


def write_record(record):
    name = f"{record['index']:02}-{record['kind']}"
    payload = record["payload"].encode()
    envelope = json.loads(record["leaf"])["envelope"]
    write("leaf", name, record["leaf"])
    write("envelope", name, json.dumps(envelope, separators=(",", ":")))
    write("json", name, payload)
    write("record", name, bytes([KINDS.index(record["kind"])]) + payload)


def write(target, name, content):
    folder = HERE / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
