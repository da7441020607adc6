"""Pydantic AI 2: each tool call of an agent asks for permission.

    from dragons.pydantic_ai import GovernedTools

    agent = Agent(model, capabilities=[GovernedTools({"book": "write:ledger/{account}"})])

A denied call becomes a text, which the model reads. The arguments of a scope are the validated ones.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.abstract import WrapToolExecuteHandler
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import ToolDefinition

from .asking import Client
from .errors import DragonsError
from .tools import Scopes, Tools, explain


class GovernedTools(AbstractCapability[Any]):
    """Asks before a tool runs, and logs the result. The conversation of a run is the session."""

    def __init__(
        self, scopes: Optional[Scopes] = None, *, client: Optional[Client] = None, keep: bool = True
    ) -> None:
        self._governed = Tools("pydantic-ai", scopes, client, keep)

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: Dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        session = ctx.conversation_id or ctx.run_id
        try:
            action = self._governed.action(call.tool_name, args, call=call.tool_call_id, session=session)
            async with action:
                try:
                    result = await handler(args)
                except (ApprovalRequired, CallDeferred):
                    # Somebody else decides or acts; the action here ends with that.
                    action.status = "cancelled"
                    raise
                return self._governed.done(action, result)
        except DragonsError as error:
            return explain(error, call.tool_name)
