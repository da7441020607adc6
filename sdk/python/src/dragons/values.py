"""Values for commitments: the log holds a salted digest of each, the agent's own journal the value itself."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, Mapping, Optional

from . import scopes

#: The longest value that the speaker keeps. Of a longer one its digest is committed to, under ``NAME.digest``.
MAX_VALUE_BYTES = 64 * 1024

#: The longest text of a reference.
_MAX_TEXT_BYTES = 1024
_MAX_SHORT_BYTES = 128


def texts(values: Optional[Mapping[str, Any]]) -> Dict[str, str]:
    """What the socket gets for these values, by name."""
    return dict(_kept(scopes.name(name), value) for name, value in (values or {}).items())


def references(values: Mapping[str, Optional[str]]) -> Dict[str, str]:
    """References as free text: without control characters, and short enough. Those that are not known are left out."""
    known = {name: value for name, value in values.items() if value}
    return {scopes.name(name): _as_text(value) for name, value in known.items()}


def title(text: str) -> str:
    """A title that the log takes: one line of at most 1,024 bytes."""
    return _as_text(text)


def short(text: str) -> str:
    """A host's own name for an action or a session, as the socket takes it: one line of 1 to 128 bytes.

    Of a longer one the first hex digits of its SHA-256 stand for it.
    """
    shown = _as_text(text)
    if not shown:
        raise ValueError("the name of a call or a session is empty")
    if len(text.encode("utf-8", "replace")) <= _MAX_SHORT_BYTES:
        return shown
    return "+." + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def spell(value: Any) -> bytes:
    """A value as bytes: texts and bytes as they are, all else as JSON with sorted keys."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    spelled = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=repr)
    return spelled.encode("utf-8", "replace")


def _kept(name: str, value: Any) -> "tuple[str, str]":
    data = spell(value)
    if len(data) <= MAX_VALUE_BYTES:
        try:
            return name, data.decode("utf-8")
        except UnicodeDecodeError:
            pass  # The socket's lines are text, so of other bytes the digest is the value.
    return scopes.name(f"{name}.digest"), f"sha256:{hashlib.sha256(data).hexdigest()}"


def _as_text(text: str) -> str:
    # The log refuses control and bidirectional characters; both are what Python does not print.
    shown = "".join(one if one.isprintable() else " " for one in text)
    return shown.encode("utf-8", "replace")[:_MAX_TEXT_BYTES].decode("utf-8", "ignore")
