"""The client: one speaker, asked by any number of threads and tasks."""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import weakref
from concurrent.futures import Future
from typing import Any, Callable, Dict, Iterable, Mapping, Optional, TypeVar

from . import values
from .errors import refusal
from .functions import governed
from .wire import Answer, Request, Wire
from .work import Action, Goal, answered

_log = logging.getLogger("dragons")
_F = TypeVar("_F", bound=Callable[..., Any])

#: How long to wait for an answer. ``dragons run`` itself waits up to 30 s for a service that is away.
DEFAULT_TIMEOUT_S = 60.0

#: How long a client, and so its program, waits at its end for answers that nothing else waits for.
_CLOSE_S = 5.0

#: Who gives the names of this package's sessions.
_HOST = "python"

#: All clients of this process, which a fork must reach.
_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


class Client:
    """Asks for permission, and reports results.

    ``socket`` is the path of the speaker's socket. Without it ``DRAGONS_SOCKET`` names it, else ``agent`` or
    ``DRAGONS_AGENT`` names the agent whose ``dragons attend`` is asked, at ``$XDG_RUNTIME_DIR/dragons/AGENT/socket``.

    ``session`` names what belongs together, such as a conversation: its goal opens with its first action. Without it a
    process is a session; under ``dragons run`` its actions are for the goal of the run.

    ``on_missing`` says what happens on a machine where no such socket is: ``"raise"`` raises :class:`ServiceAway` with
    the code ``no-socket``, ``"allow"`` lets the action happen, and says so in the log of Python (logger ``dragons``).
    A speaker that is there and refuses, or whose service is away, is obeyed in both cases.

    ``timeout_s`` is how long an answer is waited for. A permit that comes later is given back as ``cancelled``.
    """

    def __init__(
        self,
        socket: Optional[str] = None,
        *,
        agent: Optional[str] = None,
        session: Optional[str] = None,
        on_missing: str = "raise",
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        if on_missing not in ("raise", "allow"):
            raise ValueError(f'on_missing is "raise" or "allow", not {on_missing!r}')
        self._session = None if session is None else values.short(session)
        self._own_session: Optional[str] = None
        self.on_missing = on_missing
        self.timeout_s = timeout_s
        self._socket = socket
        self._agent = agent
        self._steps = itertools.count(1)
        self._lock = threading.Lock()
        self._wire = Wire(self._path)
        _clients.add(self)

    def action(
        self,
        scope: str,
        *,
        inputs: Optional[Mapping[str, Any]] = None,
        tool: Optional[str] = None,
        digest: Optional[str] = None,
        call: Optional[str] = None,
        goal: Optional[str] = None,
        parents: Iterable[str] = (),
        session: Optional[str] = None,
        tokens: int = 0,
        cost_micros: int = 0,
    ) -> Action:
        """An action, to be used as ``with`` or ``async with``: its body runs only under a permit.

        ``inputs`` are committed to, their values stay in the agent's own journal. ``call`` is the caller's own name for the
        action, ``session`` what it belongs to, if that is not the client's. ``goal`` and ``parents`` are record hashes; by default the :meth:`goal` and the action around this one.
        ``tokens`` and ``cost_micros`` are the most that it may use up of the lease's budget.
        """
        optional = {
            "tool": tool,
            "digest": digest,
            "goal": goal,
            "parents": list(parents) or None,
            "tokens": tokens or None,
            "cost_micros": cost_micros or None,
            "inputs": values.texts(inputs) or None,
        }
        intent = {"scope": scope, **self._belonging(session), **_given(optional)}
        return Action(self, intent, call)

    def goal(
        self, title: str, *, requester: Optional[str] = None, session: Optional[str] = None
    ) -> Goal:
        """A goal, to be used as ``with`` or ``async with``: the actions in its body serve it."""
        named = {} if session is None else self._belonging(session)
        return Goal(self, {**_given({"title": values.title(title), "requester": requester}), **named})

    def governed(
        self, scope: str, *, inputs: Iterable[str] = (), output: Optional[str] = None, tool: Optional[str] = None
    ) -> Callable[[_F], _F]:
        """As :func:`dragons.governed`, by this client."""
        return governed(lambda: self, scope, inputs=inputs, output=output, tool=tool)

    def progress(self, steps: Optional[int] = None) -> None:
        """Reports the number of steps of progress, by default one more than before, without waiting.

        What is not taken is said in the log of Python.
        """
        count = next(self._steps)
        if steps is not None and steps >= count:
            self._steps = itertools.count(steps + 1)
            count = steps
        self.ask({"progress": {"steps": count, **self._belonging(None)}}).add_done_callback(_warn_of_progress)

    def hello(self) -> Dict[str, Any]:
        """Who is at the other end: its version, agent, epoch and mode; empty if it does not know the question.

        Raises :class:`ServiceAway` if nobody answers.
        """
        answer = answered(self.ask({"hello": {"protocol": 1}}), self.timeout_s)
        if answer["ok"]:
            return {name: value for name, value in answer.items() if name != "ok"}
        if answer["code"] == "malformed":
            return {}
        raise refusal(answer)

    def disclose(self, record: str, side: str, name: str) -> Dict[str, Any]:
        """The value behind a commitment of the ``inputs`` or ``outputs`` of a record, with what opens it."""
        place = {"record": record, "side": side, "name": name}
        answer = answered(self.ask({"disclose": place}), self.timeout_s)
        if not answer["ok"]:
            raise refusal(answer)
        return dict(answer["disclosure"])

    def ask(self, request: Request) -> "Future[Answer]":
        """Sends one line of docs/socket.md, and returns the future of its answer, which is never an exception."""
        return self._wire.ask(request)

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Closes the connection once all requests are answered or this time is over. The next request opens another."""
        with self._lock:
            old, self._wire = self._wire, Wire(self._path)
            ended, self._own_session = self._own_session, None
        if ended is not None:
            old.ask({"session": {"session": ended, "host": _HOST, "end": "session"}})
        old.close(timeout_s)

    def _belonging(self, session: Optional[str]) -> Dict[str, str]:
        """Which session an action belongs to. Whoever runs under ``dragons run`` works for the goal of the run, and names
        a session only if told to; anybody else is a session, so that a connection that is lost does not end it.
        """
        named = self._session if session is None else values.short(session)
        if named is None and "DRAGONS_GOAL" not in os.environ:
            with self._lock:
                if self._own_session is None:
                    self._own_session = f"{os.getpid()}-{os.urandom(4).hex()}"
                named = self._own_session
        return {} if named is None else {"session": named, "host": _HOST}

    def _path(self) -> Optional[str]:
        path = self._socket or os.environ.get("DRAGONS_SOCKET")
        if path:
            return path
        agent, runtime = self._agent or os.environ.get("DRAGONS_AGENT"), os.environ.get("XDG_RUNTIME_DIR")
        return os.path.join(runtime, "dragons", agent, "socket") if agent and runtime else None

    def _after_fork(self) -> None:
        """A child has neither the thread nor, so that answers do not mix, the connection of its parent."""
        self._wire.abandon()
        self._lock, self._wire, self._own_session = threading.Lock(), Wire(self._path), None


def _after_fork() -> None:
    for client in list(_clients):
        client._after_fork()


@atexit.register
def _at_exit() -> None:
    for client in list(_clients):
        client.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _given(members: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _warn_of_progress(future: "Future[Answer]") -> None:
    answer = future.result()
    if not answer["ok"]:
        _log.warning("progress was not logged: %s: %s", answer.get("code"), answer.get("detail"))
