"""A Temporal worker with one workflow of one activity, which stalls while a file `stall` is there and no file `go` is.

It tells its steps as lines, which a run counts as progress, and as heartbeats of the activity. While it stalls it does
neither, so Temporal's heartbeat time-out passes and the activity is tried again. `temporal_worker.py SERVER FOLDER`"""

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

server, folder = sys.argv[1:]
# Steps of one attempt: the first stalls on its way, and a later one comes to the end.
STEPS = 40


def there(name):
    return os.path.exists(os.path.join(folder, name))


@activity.defn
def reconcile() -> str:
    for step in range(1, STEPS + 1):
        while there("stall") and not there("go"):
            time.sleep(0.05)
        if activity.is_cancelled():
            raise RuntimeError("another attempt has begun")
        activity.heartbeat(step)
        print(f"step {step}", flush=True)
        time.sleep(0.1)
    return "reconciled"


@workflow.defn(sandboxed=False)
class Books:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            reconcile,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=1),
        )


async def main():
    client = await Client.connect(server)
    worker = Worker(
        client,
        task_queue="books",
        workflows=[Books],
        activities=[reconcile],
        activity_executor=ThreadPoolExecutor(64),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        default_heartbeat_throttle_interval=timedelta(milliseconds=100),
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        result = await client.execute_workflow(Books.run, id="books-7", task_queue="books")
        print(result, flush=True)
        while not there("end"):
            print("waits for more", flush=True)
            await asyncio.sleep(0.1)


asyncio.run(main())
