"""The socket: JSON lines to the process that speaks for the agent, matched by id.

One thread owns the connection, so callers of any kind wait on futures: threads by ``result()``, tasks by
``asyncio.wrap_future``. Each answer is a dictionary; where there is none, the reason has the same form, as
``{"ok": false, "code": "no-socket", …}``.

The first line of a connection is ``hello``. Who does not know it (``dragons run`` of an earlier version) knows no ids
either, and is then asked one thing at a time.
"""

from __future__ import annotations

import collections
import itertools
import json
import selectors
import socket
import threading
from concurrent.futures import Future
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

Request = Dict[str, Any]
Answer = Dict[str, Any]

#: The version of the socket's lines that this package speaks.
PROTOCOL = 1

#: The longest line in either direction.
MAX_LINE_BYTES = 1024 * 1024

#: How often a request is given to a connection before it is given up: once, and once more where the first was lost.
_MAX_TRIES = 2

#: What may be left out for an end that does not know it: names by which an action is found again.
_LEFT_OUT = frozenset({"call", "session", "host", "deadline_ms"})

#: What such an end answers to `hello`.
_UNKNOWN = ("malformed", "unknown-member")

#: A line that such an end does not know at all.
_NEWER_LINE = "session"


class Asked:
    """A request on its way, and the future of its answer."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.future: Future[Answer] = Future()
        self.tries = 0

    def settle(self, answer: Answer) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(answer)

    def say_again(self) -> None:
        """A result that names its intent is wrong if the first one came through; one that names its call is not."""
        if "result" in self.request:
            said = {name: value for name, value in self.request["result"].items() if name != "intent"}
            self.request = {"result": said}

    def survives_a_lost_connection(self) -> bool:
        """Whether sending it twice is the same as sending it once.

        An action is known by its session and its call, a goal by its session. Without a session they belong to the
        connection, which is gone.
        """
        for kind, needs in (("intent", {"call", "session"}), ("result", {"call", "session"}), ("goal", {"session"})):
            if kind in self.request:
                return needs <= set(self.request[kind])
        return "outcome" not in self.request


class Wire:
    """A connection that opens itself, and opens itself again. Thread-safe; not to be used across a fork."""

    def __init__(self, path: Callable[[], Optional[str]]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._asked: Deque[Asked] = collections.deque()
        self._pair: Optional[Tuple[socket.socket, socket.socket]] = None
        self._thread: Optional[threading.Thread] = None
        self._is_closing = False
        self._is_in_haste = False
        self._connection = _Connection()

    def ask(self, request: Request) -> "Future[Answer]":
        """Sends a line, and returns the future of its answer.

        Raises ``ValueError`` for what is not JSON in UTF-8.
        """
        asked = Asked(request)
        if len(_line(request)) >= MAX_LINE_BYTES:
            asked.settle({**_no("too-large", f"a line has at most {MAX_LINE_BYTES} bytes"), "by": "line"})
            return asked.future
        with self._lock:
            if self._is_closing:
                asked.settle(_CLOSED)
                return asked.future
            self._asked.append(asked)
            if self._thread is None:
                self._pair = _pair()
                self._thread = threading.Thread(target=self._run, args=self._pair[1:], name="dragons", daemon=True)
                self._thread.start()
            self._wake()
        return asked.future

    def close(self, timeout_s: float) -> None:
        """Waits for the answers, this long at most, and ends the thread. What has none then gets the code ``stopping``."""
        with self._lock:
            self._is_closing = True
            thread = self._thread
            self._wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
            self._is_in_haste = True
            self._wake()
            thread.join()
            self.abandon()

    def abandon(self) -> None:
        """Closes this process's copies of the descriptors, as a child does after a fork."""
        self._connection.close()
        for end in self._pair or ():
            end.close()

    def _wake(self) -> None:
        try:
            if self._pair is not None:
                self._pair[0].send(b".")
        except OSError:
            pass  # It is full, so the thread will wake all the same; or closed, so that there is none.

    def _run(self, woken: socket.socket) -> None:
        connection = self._connection
        while True:
            connection.wait(woken)
            try:
                while woken.recv(4096):
                    pass
            except BlockingIOError:
                pass
            with self._lock:
                connection.unsent.extend(self._asked)
                self._asked.clear()
                is_closing = self._is_closing
            connection.work(self._path)
            if self._is_in_haste or is_closing and not connection.is_busy():
                connection.give_up(_CLOSED)
                return


def _pair() -> Tuple[socket.socket, socket.socket]:
    waker, woken = socket.socketpair()
    waker.setblocking(False)
    woken.setblocking(False)
    return waker, woken


class _Connection:
    """What the thread knows about the other end. Nothing else touches it."""

    def __init__(self) -> None:
        self.unsent: Deque[Asked] = collections.deque()
        self._sent: Dict[int, Asked] = {}
        self._ids = itertools.count(1)
        self._socket: Optional[socket.socket] = None
        self._known: Optional[Answer] = None
        self._has_ids = False
        self._incoming = b""
        self._outgoing = b""

    def wait(self, woken: socket.socket) -> None:
        """Waits until there is something to do."""
        with selectors.PollSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            if self._socket is not None:
                events = selectors.EVENT_READ
                if self._outgoing:
                    events |= selectors.EVENT_WRITE
                selector.register(self._socket, events)
            selector.select()

    def work(self, path: Callable[[], Optional[str]]) -> None:
        """Does what can be done without waiting."""
        try:
            self._read()
            if self._socket is None and self.unsent:
                self._open(path())
            self._send()
            self._write()
        except OSError as error:
            self._lose(str(error))
            if self.unsent:
                self.work(path)

    def is_busy(self) -> bool:
        return bool(self.unsent or self._sent)

    def give_up(self, reason: Answer) -> None:
        for asked in (*self._sent.values(), *self.unsent):
            asked.settle(reason)
        self._sent.clear()
        self.unsent.clear()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _open(self, path: Optional[str]) -> None:
        if path is None:
            self.give_up(_no("no-socket", "DRAGONS_SOCKET names no socket, and no agent's is known"))
            return
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.connect(path)
        except OSError as error:
            opened.close()
            self.give_up(_no("no-socket", f"{path}: {error.strerror or error}"))
            return
        opened.setblocking(False)
        self._socket, self._known, self._has_ids, self._incoming = opened, None, False, b""
        self._outgoing = _line({"hello": {"protocol": PROTOCOL}})
        for asked in self.unsent:
            asked.tries += 1

    def _send(self) -> None:
        """Sends what may go: everything, or one line at a time if answers have no ids."""
        while self._known is not None and self.unsent and (self._has_ids or not self._sent):
            asked, number = self.unsent.popleft(), next(self._ids)
            if _NEWER_LINE in asked.request and not self._has_ids:
                asked.settle(_no("malformed", "the other end knows no sessions"))
                continue
            asked.tries = max(asked.tries, 1)
            self._sent[number] = asked
            self._outgoing += _line(self._fitting(number, asked.request))

    def _fitting(self, number: int, request: Request) -> Request:
        """The request without what the other end does not know."""
        fits: Request = {"id": number} if self._has_ids else {}
        for kind, said in request.items():
            known = set((self._known or {}).get("members", {}).get(kind, ()))
            if kind == "progress" and isinstance(said, dict) and "steps" not in known:
                fits[kind] = said["steps"]
                continue
            unknown = _LEFT_OUT - known
            fits[kind] = {n: v for n, v in said.items() if n not in unknown} if isinstance(said, dict) else said
        return fits

    def _write(self) -> None:
        if self._socket is None or not self._outgoing:
            return
        try:
            self._outgoing = self._outgoing[self._socket.send(self._outgoing) :]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self._outgoing = b""  # It may have said why before it hung up, so reading decides.

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            received = self._socket.recv(65536)
        except BlockingIOError:
            return
        if not received:
            raise ConnectionError("the other end closed the connection")
        *lines, self._incoming = (self._incoming + received).split(b"\n")
        if len(self._incoming) > MAX_LINE_BYTES:
            raise ConnectionError("the other end sends a line without an end")
        for line in lines:
            self._take(_parsed(line))

    def _take(self, answer: Answer) -> None:
        if self._known is None:
            self._greeted(answer)
            return
        number = answer.pop("id", None) if self._has_ids else next(iter(self._sent), None)
        asked = self._sent.pop(number, None) if isinstance(number, int) else None
        if asked is None:
            raise ConnectionError(f"the other end answers a question that was not asked: {answer}")
        asked.settle(answer)

    def _greeted(self, answer: Answer) -> None:
        """The first answer of a connection: the one to `hello`, or that there is no place for this connection."""
        if answer.get("ok") is not True and answer.get("code") not in _UNKNOWN:
            self.close()
            self.give_up({"by": "speaker", **answer, "ok": False})
            return
        self._known, self._has_ids = answer, answer.get("ok") is True

    def _lose(self, reason: str) -> None:
        """The connection is gone. What may be sent twice is sent again, the rest learns that its answer is lost."""
        self.close()
        again: List[Asked] = []
        for asked in self._sent.values():
            survives = self._has_ids and asked.survives_a_lost_connection()
            if survives and asked.tries < _MAX_TRIES:
                asked.say_again()
                again.append(asked)
            else:
                asked.settle(_no("connection-lost", reason))
        self._sent.clear()
        waiting = [*again, *self.unsent]
        self.unsent.clear()
        for asked in waiting:
            if asked.tries < _MAX_TRIES:
                self.unsent.append(asked)
            else:
                asked.settle(_no("connection-lost", reason))


def _no(code: str, detail: str) -> Answer:
    return {"ok": False, "code": code, "detail": detail, "by": "speaker"}


_CLOSED = _no("stopping", "this client is closed")


def _line(request: Request) -> bytes:
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> Answer:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ConnectionError("the other end does not answer in JSON objects")
    return answer
