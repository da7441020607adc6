"""What the adapters share: the scope of a tool call, what is kept of it, and what a model reads when it is denied."""

from __future__ import annotations

import os
from typing import Any, Callable, Mapping, Optional, Union

from . import client as _default
from . import scopes
from .asking import Client
from .errors import Denied, DragonsError, ServiceAway
from .work import Action

#: The scope of each tool: a template by the tool's name, or a function of the name and the arguments that may give
#: ``None``. What has no scope of its own has ``tool:NAME``.
Scopes = Union[Mapping[str, str], Callable[[str, Mapping[str, Any]], Optional[str]]]


class Tools:
    """How the tools of an agent are governed.

    ``keep`` says whether arguments and results are committed to. Their values are then in the agent's own journal, and
    only digests in the log.
    """

    def __init__(
        self, host: str, scopes: Optional[Scopes] = None, client: Optional[Client] = None, keep: bool = True
    ) -> None:
        self.host = host
        self.keep = keep
        self._scopes: Scopes = {} if scopes is None else scopes
        self._client = client

    @property
    def client(self) -> Client:
        return _default() if self._client is None else self._client

    def action(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        call: Optional[str] = None,
        session: Optional[str] = None,
        otherwise: Optional[str] = None,
    ) -> Action:
        """The action that a tool call is; ``otherwise`` is the scope of one that has none of its own.

        Raises :class:`Denied` where the call lacks an argument that its scope needs: nothing is known to be allowed then.
        """
        # Under `dragons run` everything is for the goal of the run, whatever the host's sessions are.
        named = None if "DRAGONS_GOAL" in os.environ else session or None
        scope = self._scope(tool, arguments) or otherwise or f"tool:{scopes.segment(tool)}"
        inputs = {"arguments": dict(arguments)} if self.keep else None
        action = self.client.action(scope, inputs=inputs, call=call or None, session=named)
        action.refer(host=self.host, session=session, call=call)
        return action

    def _scope(self, tool: str, arguments: Mapping[str, Any]) -> Optional[str]:
        try:
            if callable(self._scopes):
                return self._scopes(tool, arguments)
            template = self._scopes.get(tool)
            return None if template is None else scopes.fill(template, arguments)
        except (LookupError, AttributeError, ValueError, TypeError) as error:
            raise Denied("malformed", f"the call of {tool} has no scope: {error}") from error

    def done(self, action: Action, output: Any) -> Any:
        """Keeps what a tool returned, and returns it."""
        if self.keep:
            action.output(result=output)
        return output


def explain(error: DragonsError, tool: str) -> str:
    """What a model reads in place of a result, so that it does not try the same again."""
    if isinstance(error, ServiceAway):
        return f"{tool} was not run: nobody could say whether it is allowed ({error}). Do not work around this."
    return f"{tool} was not run: it is not allowed ({error}). Do not try it again or work around this."
