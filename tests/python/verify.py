#!/usr/bin/env python3
"""A second verifier of the log layer of evidence, written from docs/formats.md and the specifications that it names.

`verify.py TRUST.json FILE...` prints a line of JSON for each proof file, state proof or pack: what the checks of form,
checkpoint, witnesses, inclusion, consistency and leaves came to, and the codes of what was found. What a record says beside its
log, and who signed it, is another layer. It needs the standard library and `cryptography`, no network and no clock.
"""
import base64, bisect, contextlib, hashlib, json, re, sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CHECKS = "form checkpoint witnesses inclusion consistency leaves".split()
MAX_NOTE, MAX_PROOF_FILE, MAX_LEAF, MAX_PAYLOAD = 1_000_000, 2_000_000, 48 * 1024, 32 * 1024
MAX_HEAD_LINE, MAX_LIST_LINE, MAX_LEAF_LINE = 2_016_384, 12_582_912, 98_368
MAX_WINDOW_HASHES, MAX_HASHES, COSIGNATURE, ML_DSA = 128, 262_144, 4, 6

class Refused(Exception):
    """Evidence is not what it should be: a code, and a sentence."""

def need(condition, code, why=""):
    if not condition:
        raise Refused(code, why)

@contextlib.contextmanager
def or_else(code):
    try:
        yield
    except (ValueError, RecursionError, InvalidSignature) as error:
        raise Refused(code, repr(error)) from error

# What bytes and texts mean: each value has one spelling.
def unbase64(text, code, length=None):
    with or_else(code):
        data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text and length in (None, len(data)), code, f"{text!r} is misspelt")
    return data

def number(text, code):
    need(re.fullmatch("0|[1-9][0-9]{0,19}", text) and int(text) < 2**64, code, f"{text!r} is not a number")
    return int(text)
def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")

def strict_json(data, code):
    """One value, no space around it, no member twice, no numbers but whole ones from 0 to 2^53 - 1."""
    def members(pairs):
        need(len(dict(pairs)) == len(pairs), code, "a member twice")
        return dict(pairs)
    def integer(text):
        need(text.isdigit() and len(text) < 17 and int(text) < 2**53, code, f"the number {text}")
        return int(text)
    need(data == data.strip(b" \t\r\n"), code, "space around the value")
    with or_else(code):
        value = json.loads(data.decode("utf-8"), object_pairs_hook=members,
                           parse_int=integer, parse_float=integer, parse_constant=integer)
        compact(value)  # Has no spelling for a lone surrogate.
    return value

def shape(value, types, malformed="malformed", unknown="unknown-member"):
    """The members of an object: each there and of its type, and no other."""
    need(isinstance(value, dict) and all(type(value.get(name)) is kind for name, kind in types.items()), malformed)
    need(len(value) == len(types), unknown, "a member too many")
    return [value[name] for name in types]

# Signed notes, checkpoints and whom to believe: c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy.
class Key:
    def __init__(self, vkey):
        self.name, key_id, blob = vkey.split("+", 2)
        blob = base64.b64decode(blob)
        self.id, self.type, self.bytes = bytes.fromhex(key_id), blob[0], blob[1:]
    def signed(self, checkpoint):
        own = [blob[4:] for name, blob in checkpoint.lines if (name, blob[:4]) == (self.name, self.id)]
        for signature in own if self.type != ML_DSA else []:
            text = checkpoint.text.encode()
            if self.type == COSIGNATURE:
                text = b"cosignature/v1\ntime %d\n%s" % (int.from_bytes(signature[:8], "big"), text)
                signature = signature[8:]
            with or_else("checkpoint-signature-invalid"):
                Ed25519PublicKey.from_public_bytes(self.bytes).verify(signature, text)
        return bool(own) and self.type != ML_DSA  # None of them was wrong.

class Checkpoint:
    def __init__(self, note):
        code = "checkpoint-malformed"
        need(len(note.encode()) <= MAX_NOTE and not re.search(r"[\x00-\x09\x0b-\x1f]", note), code, "its characters")
        self.text, _, lines = note.rpartition("\n\n")
        lines = [re.fullmatch(r"— ([^\s+]+) (\S+)\n", line) for line in lines.splitlines(keepends=True)]
        need(self.text.count("\n") >= 2 and 1 <= len(lines) <= 100 and all(lines), code, "its lines")
        self.lines = [(line[1], unbase64(line[2], code)) for line in lines]
        self.origin, size, root, *extensions = self.text.split("\n")
        need(self.origin and all(extensions) and all(len(blob) > 4 for _, blob in self.lines), code, "an empty line")
        self.text, self.size, self.root = self.text + "\n", number(size, code), unbase64(root, code, 32)

class Trust:
    def __init__(self, data):
        trust = json.loads(data)
        self.charter, self.logs, self.parties, self.quorum = trust["charter"], [], {}, None
        for word, name, *words in filter(None, map(str.split, trust["policy"].splitlines())):
            if word == "log":
                self.logs.append(Key(name))
            elif word in ("witness", "group"):
                self.parties[name] = words
            self.quorum = name if word == "quorum" else self.quorum
    def check_log(self, checkpoint):
        own = [key for key in self.logs if key.name == checkpoint.origin]
        need(own, "origin-unknown", checkpoint.origin)
        need(any([key.signed(checkpoint) for key in own]), "checkpoint-signature-invalid", "not signed by the log")
    def check_witnesses(self, checkpoint):
        reached = {"none": True}
        for name, (first, *members) in self.parties.items():
            needed = {"all": len(members), "any": 1}.get(first, first)  # A key, if it is the line of a witness.
            reached[name] = (Key(first).signed(checkpoint) if "+" in first
                             else sum(reached[member] for member in members) >= int(needed))
        need(reached[self.quorum], "quorum-not-met")
        return self.quorum != "none"  # Whether there was anything to check.

# The tree: RFC 6962, and the proof of many leaves at once of docs/formats.md.
def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()
def node(left, right):
    return sha256(b"\x01", left, right)
def left_size(size):
    return 1 << (size - 1).bit_length() - 1

class Proof(list):
    """Hashes that are used up from the end on: not one too few, not one too many."""
    def __init__(self, texts, most=MAX_WINDOW_HASHES):
        need(len(texts) <= most and all(isinstance(text, str) for text in texts), "proof-malformed", "no hashes")
        super().__init__(unbase64(text, "proof-malformed", 32) for text in texts)
    def take(self):
        need(self, "proof-malformed", "a hash is missing")
        return self.pop()
    def check(self, found, wanted, code):
        need(not self, "proof-surplus", f"{len(self)} hashes")
        need(found == wanted, code, "another root")

def check_inclusion(head, index, leaf, path):
    def root(index, size):
        if size == 1:
            return leaf
        left, sibling = left_size(size), path.take()
        return node(root(index, left), sibling) if index < left else node(sibling, root(index - left, size - left))
    need(index < head.size, "index-out-of-range", f"{index} of {head.size}")
    path.check(root(index, head.size), head.root, "root-mismatch")

def check_subset(head, leaves, proof):
    """Chosen leaves {index: hash}, and the hashes of the subtrees without one, left to right."""
    def root(start, size):
        first = bisect.bisect_left(indices, start)
        if first == len(indices) or indices[first] >= start + size:
            return proof.take()
        left = left_size(size) if size > 1 else 0
        return node(root(start, left), root(start + left, size - left)) if left else leaves[start]
    indices, _ = sorted(leaves), proof.reverse()
    proof.check(root(0, head.size), head.root, "root-mismatch")

def check_consistency(trust, head, old, proof):
    """RFC 6962, section 2.1.2: both roots come out of one list, whose end belongs to the top of the tree."""
    def roots(old_size, size, is_old_tree):
        if old_size == size:
            return (old.root if is_old_tree else proof.take(),) * 2
        left, sibling = left_size(size), proof.take()
        if old_size <= left:
            older, newer = roots(old_size, left, is_old_tree)
            return older, node(newer, sibling)
        older, newer = roots(old_size - left, size - left, False)
        return node(sibling, older), node(sibling, newer)
    need(old.origin == head.origin, "origin-unknown", old.origin)
    trust.check_log(old)
    need(old.size <= head.size, "proof-malformed", "the sizes are reversed")
    found = roots(old.size, head.size, True) if old.size else (sha256(), head.root)
    is_proof_bad = old.size < head.size and found[1] != head.root
    proof.check(found, (old.root, head.root), "root-mismatch" if is_proof_bad else "inconsistent")

# Leaves, proof files, packs: docs/formats.md and c2sp.org/tlog-proof.
def read_leaf(data):
    """When the log received it, the name of the record in it, the log that this was made for, and its kind."""
    need(len(data) <= MAX_LEAF, "too-large")
    received, envelope = shape(strict_json(data, "not-strict-json"), {"received_ms": int, "envelope": dict})
    kind, text, signatures = shape(envelope, {"payloadType": str, "payload": str, "signatures": list})
    signatures = [shape(signature, {"keyid": str, "sig": str}) for signature in signatures]
    sound = [re.fullmatch("[0-9a-f]{32}", keyid) and unbase64(sig, "malformed", 64) for keyid, sig in signatures]
    need(all(sound) and 1 <= len(sound) <= 16, "malformed", "its signatures")
    payload = unbase64(text, "malformed")
    need(len(payload) <= MAX_PAYLOAD, "too-large")
    need(len(dict(signatures)) == len(signatures), "key-repeated")
    signatures = [{"keyid": keyid, "sig": sig} for keyid, sig in sorted(signatures)]
    envelope = {"payloadType": kind, "payload": text, "signatures": signatures}
    need(compact({"received_ms": received, "envelope": envelope}) == data, "leaf-not-canonical")
    content = strict_json(payload, "not-strict-json")
    need(isinstance(content, dict) and "log" in content, "malformed", "the payload names no log")
    name = sha256(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    return received, f"sha256:{name.hex()}", content["log"], kind

def read_proof_file(data):
    need(data.startswith(b"c2sp.org/tlog-proof@") and len(data) <= MAX_PROOF_FILE, "pack-malformed", "its start")
    with or_else("pack-malformed"):
        proof, blank, note = data.decode("utf-8").partition("\n\n")
    need(blank, "proof-malformed", "no checkpoint")
    need(proof.startswith("c2sp.org/tlog-proof@v1\n"), "pack-malformed", "another version")
    parts = re.fullmatch(r"[^\n]*(?:\nextra ([^\n]*))?\nindex ([^\n]*)((?:\n[^\n]+)*)", proof)
    need(parts, "proof-malformed", "its lines")
    leaf = None if parts[1] is None else unbase64(parts[1], "proof-malformed")
    return leaf, number(parts[2], "proof-malformed"), Proof(parts[3].split("\n")[1:]), Checkpoint(note)

LINES = {  # The members of each line of a pack, and what may follow.
    "pack": ({"pack": str, "origin": str, "size": int, "selection": dict, "count": int}, ["checkpoint"]),
    "checkpoint": ({"checkpoint": str}, ["earlier", "disclosures", "state", "proof"]),
    "earlier": ({"earlier": dict}, ["disclosures", "state", "proof"]),
    "disclosures": ({"disclosures": list}, ["state", "proof"]),
    "state": ({"state": dict}, ["entry", "proof"]),
    "entry": ({"entry": dict}, ["entry", "proof"]),
    "proof": ({"proof": list}, ["index"]),
    "index": ({"index": int, "leaf": str}, ["index"]),
}
STATE_PROOF = {  # The lines of a state proof, which stand in this order; the last may be there twice, or be missing.
    "state_proof": {"state_proof": str, "origin": str, "size": int, "agent": str, "pulse": int},
    "checkpoint": {"checkpoint": str}, "inclusion": {"inclusion": list}, "index": {"index": int, "leaf": str},
    "branches": {"branches": dict}, "entry": {"entry": dict, "position": int, "path": list},
}
SELECTION = rb'{"range":{"from":([0-9]+),"to":([0-9]+)}}|{"(?:agent|goal)":"[A-Za-z0-9._:@+-]+"}'

def read_line(data, limit, may_come):
    need(data.endswith(b"\n") and len(data) <= limit, "pack-malformed", "no line, or too long a one")
    value = strict_json(data[:-1], "pack-malformed")
    kind = next(iter(value), None) if isinstance(value, dict) else None
    need(kind in LINES and list(value) == list(LINES[kind][0]), "pack-malformed", f"a line with {kind}")
    need(compact(value) + b"\n" == data, "pack-malformed", "another spelling")
    need(kind in may_come, "pack-order", f"{kind} in the place of {may_come}")
    return kind, shape(value, LINES[kind][0], "pack-malformed")

# The governance state: an entry of the log, one an agent by name, one a lease in the order of the log.
def tree_root(leaves):
    left = left_size(len(leaves)) if len(leaves) > 1 else 0
    return node(tree_root(leaves[:left]), tree_root(leaves[left:])) if left else leaves[0] if leaves else sha256()

def state_root(log, *branches):
    """How many entries there are in all, and the root over the log's entry and the two branches."""
    named = [{name: {"entries": count, "root": base64.b64encode(root).decode()}}
             for name, (count, root) in zip(("agents", "leases"), branches)]
    return 1 + sum(count for count, _ in branches), tree_root([log] + [sha256(b"\0", compact(it)) for it in named])

def branch(value, code):
    count, root = shape(value, {"entries": int, "root": str}, code)
    return count, unbase64(root, code, 32)

def check_state(size, told, entries):
    """The entries of a pack lead to the state that it names; each kind stands in its order."""
    hashes = {kind: [sha256(b"\0", compact(entry)) for entry in entries if next(iter(entry)) == kind]
              for kind in ("log", "agent", "lease")}
    need(len(hashes["log"]) == 1, "pack-malformed", "not one entry of the log")
    branches = [(len(hashes[kind]), tree_root(hashes[kind])) for kind in ("agent", "lease")]
    need(state_root(hashes["log"][0], *branches) == told, "root-mismatch", "another state")
    need(next(entry["size"] for entry in entries if "log" in entry) == size, "root-mismatch", "of another size")

def check_opened(agent, state, log, agents, leases, entries):
    """What a pulse says of an agent: its entry and its lease's, or the neighbours of where it would stand."""
    code, opened = "disclosure-mismatch", []
    need(state_root(log, agents, leases) == state, code, "not the state that the pulse names")
    for entry, position, path in entries:
        kind = next(iter(entry), None)
        need(kind in ("agent", "lease"), code, f"an entry of {kind}")
        count, root = agents if kind == "agent" else leases
        with_root = type("Head", (), {"size": count, "root": root})
        try:
            check_inclusion(with_root, position, sha256(b"\0", compact(entry)), path)
        except Refused as refused:
            raise Refused(code, refused.args[1])
        opened.append((kind, entry[kind], position, entry))
    if opened and opened[0][:2] == ("agent", agent):
        lease = opened[0][3]["lease"]
        return need([it[:2] for it in opened[1:]] == [("lease", lease)] * (lease is not None), code, "its lease")
    need(all(kind == "agent" for kind, *_ in opened), code, "no neighbours")
    match [(name, position) for _, name, position, _ in opened]:
        case []: found = agents == (0, sha256())
        case [(name, position)]: found = agent < name if position == 0 and agent < name else position == agents[0] - 1 and name < agent
        case [(one, at), (other, behind)]: found = behind == at + 1 and one < agent < other
    need(found, code, f"{agent} may stand between the entries")

def read_state_proof(data):
    code, values = "pack-malformed", []
    need(data.endswith(b"\n") and len(data) <= MAX_PROOF_FILE, code, "its length")
    lines, kinds = data.splitlines(keepends=True), list(STATE_PROOF)
    need(5 <= len(lines) <= 7, code, "its lines")
    for line, kind in zip(lines, kinds + ["entry"]):
        value = strict_json(line[:-1], code)
        need(isinstance(value, dict) and list(value) == list(STATE_PROOF[kind]), code, f"no line with {kind}")
        need(compact(value) + b"\n" == line, code, "another spelling")
        values.append(shape(value, STATE_PROOF[kind], code))
    (form, origin, size, agent, pulse), (note,), (path,), (index, leaf), (branches,), *entries = values
    checkpoint, (log, agents, leases) = Checkpoint(note), shape(branches, {"log": str, "agents": dict, "leases": dict}, code)
    need(form == "dragons.state-proof/v1" and (origin, size, pulse) == (checkpoint.origin, checkpoint.size, index), code, form)
    entries = [(entry, position, Proof(path)) for entry, position, path in entries]
    return agent, checkpoint, Proof(path), index, leaf.encode(), unbase64(log, code, 32), branch(agents, code), branch(leases, code), entries

class Verifier:
    def __init__(self, trust):
        self.trust, self.codes, self.status = trust, set(), dict.fromkeys(CHECKS, "skipped")
        self.head, self.leaves, self.last_ms = None, {}, 0
    def check(self, name, function, *arguments):
        try:
            value = function(*arguments)
            if self.status[name] != "fail":
                self.status[name] = "skipped" if value is False else "pass"
            return value
        except Refused as refused:
            self.status[name] = "fail"
            self.codes.add(refused.args[0])
    def take_head(self, checkpoint):
        self.check("checkpoint", self.trust.check_log, checkpoint)
        if self.status["checkpoint"] == "pass":
            self.head = checkpoint
            self.check("witnesses", self.trust.check_witnesses, checkpoint)
    def check_leaf(self, index, data):
        received, record, log, kind = read_leaf(data)
        need(log is not None or record == self.trust.charter or "charter" not in kind, "trust-mismatch", record)
        need(record == self.trust.charter if log is None else log == self.trust.charter, "origin-mismatch", record)
        need(index or record == self.trust.charter, "charter-missing", record)
        before, self.last_ms = self.last_ms, received
        need(received >= before, "time-regressed", f"{received} after {before}")
    def check_proof_file(self, data):
        leaf, index, path, checkpoint = self.check("form", read_proof_file, data) or [None] * 4
        checkpoint and self.take_head(checkpoint)
        if leaf is not None:
            self.head and self.check("inclusion", check_inclusion, self.head, index, sha256(b"\0", leaf), path)
            self.check("leaves", self.check_leaf, index, leaf)
    def check_state_proof(self, data):
        agent, checkpoint, path, index, leaf, *rest = self.check("form", read_state_proof, data) or [None] * 9
        if checkpoint:
            self.status["disclosures"] = "skipped"
            self.take_head(checkpoint)
            self.head and self.check("inclusion", check_inclusion, self.head, index, sha256(b"\0", leaf), path)
            self.check("leaves", self.check_leaf, index, leaf)
            payload = json.loads(base64.b64decode(json.loads(leaf)["envelope"]["payload"]))
            if self.status["leaves"] == "pass" and (state := payload.get("state")):
                told = branch(state, "disclosure-mismatch")
                self.check("disclosures", check_opened, agent, told, *rest)
                if self.status["inclusion"] != "pass" and self.status["disclosures"] == "pass":
                    self.status["disclosures"] = "skipped"
    def check_pack(self, file):
        self.check("form", self.read_pack, file)
        if self.status["form"] == "fail":
            self.status["leaves"] = "fail" if self.status["leaves"] == "fail" else "skipped"
        elif self.head:
            self.check("inclusion", check_subset, self.head, self.leaves, self.proof)
    def read_pack(self, file):
        may_come, limit, lowest, entries = ["pack"], MAX_HEAD_LINE, 0, None
        while data := file.readline(limit + 1):
            kind, members = read_line(data, limit, may_come)
            may_come = LINES[kind][1]
            match kind, *members:
                case "pack", form, origin, size, selection, count:
                    need(form == "dragons.pack/v1", "pack-malformed", form)
                    need(parts := re.fullmatch(SELECTION, compact(selection)), "pack-malformed", "no selection")
                    indices = range(int(parts[1]), int(parts[2])) if parts[1] else range(size)
                    need(indices and indices[-1] < size, "pack-selection", f"{indices} of {size}")
                    need(count == len(indices) if parts[1] else 1 <= count <= size, "pack-count", f"{count}")
                case "checkpoint", text:
                    limit = MAX_LIST_LINE
                    self.take_head(Checkpoint(text))
                    need(not self.head or (origin, size) == (self.head.origin, self.head.size), "pack-malformed", origin)
                case "earlier", earlier:
                    old, proof = shape(earlier, {"checkpoint": str, "consistency": list}, "pack-malformed")
                    old, proof = Checkpoint(old), Proof(proof)
                    self.head and self.check("consistency", check_consistency, self.trust, self.head, old, proof)
                case "state", state:
                    state_size, *told = shape(state, {"size": int, "entries": int, "root": str}, "pack-malformed")
                    state, entries = (told[0], unbase64(told[1], "pack-malformed", 32)), []
                case "entry", entry:
                    entries.append(entry)
                case "proof", hashes:
                    self.head and entries is not None and self.check("leaves", check_state, state_size, state, entries)
                    self.proof, limit = Proof(hashes, MAX_WINDOW_HASHES if parts[1] else MAX_HASHES), MAX_LEAF_LINE
                case "index", index, leaf:
                    need(index in indices, "pack-selection", f"{index}")
                    need(index >= lowest, "pack-order", f"{index} where {lowest} is the lowest left")
                    need(len(self.leaves) < count, "pack-count", f"more than {count}")
                    lowest, self.leaves[index] = index + 1, sha256(b"\0", leaf.encode())
                    self.check("leaves", self.check_leaf, index, leaf.encode())
        need(may_come == ["index"], "pack-malformed", "it ends before the leaves")
        need(len(self.leaves) == count, "pack-count", f"{len(self.leaves)} of {count}")

if __name__ == "__main__":
    trust, *paths = sys.argv[1:]
    for path in paths:
        verifier, file = Verifier(Trust(open(trust, "rb").read())), open(path, "rb")
        start = file.peek(16)
        if start.startswith(b'{"pack":'):
            verifier.check_pack(file)
        elif start.startswith(b'{"state_proof":'):
            verifier.check_state_proof(file.read(MAX_PROOF_FILE + 1))
        else:
            verifier.check_proof_file(file.read(MAX_PROOF_FILE + 1))
        print(json.dumps({"file": path, "checks": verifier.status, "codes": sorted(verifier.codes)}))
