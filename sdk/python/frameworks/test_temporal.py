"""Temporal: activities in its test environment, and with a real development server where there is one.

``TEMPORAL_CLI`` names the server's program; without it the second half is skipped.
"""

from __future__ import annotations

import asyncio
import os
import unittest
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, List

from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from dragons import Client
from dragons.temporal import GovernedActivities
from fake_speaker import FakeSpeaker

SERVER = os.environ.get("TEMPORAL_CLI")
ran: List[str] = []


@activity.defn
async def book(account: str, amount: int) -> str:
    activity.heartbeat("half")
    activity.heartbeat("whole")
    ran.append(account)
    return f"{amount} booked"


@activity.defn
def flaky(account: str) -> int:
    if activity.info().attempt < 3:
        raise ValueError("not yet")
    return activity.info().attempt


@workflow.defn(sandboxed=False)
class Books:
    @workflow.run
    async def run(self, name: str, arguments: List[Any]) -> Any:
        retries = RetryPolicy(initial_interval=timedelta(milliseconds=1), maximum_attempts=5)
        return await workflow.execute_activity(
            name, args=arguments, start_to_close_timeout=timedelta(seconds=30), retry_policy=retries
        )


@unittest.skipUnless(SERVER, "TEMPORAL_CLI names no program of a Temporal server")
class Temporal(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        ran.clear()
        self.speaker = FakeSpeaker(allow="write:ledger/a*")
        self.addCleanup(self.speaker.close)
        self.client = Client(self.speaker.path)
        self.addCleanup(self.client.close)
        self.environment = await WorkflowEnvironment.start_local(dev_server_existing_path=SERVER)
        self.addAsyncCleanup(self.environment.shutdown)

    async def run_workflow(self, name: str, *arguments: Any) -> Any:
        scopes = {"book": "write:ledger/{account}", "flaky": "write:ledger/{account}"}
        worker = Worker(
            self.environment.client,
            task_queue="books",
            workflows=[Books],
            activities=[book, flaky],
            activity_executor=ThreadPoolExecutor(4),
            interceptors=[GovernedActivities(scopes, client=self.client)],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            return await self.environment.client.execute_workflow(
                Books.run, args=[name, list(arguments)], id="w-7", task_queue="books"
            )

    async def failure(self, name: str, *arguments: Any) -> ApplicationError:
        with self.assertRaises(WorkflowFailureError) as caught:
            await self.run_workflow(name, *arguments)
        error = caught.exception.cause
        assert isinstance(error, ActivityError) and isinstance(error.cause, ApplicationError)
        return error.cause

    async def test_an_activity_is_permitted_beats_and_has_a_result(self) -> None:
        self.assertEqual(await self.run_workflow("book", "a-1", 7), "7 booked")
        (intent,), (result,) = self.speaker.of("intent"), self.speaker.of("result")
        self.assertEqual((intent["scope"], intent["session"]), ("write:ledger/a-1", "w-7"))
        self.assertEqual(intent["inputs"], {"arguments": '{"account":"a-1","amount":7}'})
        self.assertEqual((result["status"], result["outputs"]), ("ok", {"result": "7 booked"}))
        self.assertEqual((result["refs"]["host"], result["refs"]["attempt"]), ("temporal", "1"))
        self.assertEqual([one["steps"] for one in self.speaker.wait_for("progress", 2)], [1, 2])

    async def test_a_denied_activity_does_not_run_and_is_not_retried(self) -> None:
        error = await self.failure("book", "b", 8)
        self.assertEqual((error.type, error.non_retryable), ("Denied", True))
        self.assertIn("scope-denied", str(error))
        self.assertEqual((len(self.speaker.of("intent")), ran), (1, []))

    async def test_each_attempt_is_an_action(self) -> None:
        self.assertEqual(await self.run_workflow("flaky", "a"), 3)
        statuses = [result["status"] for result in self.speaker.of("result")]
        self.assertEqual(statuses, ["error", "error", "ok"])
        self.assertEqual(len({intent["call"] for intent in self.speaker.of("intent")}), 3)

    async def test_a_service_that_is_away_is_tried_again(self) -> None:
        away = {"ok": False, "code": "service-away", "detail": "d", "by": "speaker"}
        self.speaker.before = lambda line: away if len(self.speaker.of("intent")) < 3 else None
        self.assertEqual(await self.run_workflow("book", "a", 1), "1 booked")
        self.assertEqual((len(self.speaker.of("intent")), ran), (3, ["a"]))


if __name__ == "__main__":
    unittest.main()
