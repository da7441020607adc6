"""Functions that ask for permission before each call."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, Optional, TypeVar, cast

from . import scopes
from .work import Action

if TYPE_CHECKING:
    from .asking import Client

_F = TypeVar("_F", bound=Callable[..., Any])


def governed(
    client: "Callable[[], Client]",
    scope: str,
    *,
    inputs: Iterable[str] = (),
    output: Optional[str] = None,
    tool: Optional[str] = None,
) -> Callable[[_F], _F]:
    """Wraps a function, a coroutine function or a generator of either kind.

    Raises ``TypeError`` at once where the scope or ``inputs`` name an argument that the function does not have.
    """
    names = list(inputs)

    def decorate(function: _F) -> _F:
        signature = inspect.signature(function)
        _check(signature, [*scopes.fields(scope), *names], function)

        def action(args: "tuple[Any, ...]", kwargs: Mapping[str, Any]) -> Action:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            chosen = {name: given[name] for name in names}
            return client().action(scopes.fill(scope, given), inputs=chosen, tool=tool)

        return cast(_F, functools.wraps(function)(_wrapped(function, action, output)))

    return decorate


def _check(signature: inspect.Signature, names: Iterable[str], function: Callable[..., Any]) -> None:
    for name in names:
        if name not in signature.parameters:
            raise TypeError(f"{function.__qualname__} has no argument {name!r}, which its scope or its inputs name")


def _wrapped(function: Callable[..., Any], action: Callable[..., Action], output: Optional[str]) -> Callable[..., Any]:
    def kept(act: Action, value: Any) -> Any:
        if output is not None:
            act.output(**{output: value})
        return value

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        async with action(args, kwargs) as act:
            return kept(act, await function(*args, **kwargs))

    async def async_generator(*args: Any, **kwargs: Any) -> Any:
        async with _apart(action(args, kwargs)):
            async for value in function(*args, **kwargs):
                yield value

    def generator(*args: Any, **kwargs: Any) -> Any:
        with _apart(action(args, kwargs)):
            return (yield from function(*args, **kwargs))

    def plain(*args: Any, **kwargs: Any) -> Any:
        with action(args, kwargs) as act:
            return kept(act, function(*args, **kwargs))

    if inspect.iscoroutinefunction(function):
        return coroutine
    if inspect.isasyncgenfunction(function):
        return async_generator
    return generator if inspect.isgeneratorfunction(function) else plain


def _apart(action: Action) -> Action:
    """Between its values a generator's caller runs: what the caller does is outside the action."""
    action.nests = False
    return action
