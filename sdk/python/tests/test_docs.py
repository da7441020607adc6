"""The program of docs/sdk/python.md, as it stands there."""

from __future__ import annotations

import contextlib
import io
import pathlib
import unittest

import dragons
from fake_speaker import FakeSpeaker

PAGE = pathlib.Path(__file__).parents[3] / "docs/sdk/python.md"


@unittest.skipUnless(PAGE.exists(), "the documents are not here")
class Docs(unittest.TestCase):
    def test_the_program_of_the_page_runs(self) -> None:
        program = PAGE.read_text("utf-8").split("```python\n")[1].split("```")[0]
        with FakeSpeaker(allow="*ledger/rent") as speaker, contextlib.redirect_stdout(io.StringIO()) as said:
            dragons.configure(speaker.path)
            self.addCleanup(dragons.configure)
            exec(compile(program, str(PAGE), "exec"), {})
            scopes = [intent["scope"] for intent in speaker.of("intent")]
            self.assertEqual(scopes, ["read:ledger/rent", "write:ledger/rent", "write:ledger/payroll"])
            self.assertEqual(speaker.of("outcome")[0]["verdict"], "accepted")
            self.assertEqual(speaker.of("result")[1]["outputs"], {"total": "750"})
            self.assertTrue(said.getvalue().startswith("scope-denied - "))
            dragons.client().close()


if __name__ == "__main__":
    unittest.main()
