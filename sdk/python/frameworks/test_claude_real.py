"""The hooks of the Claude Agent SDK in a session of the real Claude Code, which the SDK brings along, with a scripted model."""

from __future__ import annotations

import asyncio
import os
import pathlib
import tempfile
import unittest
from typing import Any, Dict

import claude_agent_sdk
from claude_agent_sdk import ClaudeAgentOptions, query

from dragons import Client
from dragons.claude_agent import governed_hooks
from fake_speaker import FakeSpeaker
from scripted_claude import ScriptedClaude

BUNDLED = pathlib.Path(claude_agent_sdk.__file__).parent / "_bundled/claude"

QUIET = {
    "ANTHROPIC_API_KEY": "sk-fake",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    # Else it refuses to do without questions as root, as in a container.
    "IS_SANDBOX": "1",
}


def bash(command: str) -> Dict[str, Any]:
    return {"name": "Bash", "input": {"command": command, "description": "a test"}}


@unittest.skipUnless(BUNDLED.exists(), "the SDK brings no Claude Code for this system")
class RealClaude(unittest.TestCase):
    def test_what_is_denied_does_not_run_and_the_model_reads_why(self) -> None:
        with FakeSpeaker(allow="run:cat") as speaker, tempfile.TemporaryDirectory() as folder:
            model = ScriptedClaude([bash("cat a.txt"), bash("touch forbidden.txt")])
            self.addCleanup(model.close)
            client = Client(speaker.path)
            self.addCleanup(client.close)
            project = pathlib.Path(folder, "project")
            project.mkdir()
            (project / "a.txt").write_text("seen by cat")
            options = ClaudeAgentOptions(
                hooks=governed_hooks(client=client),
                cwd=project,
                permission_mode="bypassPermissions",
                env={**os.environ, **QUIET, "HOME": folder, "ANTHROPIC_BASE_URL": model.url},
            )
            asyncio.run(self.session(options))
            self.assertFalse((project / "forbidden.txt").exists())
            self.assertEqual([one["scope"] for one in speaker.of("intent")], ["run:cat", "run:touch"])
            (result,) = speaker.of("result")
            self.assertEqual((result["status"], result["refs"]["host"]), ("ok", "claude-agent-sdk"))
            self.assertIn("seen by cat", result["outputs"]["result"])
            self.assertTrue(any("scope-denied" in said for said in model.read), model.read)

    async def session(self, options: ClaudeAgentOptions) -> None:
        async for _ in query(prompt="do it", options=options):
            pass


if __name__ == "__main__":
    unittest.main()
