"""A worker of Temporal with one activity, and a client that starts two workflows: one is allowed what it does, one is not."""

import asyncio
import sys
from datetime import timedelta

from dragons.temporal import GovernedActivities
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@activity.defn
async def book(account: str, amount: int) -> str:
    activity.heartbeat("booking")
    return f"{amount} booked on {account}"


@workflow.defn(sandboxed=False)
class Booking:
    @workflow.run
    async def run(self, account: str, amount: int) -> str:
        return await workflow.execute_activity(
            book, args=[account, amount], start_to_close_timeout=timedelta(seconds=30)
        )


async def main(server: str) -> None:
    client = await Client.connect(server)
    worker = Worker(
        client,
        task_queue="books",
        workflows=[Booking],
        activities=[book],
        interceptors=[GovernedActivities({"book": "write:ledger/{account}"})],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        print(await start(client, "rent", 700))
        try:
            await start(client, "payroll", 9000)
        except WorkflowFailureError as failure:
            print(f"payroll: {failure.cause.cause.type}, and not retried")


async def start(client: Client, account: str, amount: int) -> str:
    return await client.execute_workflow(
        Booking.run, args=[account, amount], id=f"book-{account}", task_queue="books"
    )


asyncio.run(main(sys.argv[1]))
