"""LangChain and LangGraph, with LangChain's own fake model."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any, Callable, List

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from dragons import Client
from dragons.langchain import GovernedTools
from fake_speaker import FakeSpeaker

ran: List[str] = []


@tool
def book(account: str, amount: int) -> str:
    """Books an amount."""
    ran.append(account)
    return f"{amount} booked"


@tool
def fail() -> str:
    """Fails."""
    raise ValueError("no")


@tool
def ask(question: str) -> str:
    """Asks a person."""
    return str(interrupt(question))


class FakeModel(GenericFakeChatModel):
    """It says what it is given, and takes tools without looking at them."""

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self


def call(name: str, number: int = 1, **arguments: Any) -> Any:
    return {"name": name, "args": arguments, "id": f"call-{number}", "type": "tool_call"}


class LangChain(unittest.TestCase):
    def setUp(self) -> None:
        ran.clear()
        self.speaker = FakeSpeaker(allow="write:ledger/a*")
        self.addCleanup(self.speaker.close)
        client = Client(self.speaker.path)
        self.addCleanup(client.close)
        scopes = {"book": "write:ledger/{account}", "fail": "write:ledger/a", "ask": "write:ledger/ask"}
        self.governed = GovernedTools(scopes, client=client)

    def agent(self, *calls: Any, **options: Any) -> Any:
        messages = iter([AIMessage("", tool_calls=list(calls)), AIMessage("done")])
        model = FakeModel(messages=messages)
        return create_agent(model, [book, fail, ask], middleware=[self.governed], **options)

    def tool_messages(self, state: Any) -> List[ToolMessage]:
        return [message for message in state["messages"] if isinstance(message, ToolMessage)]

    def test_calls_are_permitted_and_denied_each_by_itself(self) -> None:
        asked = {"messages": [("user", "book")]}
        config = {"configurable": {"thread_id": "t-7"}}
        calls = [call("book", 1, account="a-1", amount=7), call("book", 2, account="b/../a", amount=8)]
        runs: List[Callable[[], Any]] = [
            lambda: self.agent(*calls).invoke(asked, config),
            lambda: asyncio.run(self.agent(*calls).ainvoke(asked, config)),
        ]
        for run in runs:
            permitted, denied = self.tool_messages(run())
            self.assertEqual((permitted.content, permitted.status), ("7 booked", "success"))
            self.assertEqual((denied.status, denied.tool_call_id), ("error", "call-2"))
            self.assertIn("scope-denied", denied.content)
            self.assertEqual(ran, ["a-1"])
            intents = sorted(self.speaker.of("intent"), key=lambda one: str(one["call"]))
            self.assertEqual([one["scope"] for one in intents], ["write:ledger/a-1", "write:ledger/b+2f..+2fa"])
            self.assertEqual((intents[0]["call"], intents[0]["session"]), ("call-1", "t-7"))
            self.assertEqual(intents[0]["inputs"], {"arguments": '{"account":"a-1","amount":7}'})
            (result,) = self.speaker.of("result")
            self.assertEqual((result["status"], result["outputs"]), ("ok", {"result": "7 booked"}))
            refs = {"call": "call-1", "host": "langchain", "session": "t-7"}
            self.assertLessEqual(refs.items(), result["refs"].items())
            self.speaker.lines.clear()
            ran.clear()

    def test_a_service_that_is_away_is_not_leave(self) -> None:
        self.speaker.before = lambda line: {"ok": False, "code": "service-away", "detail": "d", "by": "speaker"}
        state = self.agent(call("book", account="a", amount=1)).invoke({"messages": [("user", "x")]})
        (message,) = self.tool_messages(state)
        self.assertIn("nobody could say", message.content)
        self.assertEqual(ran, [])

    def test_a_tool_that_fails_has_a_result_that_says_so(self) -> None:
        with self.assertRaises(ValueError):
            self.agent(call("fail")).invoke({"messages": [("user", "x")]})
        (result,) = self.speaker.of("result")
        self.assertEqual((result["status"], result["refs"]["error"]), ("error", "ValueError"))

    def test_arguments_that_the_model_got_wrong_are_an_error(self) -> None:
        state = self.agent(call("book", account="a", amount="many")).invoke({"messages": [("user", "x")]})
        self.assertEqual([message.status for message in self.tool_messages(state)], ["error"])
        self.assertEqual([result["status"] for result in self.speaker.of("result")], ["error"])
        state = self.agent(call("book", amount=1)).invoke({"messages": [("user", "x")]})
        self.assertIn("no scope", self.tool_messages(state)[0].content)
        self.assertEqual((len(self.speaker.of("intent")), ran), (1, []))

    def test_a_graph_that_waits_for_a_person_asks_again(self) -> None:
        config = {"configurable": {"thread_id": "t"}}
        agent = self.agent(call("ask", question="may I?"), checkpointer=InMemorySaver())
        agent.invoke({"messages": [("user", "x")]}, config)
        self.assertEqual([result["status"] for result in self.speaker.of("result")], ["cancelled"])
        state = agent.invoke(Command(resume="yes"), config)
        self.assertEqual([message.content for message in self.tool_messages(state)], ["yes"])
        self.assertEqual([result["status"] for result in self.speaker.of("result")], ["cancelled", "ok"])

    def test_what_is_not_kept_is_not_sent(self) -> None:
        self.governed._governed.keep = False
        self.agent(call("book", account="a", amount=1)).invoke({"messages": [("user", "x")]})
        self.assertNotIn("inputs", self.speaker.of("intent")[0])
        self.assertNotIn("outputs", self.speaker.of("result")[0])


if __name__ == "__main__":
    unittest.main()
