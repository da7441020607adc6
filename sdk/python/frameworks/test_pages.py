"""The programs of the adapters' pages in docs/sdk, as they stand there, with the frameworks' own fakes as their models."""

from __future__ import annotations

import asyncio
import pathlib
import unittest
import unittest.mock
from typing import Any, Dict, List

import dragons
from fake_speaker import FakeSpeaker

PAGES = pathlib.Path(__file__).parents[3] / "docs/sdk"
ARGUMENTS = {"account": "rent", "amount": 7}


class Docs(unittest.TestCase):
    def setUp(self) -> None:
        self.speaker = FakeSpeaker()
        self.addCleanup(self.speaker.close)
        dragons.configure(self.speaker.path)
        self.addCleanup(dragons.configure)

    def run_page(self, name: str, **given: Any) -> Dict[str, Any]:
        page = PAGES / name
        program = page.read_text("utf-8").split("```python\n")[1].split("```")[0]
        names: Dict[str, Any] = dict(given)
        exec(compile(program, str(page), "exec"), names)
        return names

    def assert_booked(self) -> None:
        self.assertEqual([intent["scope"] for intent in self.speaker.of("intent")], ["write:ledger/rent"])
        (result,) = self.speaker.of("result")
        self.assertEqual((result["status"], result["outputs"]), ("ok", {"result": "7 booked on rent"}))

    def test_langchain(self) -> None:
        from langchain_core.messages import AIMessage

        from test_langchain import FakeModel

        call: Any = {"name": "book", "args": ARGUMENTS, "id": "c", "type": "tool_call"}
        self.run_page("langchain.md", model=FakeModel(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("done")])))
        self.assert_booked()

    def test_openai_agents(self) -> None:
        from agents import set_tracing_disabled
        from agents.testing import ScriptedModel, assistant_message, function_call

        set_tracing_disabled(True)
        model = ScriptedModel([[function_call("book", ARGUMENTS, call_id="c")], [assistant_message("done")]])
        self.run_page("openai-agents.md", model=model)
        self.assert_booked()

    def test_pydantic_ai(self) -> None:
        from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
        from pydantic_ai.models.function import AgentInfo, FunctionModel

        def model(messages: List[ModelMessage], info: AgentInfo) -> ModelResponse:
            return ModelResponse([ToolCallPart("book", ARGUMENTS) if len(messages) == 1 else TextPart("done")])

        self.run_page("pydantic-ai.md", model=FunctionModel(model))
        self.assert_booked()

    def test_claude_agent_sdk(self) -> None:
        hooks = self.run_page("claude-agent-sdk.md")["options"].hooks
        event = {"session_id": "s", "cwd": "/repo", "tool_name": "Read", "tool_input": {"file_path": "a"}, "tool_use_id": "t"}
        for name in ("PreToolUse", "PostToolUse"):
            (hook,) = hooks[name][0].hooks
            said = {**event, "hook_event_name": name, "tool_response": "x"}
            self.assertEqual(asyncio.run(hook(said, "t", {"signal": None})), {})
        self.assertEqual(self.speaker.of("intent")[0]["scope"], "read:a")
        self.assertEqual(self.speaker.of("result")[0]["status"], "ok")

    def test_temporal(self) -> None:
        from temporalio.testing import ActivityEnvironment
        from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

        made: Dict[str, Any] = {}

        def worker(client: Any, **options: Any) -> None:
            made.update(options)

        with unittest.mock.patch("temporalio.worker.Worker", worker):
            self.run_page("temporal.md", client=None)
        (activity,), (governed,) = made["activities"], made["interceptors"]

        class Innermost(ActivityInboundInterceptor):
            def __init__(self) -> None:
                pass

            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                return await input.fn(*input.args)

        environment = ActivityEnvironment()
        environment.info = ActivityEnvironment.default_info().__class__(
            **{**ActivityEnvironment.default_info().__dict__, "activity_type": "book"}
        )

        async def run() -> Any:
            inbound = governed.intercept_activity(Innermost())
            said = ExecuteActivityInput(fn=activity, args=list(ARGUMENTS.values()), executor=None, headers={})
            return await environment.run(inbound.execute_activity, said)

        self.assertEqual(asyncio.run(run()), "7 booked on rent")
        self.assert_booked()


if __name__ == "__main__":
    unittest.main()
