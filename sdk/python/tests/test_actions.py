"""Permits, denials and results, against a speaker that is not real."""

from __future__ import annotations

import asyncio
import hashlib
import os
import unittest
from typing import Any, AsyncIterator, Dict, Iterator
from unittest import mock

from dragons import Client, Denied, ServiceAway
from fake_speaker import FakeSpeaker


class Actions(unittest.TestCase):
    def setUp(self) -> None:
        self.speaker = FakeSpeaker(allow="read:*")
        self.addCleanup(self.speaker.close)
        self.client = Client(self.speaker.path)
        self.addCleanup(self.client.close)

    def test_an_action_has_a_permit_and_a_result(self) -> None:
        with self.client.action("read:books", inputs={"q": "why", "n": 7}, call="c-1", session="s") as action:
            action.output(total=42, note="fine")
            action.used(tokens=3)
            action.refer(ticket="T-1")
        assert action.permit is not None
        (intent,), (result,) = self.speaker.of("intent"), self.speaker.of("result")
        inputs = {"q": "why", "n": "7"}
        named = {"call": "c-1", "session": "s", "host": "python", "deadline_ms": 60000}
        self.assertEqual(intent, {"scope": "read:books", "inputs": inputs, **named})
        outputs = {"total": "42", "note": "fine"}
        named = {"call": "c-1", "session": "s", "host": "python"}
        expected = {"intent": action.permit.intent, **named, "status": "ok", "tokens": 3}
        self.assertEqual(result, {**expected, "outputs": outputs, "refs": {"ticket": "T-1"}})
        self.assertEqual((action.permit.lapses_ms, action.permit.breach), (61000, None))

    def test_what_is_denied_does_not_run(self) -> None:
        with self.assertRaises(Denied) as caught:
            with self.client.action("write:books"):
                self.fail("it ran")
        self.assertEqual(caught.exception.code, "scope-denied")
        self.assertIn("write:books", str(caught.exception))
        self.assertEqual(self.speaker.of("result"), [])

    def test_a_service_that_is_away_gives_no_leave(self) -> None:
        self.speaker.before = lambda line: {"ok": False, "code": "service-away", "detail": "it does not answer"}
        for on_missing in ("raise", "allow"):
            client = Client(self.speaker.path, on_missing=on_missing)
            self.addCleanup(client.close)
            with self.assertRaises(ServiceAway) as caught, client.action("read:a"):
                self.fail("it ran")
            self.assertEqual(caught.exception.code, "service-away")

    def test_how_the_body_ends_is_the_status(self) -> None:
        cases = [
            (ValueError("no"), "error"),
            (TimeoutError(), "timeout"),
            (asyncio.TimeoutError(), "timeout"),
            (KeyboardInterrupt(), "cancelled"),
            (asyncio.CancelledError(), "cancelled"),
        ]
        for error, status in cases:
            with self.assertRaises(type(error)), self.client.action("read:a"):
                raise error
            result = self.speaker.of("result")[-1]
            self.assertEqual((result["status"], result["refs"]["error"]), (status, type(error).__name__))

    def test_a_result_that_is_not_logged_is_said_and_keeps_the_value(self) -> None:
        self.speaker.before = lambda line: {"ok": False, "code": "epoch-fenced", "detail": "d"} if "result" in line else None
        with self.assertLogs("dragons", "ERROR") as logged:
            with self.client.action("read:a") as action:
                value = 7
        self.assertEqual((value, action.result), (7, None))
        self.assertIn("epoch-fenced", logged.output[0])

    def test_a_breach_in_a_log_that_observes_is_shown(self) -> None:
        usual = self.speaker._usual
        self.speaker.before = lambda line: {**usual(line), "breach": "scope-denied"}
        with self.client.action("read:a") as action:
            pass
        assert action.permit is not None
        self.assertEqual(action.permit.breach, "scope-denied")

    def test_a_log_that_observes_and_is_away_lets_through_without_a_permit(self) -> None:
        self.speaker.before = lambda line: {"ok": True, "unlogged": True}
        with self.assertLogs("dragons", "WARNING"), self.client.action("read:a") as action:
            self.assertIsNone(action.permit)
        self.assertEqual(self.speaker.of("result"), [])

    def test_answers_of_a_log_that_observes_name_no_record_yet(self) -> None:
        """As docs/socket.md has them: what is not known is ``null``."""
        usual = self.speaker._usual

        def observes(line: Dict[str, Any]) -> Dict[str, Any]:
            if "intent" in line:
                return {**usual(line), "index": None, "received_ms": None}
            return {"ok": True, "record": None, "waits": True}

        self.speaker.before = observes
        with self.assertLogs("dragons", "WARNING"), self.client.goal("a goal") as goal:
            with self.client.action("read:a") as action:
                assert action.permit is not None
                self.assertEqual((action.permit.index, action.permit.received_ms), (None, None))
        self.assertEqual((goal.record, action.result, goal.grounds), (None, None, []))
        self.assertNotIn("goal", self.speaker.of("intent")[0])
        self.assertEqual(self.speaker.of("outcome"), [])
        self.speaker.before = lambda line: {"ok": True, "intent": None, "unlogged": True}
        with self.assertLogs("dragons", "WARNING"), self.client.action("read:b") as action:
            self.assertIsNone(action.permit)
        self.assertEqual(len(self.speaker.of("result")), 1)

    def test_who_refuses_decides_what_it_is(self) -> None:
        for by, kind in (("log", Denied), ("line", Denied), ("speaker", ServiceAway)):
            self.speaker.before = lambda line: {"ok": False, "code": "any", "detail": "d", "by": by}
            with self.assertRaises(kind), self.client.action("read:a"):
                self.fail("it ran")

    def test_a_process_is_a_session_unless_it_runs_for_a_goal(self) -> None:
        for _ in range(2):
            with self.client.action("read:a"):
                pass
        one, other = self.speaker.of("intent")
        self.assertEqual((one["session"], one["host"]), (other["session"], "python"))
        self.client.close()
        self.assertEqual(self.speaker.of("session"), [{"session": one["session"], "host": "python", "end": "session"}])
        with mock.patch.dict(os.environ, {"DRAGONS_GOAL": "sha256:…"}), self.client.action("read:a"):
            pass
        self.assertNotIn("session", self.speaker.of("intent")[-1])

    def test_names_that_are_long_or_odd_are_names_all_the_same(self) -> None:
        with self.client.action("read:a", call="c\n" + "x" * 200, session="s\u202e"):
            pass
        intent = self.speaker.of("intent")[0]
        self.assertEqual((len(intent["call"]), intent["session"]), (34, "s "))
        with self.assertRaises(ValueError):
            self.client.action("read:a", call="")
        with self.assertRaises(ValueError):
            self.client.action("read:a", session="")

    def test_what_cannot_be_said_is_an_error_of_the_caller(self) -> None:
        with self.assertRaises(ValueError), self.client.action("read:\ud800"):
            self.fail("it ran")
        too_much = {f"n{n}": "x" * 60_000 for n in range(18)}
        with self.assertRaises(Denied) as caught, self.client.action("read:a", inputs=too_much):
            self.fail("it ran")
        self.assertEqual(caught.exception.code, "too-large")
        with self.client.action("read:a"):
            pass

    def test_values_that_are_long_or_not_text_are_digests(self) -> None:
        long, odd = "x" * (64 * 1024 + 1), b"\xff\x00"
        with self.client.action("read:a", inputs={"long": long, "odd": odd, "a b": "\ud800"}):
            pass
        inputs = self.speaker.of("intent")[0]["inputs"]
        self.assertEqual(inputs["long.digest"], "sha256:" + hashlib.sha256(long.encode()).hexdigest())
        self.assertEqual(inputs["odd.digest"], "sha256:" + hashlib.sha256(odd).hexdigest())
        self.assertEqual(inputs["a+20b"], "?")

    def test_actions_within_name_what_they_are_within(self) -> None:
        with self.client.action("read:outer") as outer, self.client.action("read:inner"):
            pass
        with self.client.action("read:after"):
            pass
        assert outer.permit is not None
        parents = [intent.get("parents") for intent in self.speaker.of("intent")]
        self.assertEqual(parents, [None, [outer.permit.intent], None])


class Goals(unittest.TestCase):
    def setUp(self) -> None:
        self.speaker = FakeSpeaker()
        self.addCleanup(self.speaker.close)
        self.client = Client(self.speaker.path)
        self.addCleanup(self.client.close)

    def outcome(self) -> Any:
        return self.speaker.of("outcome")[-1]

    def test_a_goal_rests_on_the_results_under_it(self) -> None:
        with self.client.goal("close\nthe books", requester="ann") as goal:
            with self.client.action("read:a") as action:
                pass
            goal.check("by hand", digest="sha256:" + "0" * 64)
        self.assertEqual(self.speaker.of("goal"), [{"title": "close the books", "requester": "ann"}])
        self.assertEqual(self.speaker.of("intent")[0]["goal"], goal.record)
        checks = [{"name": "read:a", "record": action.result}, {"name": "by hand", "digest": "sha256:" + "0" * 64}]
        self.assertEqual(self.outcome(), {"goal": goal.record, "verdict": "accepted", "checks": checks})

    def test_verdicts(self) -> None:
        with self.client.goal("nothing done"):
            pass
        self.assertEqual(self.outcome()["verdict"], "partial")
        with self.assertRaises(ValueError), self.client.goal("fails"):
            raise ValueError
        self.assertEqual(self.outcome()["verdict"], "rejected")
        with self.assertRaises(KeyboardInterrupt), self.client.goal("is ended"):
            raise KeyboardInterrupt
        self.assertEqual(self.outcome()["verdict"], "abandoned")
        with self.client.goal("says so") as goal:
            goal.outcome("rejected")
        self.assertEqual(self.outcome()["verdict"], "rejected")

    def test_a_failed_action_is_no_ground(self) -> None:
        with self.client.goal("tries"):
            with self.assertRaises(ValueError), self.client.action("read:a"):
                raise ValueError
        self.assertEqual((self.outcome()["verdict"], self.outcome()["checks"]), ("partial", []))

    def test_goals_and_actions_of_tasks_do_not_mix(self) -> None:
        async def work(name: str) -> None:
            async with self.client.goal(name) as goal:
                async with self.client.action(f"read:{name}") as action:
                    await asyncio.sleep(0)
                assert action.permit is not None
                intent = next(one for one in self.speaker.of("intent") if one["scope"] == f"read:{name}")
                self.assertEqual(intent["goal"], goal.record)

        async def all_of_it() -> None:
            await asyncio.gather(*(work(f"t{n}") for n in range(20)))

        asyncio.run(all_of_it())
        outcomes = self.speaker.of("outcome")
        self.assertEqual([one["verdict"] for one in outcomes], ["accepted"] * 20)
        self.assertEqual(len({one["goal"] for one in outcomes}), 20)

    def test_progress_counts_up(self) -> None:
        for steps in (None, None, 40, None, 3):
            self.client.progress(steps)
        told = self.speaker.wait_for("progress", 5)
        self.assertEqual([one["steps"] for one in told], [1, 2, 40, 41, 42])
        with self.client.action("read:a"):
            pass
        self.assertEqual({one["session"] for one in told}, {self.speaker.of("intent")[0]["session"]})


class Governed(unittest.TestCase):
    def setUp(self) -> None:
        self.speaker = FakeSpeaker(allow="write:*")
        self.addCleanup(self.speaker.close)
        self.client = Client(self.speaker.path)
        self.addCleanup(self.client.close)

    def test_functions_ask_with_their_arguments(self) -> None:
        @self.client.governed("write:ledger/{account}", inputs=["amount"], output="balance")
        def book(account: str, amount: int = 1) -> int:
            "Books."
            return amount + 1

        self.assertEqual((book("a/../b", 7), book.__name__, book.__doc__), (8, "book", "Books."))
        intent, result = self.speaker.of("intent")[0], self.speaker.of("result")[0]
        self.assertEqual((intent["scope"], intent["inputs"]), ("write:ledger/a+2f..+2fb", {"amount": "7"}))
        self.assertEqual(result["outputs"], {"balance": "8"})
        book("..")
        self.assertEqual(self.speaker.of("intent")[1]["scope"], "write:ledger/+2e+2e")

    def test_denied_functions_do_not_run(self) -> None:
        @self.client.governed("read:{account}")
        def look(account: str) -> None:
            self.fail("it ran")

        @self.client.governed("read:{account}")
        def walk(account: str) -> Iterator[int]:
            self.fail("it ran")
            yield 1

        for function in (lambda: look("a"), lambda: list(walk("a"))):
            with self.assertRaises(Denied):
                function()

    def test_templates_are_checked_at_once(self) -> None:
        for scope, inputs in (("write:{acount}", []), ("write:a", ["b"])):
            with self.assertRaises(TypeError):
                self.client.governed(scope, inputs=inputs)(lambda account: None)

    def test_coroutines_and_generators(self) -> None:
        @self.client.governed("write:{n}", output="value")
        async def coroutine(n: int) -> int:
            return n

        @self.client.governed("write:g/{n}")
        def generator(n: int) -> Iterator[int]:
            self.assertEqual(len(self.speaker.of("result")), before)
            yield from range(n)

        @self.client.governed("write:ag/{n}")
        async def async_generator(n: int) -> AsyncIterator[int]:
            for one in range(n):
                yield one

        async def all_of_it() -> None:
            self.assertEqual(await coroutine(3), 3)
            self.assertEqual([one async for one in async_generator(2)], [0, 1])

        asyncio.run(all_of_it())
        before = len(self.speaker.of("result"))
        values = []
        for value in generator(2):
            values.append(value)
            with self.client.action("write:between"):
                pass
        self.assertEqual(values, [0, 1])
        scopes = [intent["scope"] for intent in self.speaker.of("intent")]
        self.assertEqual(scopes, ["write:3", "write:ag/2", "write:g/2", "write:between", "write:between"])
        self.assertTrue(all("parents" not in intent for intent in self.speaker.of("intent")))
        self.assertEqual([result["status"] for result in self.speaker.of("result")], ["ok"] * 5)


if __name__ == "__main__":
    unittest.main()
