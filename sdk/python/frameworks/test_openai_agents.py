"""OpenAI Agents, with its own scripted model."""

from __future__ import annotations

import asyncio
import json
import unittest
from typing import Any, List

from agents import Agent, RunConfig, Runner, WebSearchTool, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call

from dragons import Client
from dragons.openai_agents import govern, tool_error
from fake_speaker import FakeSpeaker

ran: List[str] = []


@function_tool
def book(account: str, amount: int) -> str:
    """Books an amount."""
    ran.append(account)
    return f"{amount} booked"


@function_tool(failure_error_function=tool_error)
async def fail() -> str:
    """Fails."""
    raise ValueError("no")


class OpenAIAgents(unittest.TestCase):
    def setUp(self) -> None:
        ran.clear()
        self.speaker = FakeSpeaker(allow="write:ledger/a*")
        self.addCleanup(self.speaker.close)
        client = Client(self.speaker.path)
        self.addCleanup(client.close)
        self.tools = govern(
            [book, fail], {"book": "write:ledger/{account}", "fail": "write:ledger/a"}, client=client
        )

    def run_agent(self, *calls: Any) -> List[str]:
        """What the model reads of each call."""
        model = ScriptedModel([list(calls), [assistant_message("done")]])
        config = RunConfig(tracing_disabled=True, group_id="g-7")
        result = asyncio.run(Runner.run(Agent("clerk", tools=self.tools, model=model), "book", run_config=config))
        self.assertEqual(result.final_output, "done")
        outputs = [item.raw_item for item in result.new_items if item.type == "tool_call_output_item"]
        return [str(output["output"]) for output in outputs if isinstance(output, dict)]

    def test_calls_are_permitted_and_denied_each_by_itself(self) -> None:
        permitted, denied = self.run_agent(
            function_call("book", {"account": "a-1", "amount": 7}, call_id="c1"),
            function_call("book", {"account": "b", "amount": 8}, call_id="c2"),
        )
        self.assertEqual(permitted, "7 booked")
        self.assertIn("scope-denied", denied)
        self.assertEqual(ran, ["a-1"])
        intent = next(one for one in self.speaker.of("intent") if one["call"] == "c1")
        self.assertEqual((intent["scope"], intent["session"]), ("write:ledger/a-1", "g-7"))
        self.assertEqual(json.loads(intent["inputs"]["arguments"]), {"account": "a-1", "amount": 7})
        (result,) = self.speaker.of("result")
        self.assertEqual((result["status"], result["outputs"]), ("ok", {"result": "7 booked"}))

    def test_a_tool_that_fails_has_a_result_that_says_so(self) -> None:
        (text,) = self.run_agent(function_call("fail", {}, call_id="c1"))
        self.assertIn("An error occurred", text)
        (result,) = self.speaker.of("result")
        self.assertEqual((result["status"], result["refs"]["error"]), ("error", "ValueError"))

    def test_arguments_without_a_scope_are_not_run(self) -> None:
        (text,) = self.run_agent(function_call("book", "no JSON", call_id="c1"))
        self.assertIn("no scope", text)
        self.assertEqual((self.speaker.of("intent"), ran), ([], []))

    def test_what_runs_at_the_provider_cannot_be_governed(self) -> None:
        with self.assertRaises(TypeError):
            govern([WebSearchTool()])


if __name__ == "__main__":
    unittest.main()
