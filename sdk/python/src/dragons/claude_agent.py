"""Claude Agent SDK: each tool call of Claude asks for permission, by hooks.

    from dragons.claude_agent import governed_hooks

    options = ClaudeAgentOptions(hooks=governed_hooks())

Claude's own tools have the scopes of :mod:`dragons.claude_scopes`. A denied call is denied to Claude with the reason. Hooks see
neither the tools that run at the provider nor what a shell command then does.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple, cast

from claude_agent_sdk import HookCallback, HookContext, HookMatcher
from claude_agent_sdk.types import HookEvent, PreToolUseHookSpecificOutput, SyncHookJSONOutput

from . import claude_scopes
from .asking import Client
from .errors import DragonsError
from .tools import Scopes, Tools, explain
from .work import Action

_Maker = Tuple[str, Optional[str]]


def governed_hooks(
    scopes: Optional[Scopes] = None, *, client: Optional[Client] = None, keep: bool = True
) -> Dict[HookEvent, List[HookMatcher]]:
    """The hooks for ``ClaudeAgentOptions``; add your own to their lists. A session of Claude is the session."""
    calls = _Calls(Tools("claude-agent-sdk", scopes, client, keep))
    by_event: Dict[HookEvent, Any] = {
        "PreToolUse": calls.before,
        "PostToolUse": calls.after,
        "PostToolUseFailure": calls.after,
        "Stop": calls.stopped,
    }
    return {event: [HookMatcher(hooks=[cast(HookCallback, hook)])] for event, hook in by_event.items()}


class _Calls:
    def __init__(self, governed: Tools) -> None:
        self._governed = governed
        #: By the name of the call: who made it, as session and sub-agent, and what it is.
        self._open: Dict[str, Tuple[_Maker, Action]] = {}
        #: By session: the directory of its first event.
        self._roots: Dict[str, str] = {}

    async def before(self, event: Mapping[str, Any], call: Optional[str], context: HookContext) -> SyncHookJSONOutput:
        tool = event["tool_name"]
        try:
            action = self._action(event)
            await action.__aenter__()
        except DragonsError as error:
            return _deny(explain(error, tool))
        except Exception as error:  # A hook that fails would let the call through.
            return _deny(f"{tool} was not run: the hook that asks for permission failed ({error!r}).")
        self._open[event["tool_use_id"]] = _maker(event), action
        # Not "allow", which would skip the questions that Claude asks its user.
        return {}

    async def after(self, event: Mapping[str, Any], call: Optional[str], context: HookContext) -> SyncHookJSONOutput:
        _, action = self._open.pop(event["tool_use_id"], (None, None))
        if action is not None:
            if "tool_response" in event:
                self._governed.done(action, event["tool_response"])
            else:
                action.status = "cancelled" if event.get("is_interrupt") else "error"
            await action.__aexit__(None, None, None)
        return {}

    async def stopped(self, event: Mapping[str, Any], call: Optional[str], context: HookContext) -> SyncHookJSONOutput:
        """A call that the user declined has no event after it. Sub-agents go on after their parent has stopped."""
        mine = [name for name, (maker, _) in self._open.items() if maker == _maker(event)]
        for name in mine:
            _, action = self._open.pop(name)
            action.status = "cancelled"
            await action.__aexit__(None, None, None)
        return {}

    def _action(self, event: Mapping[str, Any]) -> Action:
        session = event["session_id"]
        root = self._roots.setdefault(session, event["cwd"])
        tool, given, call = event["tool_name"], event["tool_input"], event["tool_use_id"]
        otherwise = claude_scopes.scope(tool, given, root)
        action = self._governed.action(tool, given, call=call, session=session, otherwise=otherwise)
        action.refer(subagent=event.get("agent_id"))
        # The body of this action is not the code that runs next.
        action.nests = False
        return action


def _maker(event: Mapping[str, Any]) -> _Maker:
    return event["session_id"], event.get("agent_id")


def _deny(reason: str) -> SyncHookJSONOutput:
    decision: PreToolUseHookSpecificOutput = {"hookEventName": "PreToolUse", "permissionDecision": "deny"}
    decision["permissionDecisionReason"] = reason
    return {"hookSpecificOutput": decision}
