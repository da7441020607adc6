"""A speaker to test against: the socket's lines as docs/socket.md has them, with the log left out."""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
import json
import os
import socketserver
import tempfile
import threading
from typing import Any, Callable, Dict, List, Optional

Line = Dict[str, Any]

#: What `hello` answers, beside `ok`.
HELLO = {
    "protocol": 1,
    "version": "0.1.0",
    "agent": "worker",
    "epoch": 1,
    "mode": "enforce",
    "members": {
        **{kind: ["call", "session", "host", "deadline_ms"] for kind in ("goal", "intent", "result", "session")},
        "progress": ["steps", "session", "host"],
    },
}


class FakeSpeaker:
    """Answers on a socket in a folder of its own until it is closed.

    ``knows_ids`` makes it one that knows `hello` and `id`, or one that knows neither. ``allow`` are patterns of scopes.
    """

    def __init__(self, *, knows_ids: bool = True, allow: str = "*") -> None:
        self.knows_ids = knows_ids
        self.allow = allow
        #: Every line but `hello`, in the order in which it came, without its id.
        self.lines: List[Line] = []
        #: How many connections were made.
        self.connections = 0
        #: The most lines that came in one piece.
        self.most_at_once = 0
        #: Replaces an answer, or is asked to wait before it is given.
        self.before: Callable[[Line], Optional[Line]] = lambda line: None
        self.came = threading.Condition()
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._open: List[Any] = []
        self._folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self._folder.name, "socket")
        self._server: Any = None
        self.start()

    def start(self) -> None:
        speaker = self

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                try:
                    speaker._converse(self)
                except ConnectionResetError:
                    pass  # The client was killed, or closed with an answer unread.

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(self.path, Conversation)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Goes away, with all its connections, as a process does that is killed."""
        self._server.shutdown()
        self._server.server_close()
        os.unlink(self.path)
        self.hang_up()

    def hang_up(self) -> None:
        """Closes the connections, and goes on listening."""
        with self._lock:
            connections, self._open = self._open, []
        for connection in connections:
            try:
                connection.shutdown(2)
            except OSError:
                pass

    def close(self) -> None:
        if os.path.exists(self.path):
            self.stop()
        self._folder.cleanup()

    def __enter__(self) -> "FakeSpeaker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def of(self, kind: str) -> List[Any]:
        """What came of a kind of line."""
        return [line[kind] for line in self.lines if kind in line]

    def wait_for(self, kind: str, count: int) -> List[Any]:
        """The same, once there are as many."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.of(kind)) >= count, 30), self.lines
        return self.of(kind)

    def _converse(self, conversation: Any) -> None:
        with self._lock:
            self.connections += 1
            self._open.append(conversation.connection)
        writing = threading.Lock()

        def answer(line: Line) -> None:
            said = {"id": line["id"]} if "id" in line else {}
            said.update(self._answer({name: value for name, value in line.items() if name != "id"}))
            with writing:
                try:
                    conversation.wfile.write(json.dumps(said).encode() + b"\n")
                except (OSError, ValueError):
                    pass  # Whoever hung up does not want it.

        rest = b""
        while received := conversation.connection.recv(1 << 20):
            *lines, rest = (rest + received).split(b"\n")
            self.most_at_once = max(self.most_at_once, len(lines))
            for line in lines:
                parsed = json.loads(line)
                if "id" in parsed:
                    # Answers come in the order in which they are ready.
                    threading.Thread(target=answer, args=(parsed,), daemon=True).start()
                else:
                    answer(parsed)

    def _answer(self, line: Line) -> Line:
        if "hello" in line:
            return {"ok": True, **HELLO} if self.knows_ids else _no("malformed", "a line says one of goal, intent")
        unknown = [name for kind in line.values() if isinstance(kind, dict) for name in kind if name in ("call", "session")]
        if unknown and not self.knows_ids:
            return _no("unknown-member", unknown[0])
        with self.came:
            self.lines.append(line)
            self.came.notify_all()
        replaced = self.before(line)
        return self._usual(line) if replaced is None else replaced

    def _usual(self, line: Line) -> Line:
        if "progress" in line:
            return {"ok": True}
        number = next(self._count)
        record = "sha256:" + hashlib.sha256(str(number).encode()).hexdigest()
        answer = {"ok": True, "record": record, "index": number, "received_ms": 1000 + number, "waits": False}
        if "intent" in line:
            scope = line["intent"]["scope"]
            if not fnmatch.fnmatch(scope, self.allow):
                return _no("scope-denied", f"the lease does not allow {scope}")
            answer.update({"intent": record, "lapses_ms": 61000})
        return answer


def _no(code: str, detail: str) -> Line:
    return {"ok": False, "code": code, "detail": detail}
