"""Actions, and the goals that they serve."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sys
from concurrent.futures import Future, TimeoutError as FutureTimeout
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Type

from . import values
from .errors import NO_SOCKET, refusal
from .wire import Answer

if TYPE_CHECKING:
    from .asking import Client

_log = logging.getLogger("dragons")

#: The current goal and action.
_goal: "contextvars.ContextVar[Optional[Goal]]" = contextvars.ContextVar("dragons_goal", default=None)
_action: "contextvars.ContextVar[Optional[Action]]" = contextvars.ContextVar("dragons_action", default=None)

#: The most checks that an outcome names by itself: it rests on the latest.
_MAX_CHECKS = 16

_NO_ANSWER: Answer = {"ok": False, "code": "timeout", "detail": "no answer in time", "by": "speaker"}


@dataclass(frozen=True)
class Permit:
    """Permission to act: the log's answer to an intent, verified by the speaker.

    ``index`` and ``received_ms`` are ``None`` where the log only observes: nobody waited for it.
    """

    intent: str
    index: Optional[int]
    received_ms: Optional[int]
    lapses_ms: int
    #: The rule that this breaks, where the log only observes.
    breach: Optional[str]


class Action:
    """An action under a permit. Its result is logged when its body ends, with how it ended.

    ``status`` is set by the body's end: ``ok``, or ``error``, ``timeout`` or ``cancelled`` by the kind of exception. A body
    that knows better may set it. ``permit`` is ``None`` where nothing is logged: no socket is there and the client allows
    that, or the log only observes and does not answer. ``result`` is the record hash of the result once it is signed.
    """

    def __init__(self, client: "Client", intent: Dict[str, Any], call: Optional[str]) -> None:
        self.permit: Optional[Permit] = None
        self.result: Optional[str] = None
        self.status = "ok"
        self.scope: str = intent["scope"]
        self._client = client
        self._intent = intent
        self._call = values.short(os.urandom(8).hex() if call is None else call)
        self._outputs: Dict[str, Any] = {}
        self._usage: Dict[str, int] = {}
        self._refs: Dict[str, Optional[str]] = {}
        self._process = os.getpid()
        #: Whether actions in the body name this one as their parent.
        self.nests = True
        self._token: Optional[contextvars.Token[Optional[Action]]] = None

    def output(self, **outputs: Any) -> None:
        """Results to commit to; the values stay in the agent's own journal."""
        self._outputs.update(outputs)

    def used(self, *, tokens: int = 0, cost_micros: int = 0) -> None:
        """What the action used up of its budget, added to what was reported before."""
        for name, amount in (("tokens", tokens), ("cost_micros", cost_micros)):
            self._usage[name] = self._usage.get(name, 0) + amount

    def refer(self, **refs: Optional[str]) -> None:
        """Where else to look for this action: names of another system, such as a trace."""
        self._refs.update(refs)

    def __enter__(self) -> "Action":
        self._granted(answered(self._ask(), self._client.timeout_s, give_back=self._give_back))
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        future = self._tell(error)
        if future is not None:
            self._told(answered(future, self._client.timeout_s))

    async def __aenter__(self) -> "Action":
        self._granted(await answered_async(self._ask(), self._client.timeout_s, give_back=self._give_back))
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        future = self._tell(error)
        if future is not None:
            self._told(await answered_async(future, self._client.timeout_s))

    def _ask(self) -> "Future[Answer]":
        deadline_ms = int(self._client.timeout_s * 1000)
        intent = {**self._intent, "call": self._call, "deadline_ms": deadline_ms}
        goal, around = _goal.get(), _action.get()
        if "goal" not in intent and goal is not None and goal.record is not None:
            intent["goal"] = goal.record
        if "parents" not in intent and around is not None and around.permit is not None:
            intent["parents"] = [around.permit.intent]
        self._of_goal = goal
        return self._client.ask({"intent": intent})

    def _granted(self, answer: Answer) -> None:
        self._start(_granted(self._client, answer, self.scope))
        if self.nests:
            self._token = _action.set(self)

    def _start(self, answer: Optional[Answer]) -> None:
        if answer is None or answer.get("intent") is None:
            return
        when = answer.get("index"), answer.get("received_ms"), answer["lapses_ms"]
        self.permit = Permit(answer["intent"], *when, answer.get("breach"))

    def _give_back(self, future: "Future[Answer]") -> None:
        """Nothing waits for this permit any more: it is closed, so that the action does not seem to hang."""
        self._start(_ok(future.result()))
        self.status = "cancelled"
        if self.permit is not None:
            self._client.ask({"result": self._said()}).add_done_callback(lambda told: self._told(told.result()))

    def _tell(self, error: Optional[BaseException]) -> "Optional[Future[Answer]]":
        if self._token is not None:
            _reset(_action, self._token)
        if error is not None:
            self.status = _status_of(error) if self.status == "ok" else self.status
            self._refs.setdefault("error", type(error).__name__)
        if os.getpid() != self._process:
            return None  # A forked child has left the body; its parent, whose action it is, tells how that ends.
        return self._client.ask({"result": self._said()}) if self.permit is not None else None

    def _said(self) -> Dict[str, Any]:
        assert self.permit is not None
        named: Dict[str, Any] = {name: self._intent[name] for name in ("session", "host") if name in self._intent}
        said: Dict[str, Any] = {"intent": self.permit.intent, "call": self._call, **named, "status": self.status}
        said.update({name: amount for name, amount in self._usage.items() if amount})
        for name, members in (
            ("outputs", values.texts(self._outputs)),
            ("refs", values.references({**_span(), **self._refs})),
        ):
            if members:
                said[name] = members
        return said

    def _told(self, answer: Answer) -> None:
        if not answer["ok"]:
            _not_logged("result of", self.scope, answer)
            return
        self.result = answer.get("record")
        if self.status == "ok" and self._of_goal is not None and self.result is not None:
            self._of_goal.grounds.append({"name": values.title(self.scope), "record": self.result})


class Goal:
    """A goal. Its outcome is logged when its body ends.

    Without a word from the body it is ``accepted`` on the ground of the results that ended well, ``partial`` if there are
    none, ``rejected`` if the body raises, and ``abandoned`` if it was cancelled.
    """

    def __init__(self, client: "Client", said: Dict[str, Any]) -> None:
        #: The record hash; ``None`` if the speaker was not asked.
        self.record: Optional[str] = None
        #: The checks of an accepted outcome.
        self.grounds: List[Dict[str, Any]] = []
        self._client = client
        self._said = said
        self._verdict: Optional[str] = None
        self._process = os.getpid()
        self._token: Optional[contextvars.Token[Optional[Goal]]] = None

    def check(self, name: str, *, record: Optional[str] = None, digest: Optional[str] = None) -> None:
        """Adds a check to the outcome: a record of the log, or the digest of something else."""
        known = {"record": record, "digest": digest}
        self.grounds.append({"name": values.title(name), **{k: v for k, v in known.items() if v is not None}})

    def outcome(self, verdict: str) -> None:
        """Sets the outcome: ``accepted``, ``rejected``, ``partial`` or ``abandoned``."""
        self._verdict = verdict

    def __enter__(self) -> "Goal":
        self._begun(answered(self._client.ask({"goal": self._said}), self._client.timeout_s))
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        future = self._end(error)
        if future is not None:
            self._ended(answered(future, self._client.timeout_s))

    async def __aenter__(self) -> "Goal":
        self._begun(await answered_async(self._client.ask({"goal": self._said}), self._client.timeout_s))
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        future = self._end(error)
        if future is not None:
            self._ended(await answered_async(future, self._client.timeout_s))

    def _begun(self, answer: Answer) -> None:
        granted = _granted(self._client, answer, self._said["title"])
        self.record = granted.get("record") if granted is not None else None
        self._token = _goal.set(self)

    def _end(self, error: Optional[BaseException]) -> "Optional[Future[Answer]]":
        if self._token is not None:
            _reset(_goal, self._token)
        if self.record is None or os.getpid() != self._process:
            return None
        verdict = self._verdict or self._judged(error)
        outcome = {"goal": self.record, "verdict": verdict, "checks": self.grounds[-_MAX_CHECKS:]}
        return self._client.ask({"outcome": outcome})

    def _judged(self, error: Optional[BaseException]) -> str:
        if error is not None:
            return "abandoned" if _status_of(error) == "cancelled" else "rejected"
        return "accepted" if self.grounds else "partial"

    def _ended(self, answer: Answer) -> None:
        if not answer["ok"]:
            _not_logged("outcome of", self._said["title"], answer)


def current_action() -> Optional[Action]:
    """The action whose body runs."""
    return _action.get()


def answered(future: "Future[Answer]", timeout_s: float, give_back: Any = None) -> Answer:
    """The answer, waited for in a thread."""
    try:
        return future.result(timeout_s)
    except FutureTimeout:
        _give_back(future, give_back)
        return _NO_ANSWER
    except BaseException:
        _give_back(future, give_back)
        raise


async def answered_async(future: "Future[Answer]", timeout_s: float, give_back: Any = None) -> Answer:
    """The answer, waited for in a task."""
    try:
        done, _ = await asyncio.wait({_arrival(future)}, timeout=timeout_s)
    except BaseException:
        _give_back(future, give_back)
        raise
    if done:
        return future.result()
    _give_back(future, give_back)
    return _NO_ANSWER


def _arrival(future: "Future[Answer]") -> "asyncio.Future[None]":
    """Done once the answer is there. Other than by ``wrap_future``, a task that is cancelled leaves the answer alone."""
    loop = asyncio.get_running_loop()
    arrival: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not arrival.done():
            arrival.set_result(None)

    def arrive(_: "Future[Answer]") -> None:
        try:
            loop.call_soon_threadsafe(wake)
        except RuntimeError:
            pass  # The loop is closed, so nobody waits any more.

    future.add_done_callback(arrive)
    return arrival


def _give_back(future: "Future[Answer]", give_back: Any) -> None:
    if give_back is not None:
        future.add_done_callback(give_back)


def _granted(client: "Client", answer: Answer, what: str) -> Optional[Answer]:
    if answer["ok"]:
        if answer.get("record") is None and answer.get("intent") is None:
            _log.warning("not logged, because the log only observes and does not answer: %s", what)
        return answer
    if answer["code"] == NO_SOCKET and client.on_missing == "allow":
        _log.warning("not logged, because there is no socket: %s (%s)", what, answer["detail"])
        return None
    raise refusal(answer)


def _not_logged(what: str, of: str, answer: Answer) -> None:
    """The action is done, and its value must not be lost to an exception: so this goes where people look."""
    _log.error("the %s %s was not logged: %s: %s", what, of, answer["code"], answer["detail"])


def _ok(answer: Answer) -> Optional[Answer]:
    return answer if answer["ok"] else None


def _status_of(error: BaseException) -> str:
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)):
        return "cancelled"
    return "timeout" if isinstance(error, (TimeoutError, asyncio.TimeoutError, FutureTimeout)) else "error"


def _span() -> Dict[str, Optional[str]]:
    """The span of OpenTelemetry that is current, where the program uses it."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace": f"{context.trace_id:032x}", "span": f"{context.span_id:016x}"}


def _reset(variable: "contextvars.ContextVar[Any]", token: "contextvars.Token[Any]") -> None:
    try:
        variable.reset(token)
    except ValueError:
        pass  # The body began in another context, as a fixture or a generator does; that one is left as it is.
