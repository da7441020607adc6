"""Temporal: each attempt of an activity asks for permission, and its heartbeats are the agent's progress.

    from dragons.temporal import GovernedActivities

    worker = Worker(client, task_queue="books", activities=[book], interceptors=[GovernedActivities()])

A denied activity fails with an ``ApplicationError`` of the type ``Denied``, which is not retried. Where nobody can say whether
it is allowed, the type is ``ServiceAway``, and the retry policy of the activity decides. Workflows are not governed: they are
deterministic code, and act by their activities.
"""

from __future__ import annotations

import inspect
from typing import Any, Dict, Mapping, Optional

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from .asking import Client
from .errors import DragonsError, ServiceAway
from .tools import Scopes, Tools


class GovernedActivities(Interceptor):
    """Asks before an activity runs, and logs the result. The workflow is the session.

    ``scopes`` go by the activity's type, and templates by the names of its parameters.
    """

    def __init__(
        self, scopes: Optional[Scopes] = None, *, client: Optional[Client] = None, keep: bool = True
    ) -> None:
        self._governed = Tools("temporal", scopes, client, keep)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self._governed)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, governed: Tools) -> None:
        super().__init__(next)
        self._governed = governed

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        super().init(_Outbound(outbound, self._governed))

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        call = f"{info.workflow_run_id or ''}/{info.activity_id}/{info.attempt}"
        try:
            action = self._governed.action(
                info.activity_type, _named(input), call=call, session=info.workflow_id
            )
            async with action:
                action.refer(run=info.workflow_run_id, attempt=str(info.attempt))
                return self._governed.done(action, await super().execute_activity(input))
        except DragonsError as error:
            raise ApplicationError(
                str(error), type=type(error).__name__, non_retryable=not isinstance(error, ServiceAway)
            ) from error


class _Outbound(ActivityOutboundInterceptor):
    def __init__(self, next: ActivityOutboundInterceptor, governed: Tools) -> None:
        super().__init__(next)
        self._governed = governed

    def heartbeat(self, *details: Any) -> None:
        super().heartbeat(*details)
        self._governed.client.progress()


def _named(input: ExecuteActivityInput) -> Mapping[str, Any]:
    """The arguments by the names of the activity's parameters, or by their numbers where it has none."""
    try:
        bound: Dict[str, Any] = dict(inspect.signature(input.fn).bind(*input.args).arguments)
        return bound
    except (TypeError, ValueError):
        return {str(number): value for number, value in enumerate(input.args)}
