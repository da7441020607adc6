"""The connection: parallel calls, ends that come and go, forks, answers that come too late or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import socket
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterator, List, Optional
from unittest import mock

import dragons
from dragons import Client, Denied, ServiceAway
from fake_speaker import FakeSpeaker, Line

MANY = 32


class Case(unittest.TestCase):
    def speaker(self, **options: Any) -> FakeSpeaker:
        speaker = FakeSpeaker(**options)
        self.addCleanup(speaker.close)
        return speaker

    def client(self, path: Optional[str], **options: Any) -> Client:
        client = Client(path, **options)
        self.addCleanup(client.close)
        return client

    @contextlib.contextmanager
    def away(self, code: str) -> Iterator[None]:
        with self.assertRaises(ServiceAway) as caught:
            yield
        self.assertEqual(caught.exception.code, code)


class Parallel(Case):
    def test_answers_find_their_calls_in_whatever_order_they_come(self) -> None:
        speaker = self.speaker()
        intents: List[str] = []
        all_came = threading.Barrier(MANY)

        def backwards(line: Line) -> Optional[Line]:
            if "intent" not in line:
                return None
            all_came.wait(30)  # All are asked before any is answered.
            return {"ok": True, "intent": line["intent"]["scope"], "index": 1, "received_ms": 1, "lapses_ms": 2}

        speaker.before = backwards
        client = self.client(speaker.path)

        def act(n: int) -> None:
            with client.action(f"read:{n}") as action:
                assert action.permit is not None
                self.assertEqual(action.permit.intent, f"read:{n}")
                intents.append(action.permit.intent)

        with ThreadPoolExecutor(MANY) as pool:
            list(pool.map(act, range(MANY)))
        self.assertEqual(sorted(intents), sorted(f"read:{n}" for n in range(MANY)))
        self.assertEqual(speaker.connections, 1)
        self.assertEqual({result["intent"] for result in speaker.of("result")}, set(intents))

    def test_tasks_and_threads_share_a_client(self) -> None:
        speaker = self.speaker()
        client = self.client(speaker.path)

        async def act(n: int) -> None:
            async with client.action(f"read:task/{n}"):
                await asyncio.sleep(0)

        async def tasks() -> None:
            await asyncio.gather(*(act(n) for n in range(MANY)))

        def loop(_: int) -> None:
            asyncio.run(tasks())

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(loop, range(4)))
        self.assertEqual((len(speaker.of("result")), speaker.connections), (4 * MANY, 1))

    def test_who_knows_no_ids_is_asked_one_thing_at_a_time(self) -> None:
        speaker = self.speaker(knows_ids=False)
        client = self.client(speaker.path, session="s")
        all_asked = threading.Event()
        speaker.before = lambda line: None if all_asked.wait(30) else None
        futures = [client.ask({"intent": {"scope": f"read:{n}", "call": f"c{n}"}}) for n in range(MANY)]
        all_asked.set()
        intents = [future.result(30)["intent"] for future in futures]
        self.assertEqual((len(set(intents)), speaker.most_at_once, speaker.connections), (MANY, 1, 1))
        with client.action("read:a", call="c") as action:
            pass
        # What it does not know was left out, else it had refused it.
        self.assertEqual(set(speaker.of("result")[0]), {"intent", "status"})
        self.assertIsNotNone(action.result)
        self.assertEqual(client.hello(), {})

    def test_hello_tells_who_is_there(self) -> None:
        client = self.client(self.speaker().path)
        told = client.hello()
        self.assertEqual((told["agent"], told["mode"]), ("worker", "enforce"))

    def test_long_lines_arrive_whole(self) -> None:
        speaker = self.speaker()
        client = self.client(speaker.path)
        inputs = {f"n{n}": "x" * 60_000 for n in range(14)}
        with client.action("read:a", inputs=inputs):
            pass
        self.assertEqual(speaker.of("intent")[0]["inputs"], inputs)


class Missing(Case):
    def setUp(self) -> None:
        self.folder = self.enter(tempfile.TemporaryDirectory())
        self.enter(mock.patch.dict(os.environ, {"XDG_RUNTIME_DIR": self.folder}))
        for name in ("DRAGONS_SOCKET", "DRAGONS_AGENT"):
            os.environ.pop(name, None)

    def enter(self, context: Any) -> Any:
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def test_without_a_socket_nothing_happens(self) -> None:
        for path in (None, os.path.join(self.folder, "none")):
            with self.away("no-socket"), self.client(path).action("read:a"):
                self.fail("it ran")
            with self.away("no-socket"), self.client(path).goal("a"):
                self.fail("it ran")

    def test_what_is_allowed_without_a_socket_is_said(self) -> None:
        client = self.client(None, on_missing="allow")
        with self.assertLogs("dragons", "WARNING") as logged:
            with client.goal("a goal") as goal, client.action("read:a") as action:
                action.output(a=1)
        self.assertEqual((goal.record, action.permit), (None, None))
        self.assertIn("a goal", logged.output[0])
        self.assertIn("read:a", logged.output[1])
        with self.assertRaises(ValueError):
            Client(on_missing="ignore")

    def test_the_environment_names_the_socket(self) -> None:
        speaker = self.speaker()
        with mock.patch.dict(os.environ, {"DRAGONS_SOCKET": speaker.path}):
            self.assertEqual(self.client(None).hello()["agent"], "worker")
        beside = pathlib.Path(self.folder, "dragons", "worker")
        beside.mkdir(parents=True)
        (beside / "socket").symlink_to(speaker.path)
        self.assertEqual(self.client(None, agent="worker").hello()["agent"], "worker")
        with mock.patch.dict(os.environ, {"DRAGONS_AGENT": "worker"}):
            dragons.configure()
            self.addCleanup(dragons.configure)
            with dragons.goal("g"), dragons.action("read:a"):
                pass

        @dragons.governed("read:{n}")
        def read(n: int) -> int:
            return n

        with mock.patch.dict(os.environ, {"DRAGONS_SOCKET": speaker.path}):
            self.assertEqual(read(7), 7)
        self.assertEqual([intent["scope"] for intent in speaker.of("intent")], ["read:a", "read:7"])


class Lost(Case):
    def test_a_speaker_that_was_started_again_is_found(self) -> None:
        speaker = self.speaker()
        client = self.client(speaker.path)
        with client.action("read:before"):
            speaker.stop()
            speaker.start()
        with client.action("read:after"):
            pass
        speaker.stop()
        with self.away("no-socket"), client.action("read:a"):
            self.fail("it ran")
        speaker.start()
        with client.action("read:again"):
            pass
        self.assertEqual(len(speaker.of("result")), 3)

    def test_a_call_whose_answer_is_lost_is_said_again_under_its_name(self) -> None:
        speaker = self.speaker()
        client = self.client(speaker.path)

        def lose_the_first(line: Line) -> Optional[Line]:
            if len(speaker.of("intent")) == 1:
                speaker.hang_up()
            return None

        speaker.before = lose_the_first
        with client.action("read:a"):
            pass
        first, second = speaker.of("intent")
        self.assertEqual(first, second)
        self.assertEqual(len(speaker.of("result")), 1)

    def test_a_result_whose_answer_is_lost_is_said_again_by_its_call(self) -> None:
        speaker = self.speaker()
        client = self.client(speaker.path)

        def lose_the_first(line: Line) -> Optional[Line]:
            if len(speaker.of("result")) == 1 and "result" in line:
                speaker.hang_up()
            return None

        speaker.before = lose_the_first
        with client.action("read:a"):
            pass
        first, second = speaker.of("result")
        self.assertEqual({**second, "intent": first["intent"]}, first)
        self.assertNotIn("intent", second)

    def test_a_speaker_that_is_busy_says_so(self) -> None:
        speaker = self.speaker()
        busy = b'{"ok":false,"code":"busy","detail":"too many connections","by":"speaker"}\n'
        speaker._converse = lambda conversation: conversation.connection.sendall(busy)  # type: ignore[method-assign]
        with self.away("busy"), self.client(speaker.path).action("read:a"):
            self.fail("it ran")

    def test_what_cannot_be_said_twice_is_lost(self) -> None:
        for knows_ids, kind in ((False, "intent"), (True, "outcome")):
            speaker = self.speaker(knows_ids=knows_ids)
            client = self.client(speaker.path)
            speaker.before = lambda line: speaker.hang_up() if kind in line else None
            answer = client.ask({kind: {"scope": "read:a", "call": "c", "session": "s"}}).result(30)
            self.assertEqual((answer["ok"], answer["code"]), (False, "connection-lost"))
            self.assertEqual(len(speaker.of(kind)), 1)

    def test_who_only_hangs_up_is_not_called_for_ever(self) -> None:
        speaker = self.speaker()
        speaker._converse = lambda conversation: None  # type: ignore[method-assign]
        with self.away("connection-lost"), self.client(speaker.path).action("read:a"):
            self.fail("it ran")

    def test_nonsense_is_no_answer(self) -> None:
        for said in (b"no JSON\n", b"[]\n", b'{"ok":true}\n{"ok":true,"id":99}\n', b"x" * (2 << 20)):
            with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.path.join(folder, "socket"))
                listener.listen()

                def talk() -> None:
                    for _ in range(2):
                        connection, _ = listener.accept()
                        with connection, contextlib.suppress(OSError):
                            connection.recv(1)
                            connection.sendall(said)
                            connection.recv(1 << 20)

                talking = threading.Thread(target=talk)
                talking.start()
                with self.away("connection-lost"), self.client(os.path.join(folder, "socket")).action("read:a"):
                    self.fail("it ran")
                talking.join()


class TooLate(Case):
    """A permit that nobody waits for any more is given back."""

    def setUp(self) -> None:
        self.held = self.speaker()
        self.let_go = threading.Event()
        self.addCleanup(self.let_go.set)
        self.held.before = self.hold

    def hold(self, line: Line) -> Optional[Line]:
        if "intent" in line:
            self.let_go.wait(30)
        return None

    def assert_given_back(self) -> None:
        self.let_go.set()
        (result,) = self.held.wait_for("result", 1)
        self.assertEqual(result["status"], "cancelled")
        self.assertEqual(result["call"], self.held.of("intent")[0]["call"])

    def test_by_a_thread_that_waits_no_longer(self) -> None:
        with self.away("timeout"), self.client(self.held.path, timeout_s=0).action("read:a"):
            self.fail("it ran")
        self.assert_given_back()

    def test_by_a_task_that_waits_no_longer(self) -> None:
        async def act() -> None:
            async with self.client(self.held.path, timeout_s=0).action("read:a"):
                self.fail("it ran")

        with self.away("timeout"):
            asyncio.run(act())
        self.assert_given_back()

    def test_by_a_task_that_was_cancelled(self) -> None:
        client = self.client(self.held.path)

        async def act() -> None:
            async with client.action("read:a"):
                self.fail("it ran")

        async def cancel() -> None:
            task = asyncio.ensure_future(act())
            await asyncio.get_running_loop().run_in_executor(None, self.held.wait_for, "intent", 1)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(cancel())
        self.assert_given_back()


class Processes(Case):
    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_a_forked_child_has_a_connection_of_its_own(self) -> None:
        speaker = self.speaker()
        client = self.client(speaker.path)
        with client.action("read:parent"):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    with client.action("read:child"):
                        pass
                    code = 0
                finally:
                    os._exit(code)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
        with client.action("read:parent"):
            pass
        scopes = [intent["scope"] for intent in speaker.of("intent")]
        self.assertEqual(scopes, ["read:parent", "read:child", "read:parent"])
        self.assertEqual((len(speaker.of("result")), speaker.connections), (3, 2))

    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_a_forked_child_that_leaves_the_body_does_not_end_its_parents_action(self) -> None:
        speaker = self.speaker()
        client = self.client(speaker.path)
        child = 0
        try:
            with client.goal("a goal"), client.action("read:parent"):
                child = os.fork()
                if child == 0:
                    raise SystemExit(0)
        except SystemExit:
            client.close()
            os._exit(0)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual([result["status"] for result in speaker.of("result")], ["ok"])
        self.assertEqual([outcome["verdict"] for outcome in speaker.of("outcome")], ["accepted"])

    def test_a_closed_client_opens_again(self) -> None:
        speaker = self.speaker()
        client = self.client(speaker.path)
        for _ in range(2):
            client.progress()
            client.close()
        told = [one["steps"] for one in speaker.of("progress")]
        self.assertEqual((told, speaker.connections), ([1, 2], 2))
        self.assertEqual(threading.active_count(), len(threading.enumerate()))
        self.assertNotIn("dragons", [thread.name for thread in threading.enumerate()])

    def test_progress_that_is_refused_is_said(self) -> None:
        speaker = self.speaker()
        speaker.before = lambda line: {"ok": False, "code": "stopping", "detail": "d"}
        client = self.client(speaker.path)
        with self.assertLogs("dragons", "WARNING"):
            client.progress()
            client.close()

    def test_denials_are_not_a_service_that_is_away(self) -> None:
        client = self.client(self.speaker(allow="none:").path)
        with self.assertRaises(Denied), client.action("read:a"):
            self.fail("it ran")


if __name__ == "__main__":
    unittest.main()
