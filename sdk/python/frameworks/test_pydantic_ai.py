"""Pydantic AI, with its own model that is a function."""

from __future__ import annotations

import unittest
from typing import Any, List

from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from dragons import Client
from dragons.pydantic_ai import GovernedTools
from fake_speaker import FakeSpeaker


class PydanticAI(unittest.TestCase):
    def setUp(self) -> None:
        self.ran: List[str] = []
        self.speaker = FakeSpeaker(allow="write:ledger/a*")
        self.addCleanup(self.speaker.close)
        self.client = Client(self.speaker.path)
        self.addCleanup(self.client.close)

    def run_agent(self, *calls: ToolCallPart) -> List[Any]:
        """What the model reads of each call."""

        def model(messages: List[ModelMessage], info: AgentInfo) -> ModelResponse:
            return ModelResponse(list(calls) if len(messages) == 1 else [TextPart("done")])

        scopes = {"book": "write:ledger/{account}", "fail": "write:ledger/a"}
        agent = Agent(FunctionModel(model), capabilities=[GovernedTools(scopes, client=self.client)])

        @agent.tool_plain
        def book(account: str, amount: int = 1) -> str:
            self.ran.append(account)
            return f"{amount} booked"

        @agent.tool_plain
        async def fail() -> str:
            raise ModelRetry("try otherwise")

        result = agent.run_sync("book", conversation_id="c-7")
        parts = [part for message in result.all_messages() for part in message.parts]
        return [part.content for part in parts if isinstance(part, ToolReturnPart)]

    def test_calls_are_permitted_and_denied_each_by_itself(self) -> None:
        permitted, denied = self.run_agent(
            ToolCallPart("book", {"account": "a-1", "amount": 7}, tool_call_id="t1"),
            ToolCallPart("book", {"account": "b"}, tool_call_id="t2"),
        )
        self.assertEqual(permitted, "7 booked")
        self.assertIn("scope-denied", denied)
        self.assertEqual(self.ran, ["a-1"])
        intent = next(one for one in self.speaker.of("intent") if one["call"] == "t1")
        self.assertEqual((intent["scope"], intent["session"]), ("write:ledger/a-1", "c-7"))
        (result,) = self.speaker.of("result")
        self.assertEqual((result["status"], result["outputs"]), ("ok", {"result": "7 booked"}))

    def test_a_tool_that_asks_to_be_tried_again_has_failed(self) -> None:
        self.run_agent(ToolCallPart("fail", {}, tool_call_id="t1"))
        (result,) = self.speaker.of("result")
        self.assertEqual((result["status"], result["refs"]["error"]), ("error", "ToolRetryError"))


if __name__ == "__main__":
    unittest.main()
