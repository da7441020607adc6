"""OpenAI Agents: each call of a function tool asks for permission.

    from dragons.openai_agents import govern

    agent = Agent(name="clerk", tools=govern([book, look], {"book": "write:ledger/{account}"}))

A denied call becomes a text, which the model reads. The framework turns an exception of a tool into a text as well, by
its ``failure_error_function``: with ``function_tool(failure_error_function=tool_error)`` the result's status is ``error``.
"""

from __future__ import annotations

import copy
import json
from typing import Any, Iterable, List, Mapping, Optional

from agents import FunctionTool, RunContextWrapper, Tool, default_tool_error_function
from agents.tool_context import ToolContext

from .asking import Client
from .errors import DragonsError
from .tools import Scopes, Tools, explain
from .work import current_action


def govern(
    tools: Iterable[Tool], scopes: Optional[Scopes] = None, *, client: Optional[Client] = None, keep: bool = True
) -> List[Tool]:
    """Copies of these tools that ask before they run. The ``group_id`` of the run configuration is the session.

    Raises ``TypeError`` for a tool that is not a function: it runs at the model's provider or by the framework's own
    means, where nothing here can hold it back.
    """
    governed = Tools("openai-agents", scopes, client, keep)
    return [_govern(tool, governed) for tool in tools]


def tool_error(context: RunContextWrapper[Any], error: Exception) -> str:
    """For ``failure_error_function``: tells the model as the framework does, and marks the action as failed."""
    action = current_action()
    if action is not None:
        action.status = "error"
        action.refer(error=type(error).__name__)
    return default_tool_error_function(context, error)


def _govern(tool: Tool, governed: Tools) -> Tool:
    if not isinstance(tool, FunctionTool):
        raise TypeError(f"{tool.name} is not a function tool, so its calls cannot be held back here")
    copied = copy.copy(tool)
    run = copied.on_invoke_tool

    async def on_invoke_tool(context: ToolContext[Any], arguments: str) -> Any:
        try:
            session = context.run_config.group_id if context.run_config is not None else None
            call = context.tool_call_id
            action = governed.action(copied.name, _parsed(arguments), call=call, session=session)
            async with action:
                return governed.done(action, await run(context, arguments))
        except DragonsError as error:
            return explain(error, copied.name)

    copied.on_invoke_tool = on_invoke_tool
    return copied


def _parsed(arguments: str) -> Mapping[str, Any]:
    """The arguments as the model wrote them; anything but an object has no members to name in a scope."""
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"": arguments}
