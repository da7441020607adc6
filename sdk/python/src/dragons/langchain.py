"""LangChain 1 and LangGraph 1: each tool call of an agent asks for permission.

    from dragons.langchain import GovernedTools

    agent = create_agent(model, tools, middleware=[GovernedTools({"book": "write:ledger/{account}"})])

For a graph of your own, ``ToolNode(tools, wrap_tool_call=governed.wrap_tool_call, awrap_tool_call=governed.awrap_tool_call)``.
A denied call becomes a tool message with the status ``error``, which the model reads.
"""

from __future__ import annotations

import contextlib
from typing import Any, Awaitable, Callable, Iterator, Optional, Union

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command

from .asking import Client
from .errors import DragonsError
from .tools import Scopes, Tools, explain
from .work import Action

_Result = Union[ToolMessage, Command[Any]]


class GovernedTools(AgentMiddleware[Any, Any, Any]):
    """Middleware that asks before a tool runs, and logs the result. The thread of a graph is the session."""

    def __init__(
        self, scopes: Optional[Scopes] = None, *, client: Optional[Client] = None, keep: bool = True
    ) -> None:
        super().__init__()
        self._governed = Tools("langchain", scopes, client, keep)

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], _Result]) -> _Result:
        try:
            with self._action(request) as action, _pausing(action):
                return self._done(action, handler(request))
        except DragonsError as error:
            return _denied(request, error)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[_Result]]
    ) -> _Result:
        try:
            async with self._action(request) as action:
                with _pausing(action):
                    return self._done(action, await handler(request))
        except DragonsError as error:
            return _denied(request, error)

    def _action(self, request: ToolCallRequest) -> Action:
        call = request.tool_call
        config = getattr(request.runtime, "config", None) or {}
        thread = (config.get("configurable") or {}).get("thread_id")
        session = None if thread is None else str(thread)
        return self._governed.action(call["name"], call["args"], call=call["id"], session=session)

    def _done(self, action: Action, result: _Result) -> _Result:
        if isinstance(result, ToolMessage):
            if result.status == "error":
                action.status = "error"
            self._governed.done(action, result.content)
        return result


@contextlib.contextmanager
def _pausing(action: Action) -> Iterator[None]:
    """A tool that interrupts its graph, to ask a person, is not done and has not failed: it will run again."""
    try:
        yield
    except GraphBubbleUp:
        action.status = "cancelled"
        raise


def _denied(request: ToolCallRequest, error: DragonsError) -> ToolMessage:
    call = request.tool_call
    return ToolMessage(explain(error, call["name"]), tool_call_id=call["id"] or "", name=call["name"], status="error")
