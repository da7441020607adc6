"""The hooks of the Claude Agent SDK, called with the events that Claude Code 2.1.332 sends."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any, Dict, Optional

from dragons import Client
from dragons.claude_agent import governed_hooks
from fake_speaker import FakeSpeaker

COMMON: Dict[str, Any] = {"session_id": "s-1", "transcript_path": "t.jsonl", "cwd": "/repo", "permission_mode": "default"}


class ClaudeAgent(unittest.TestCase):
    def setUp(self) -> None:
        self.speaker = FakeSpeaker(allow="r*")
        self.addCleanup(self.speaker.close)
        client = Client(self.speaker.path)
        self.addCleanup(client.close)
        self.hooks = governed_hooks({"special": "run:special/{n}"}, client=client)

    def event(self, name: Any, **members: Any) -> Any:
        event = {**COMMON, "hook_event_name": name, **members}
        (matcher,) = self.hooks[name]
        (hook,) = matcher.hooks
        return asyncio.run(hook(event, members.get("tool_use_id"), {"signal": None}))  # type: ignore[arg-type]

    def before(self, tool: str, tool_input: Any, call: str = "toolu_1", agent: Optional[str] = None) -> Any:
        members = {} if agent is None else {"agent_id": agent, "agent_type": "Explore"}
        return self.event("PreToolUse", tool_name=tool, tool_input=tool_input, tool_use_id=call, **members)

    def test_a_permitted_call_is_left_to_claude(self) -> None:
        self.assertEqual(self.before("Bash", {"command": "cat a.txt"}), {})
        response = {"stdout": "a", "stderr": ""}
        self.event("PostToolUse", tool_name="Bash", tool_input={}, tool_use_id="toolu_1", tool_response=response)
        (intent,), (result,) = self.speaker.of("intent"), self.speaker.of("result")
        self.assertEqual((intent["scope"], intent["call"], intent["session"]), ("run:cat", "toolu_1", "s-1"))
        self.assertEqual((result["status"], result["outputs"]), ("ok", {"result": '{"stderr":"","stdout":"a"}'}))

    def test_a_denied_call_is_denied_with_the_reason(self) -> None:
        said = self.before("Write", {"file_path": "/repo/a.txt", "content": "x"})["hookSpecificOutput"]
        self.assertEqual((said["hookEventName"], said["permissionDecision"]), ("PreToolUse", "deny"))
        self.assertIn("write:a.txt", said["permissionDecisionReason"])
        self.assertEqual(self.event("PostToolUse", tool_name="Write", tool_use_id="toolu_1", tool_response=1), {})
        self.assertEqual(self.speaker.of("result"), [])

    def test_whatever_fails_denies(self) -> None:
        self.speaker.stop()
        said = self.before("Read", {"file_path": "/repo/a"})["hookSpecificOutput"]
        self.assertIn("no-socket", said["permissionDecisionReason"])
        said = self.before("special", {})["hookSpecificOutput"]
        self.assertIn("no scope", said["permissionDecisionReason"])
        said = self.before("Read", {"file_path": "/repo/a\ud800\udfff"})["hookSpecificOutput"]
        self.assertEqual(said["permissionDecision"], "deny")

    def test_failures_and_what_never_came_to_pass(self) -> None:
        for call, agent in (("t1", None), ("t2", None), ("t3", None), ("t4", "sub-1")):
            self.assertEqual(self.before("Read", {"file_path": call}, call, agent), {})
        self.event("PostToolUseFailure", tool_name="Read", tool_use_id="t1", error="no such file")
        self.event("PostToolUseFailure", tool_name="Read", tool_use_id="t2", error="stop", is_interrupt=True)
        self.event("Stop", stop_hook_active=False)
        self.event("PostToolUse", tool_name="Read", tool_use_id="t4", tool_response="x")
        ended = [(result["call"], result["status"]) for result in self.speaker.of("result")]
        self.assertEqual(ended, [("t1", "error"), ("t2", "cancelled"), ("t3", "cancelled"), ("t4", "ok")])
        self.assertEqual(self.speaker.of("result")[-1]["refs"]["subagent"], "sub-1")
        self.assertTrue(all("parents" not in intent for intent in self.speaker.of("intent")))


if __name__ == "__main__":
    unittest.main()
