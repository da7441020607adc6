"""Ask for permission before an action, and report its result: the client of a Dragons agent's socket.

    import dragons
    from dragons import governed

    @governed("write:ledger/{account}", inputs=["amount"])
    def book(account: str, amount: int) -> None: ...

    with dragons.goal("close the books"):
        with dragons.action("read:ledger/a-1") as action:
            action.output(total=read_total())

The process that speaks for the agent (``dragons run`` or ``dragons attend``) holds the key, the journal and the chain. This
package holds none of them: it asks over a Unix socket, and raises :class:`Denied` or :class:`ServiceAway` where the answer is
not a permit.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Iterable, Optional, TypeVar

from .asking import Client
from .errors import Denied, DragonsError, ServiceAway
from .functions import governed as _by_client
from .work import Action, Goal, Permit

__all__ = [
    "Action",
    "Client",
    "Denied",
    "DragonsError",
    "Goal",
    "Permit",
    "ServiceAway",
    "action",
    "client",
    "configure",
    "goal",
    "governed",
    "progress",
]
__version__ = "0.1.0"

_F = TypeVar("_F", bound=Callable[..., Any])
_lock = threading.Lock()
_default: Optional[Client] = None


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # Another thread of the parent may have held it, and does not exist in the child.
    os.register_at_fork(after_in_child=_renew_lock)


def client() -> Client:
    """The client that the functions of this module use."""
    global _default
    with _lock:
        if _default is None:
            _default = Client()
        return _default


def configure(socket: Optional[str] = None, **options: Any) -> Client:
    """Replaces that client by one with these options, which are those of :class:`Client`."""
    global _default
    made = Client(socket, **options)
    with _lock:
        old, _default = _default, made
    if old is not None:
        old.close()
    return made


def action(scope: str, **options: Any) -> Action:
    """An action, as :meth:`Client.action`."""
    return client().action(scope, **options)


def goal(title: str, **options: Any) -> Goal:
    """A goal, as :meth:`Client.goal`."""
    return client().goal(title, **options)


def progress(steps: Optional[int] = None) -> None:
    """Steps so far, as :meth:`Client.progress`."""
    client().progress(steps)


def governed(
    scope: str, *, inputs: Iterable[str] = (), output: Optional[str] = None, tool: Optional[str] = None
) -> Callable[[_F], _F]:
    """Asks for permission before each call of the function, and logs how the call ended.

    ``scope`` may name arguments: in ``write:ledger/{account}`` the value of ``account`` fills one segment, escaped, and
    ``{path:path}`` one segment for each part of a path. ``inputs`` names the arguments to commit to, ``output`` the name under
    which what the function returns is committed to. Works for functions, coroutines, and generators of both kinds.
    """
    return _by_client(client, scope, inputs=inputs, output=output, tool=tool)
