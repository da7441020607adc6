"""What can go wrong, each with the code that the log or the speaker gave."""

from __future__ import annotations

from typing import Any, Mapping

#: The codes of a speaker that does not say who refuses, which say nothing about the request: it was not judged.
_AWAY_CODES = frozenset({"service-away", "stopping", "internal", "too-many-open"})

#: The one code that means that this machine has no speaker at all.
NO_SOCKET = "no-socket"


class DragonsError(Exception):
    """A request that was not granted.

    ``code`` is one of docs/codes.md, or one of this package: ``no-socket``, ``connection-lost``, ``timeout``, ``stopping``.
    ``detail`` is the sentence that came with it.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class Denied(DragonsError):
    """The request was refused: the lease does not allow it, or it is malformed. Do not act."""


class ServiceAway(DragonsError):
    """The request was not judged, so there is no permission. Do not act, and try again later."""


def refusal(answer: Mapping[str, Any]) -> DragonsError:
    """The exception for an answer that is not ``ok``."""
    code, by = answer["code"], answer.get("by")
    is_away = code in _AWAY_CODES if by is None else by == "speaker"
    return (ServiceAway if is_away else Denied)(code, answer["detail"])
