"""Scopes from templates: ``write:ledger/{account}`` and the arguments of a call.

A value fills exactly one segment, whatever is in it: what the alphabet of a segment lacks is escaped as in
docs/formats.md, so ``a/../b`` becomes ``a+2f..+2fb`` and never climbs. ``{path:path}`` fills one segment for each part
between slashes.
"""

from __future__ import annotations

import hashlib
import os
import string
from typing import Any, Mapping, Sequence

_ALPHANUMERIC = frozenset((string.ascii_letters + string.digits).encode())
_IN_SEGMENT = _ALPHANUMERIC | frozenset(b"_@+-.")
_IN_NAME = _ALPHANUMERIC | frozenset(b"._:@+-")
_MAX_SEGMENT_BYTES = 512
_MAX_NAME_BYTES = 128
#: The hex digits of SHA-256 that replace a text that is too long.
_HASH_DIGITS = 32


def segment(text: str) -> str:
    """The segment of a scope for a text.

    Raises ``ValueError`` for the empty text, which no segment stands for.
    """
    data = _bytes(text)
    if not data:
        raise ValueError("an empty text has no segment in a scope")
    plain = _ALPHANUMERIC | frozenset(b"_@+-") if data in (b".", b"..") else _IN_SEGMENT
    return _bounded(data, _escaped(data, plain, plain), _MAX_SEGMENT_BYTES)


def name(text: str) -> str:
    """The name (of a tool, an input, a reference) for a text.

    Raises ``ValueError`` for the empty text, which has no name.
    """
    data = _bytes(text)
    if not data:
        raise ValueError("an empty text has no name")
    first = _ALPHANUMERIC | frozenset(b"+")
    return _bounded(data, _escaped(data, first, _IN_NAME), _MAX_NAME_BYTES)


def path(text: str) -> str:
    """The segments for a path, joined by slashes; empty parts are left out."""
    return "/".join(segment(part) for part in text.split("/") if part)


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The scope that a template and these values make.

    Raises ``ValueError`` where a value is empty, ``KeyError`` where one is missing.
    """
    return _Filler().vformat(template, (), values)


def fields(template: str) -> Sequence[str]:
    """The names that a template needs, each as far as its first dot or bracket."""
    parsed = string.Formatter().parse(template)
    names = [field for _, field, _, _ in parsed if field is not None]
    return [name.split(".")[0].split("[")[0] for name in names]


class _Filler(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "path":
            return path(os.fspath(value))
        return segment(format(value, format_spec))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _escaped(data: bytes, first: "frozenset[int]", rest: "frozenset[int]") -> str:
    out = []
    for at, byte in enumerate(data):
        plain = byte in (rest if at else first)
        if plain and not (byte == ord("+") and _reads_as_escape(data[at + 1 :])):
            out.append(chr(byte))
        else:
            out.append(f"+{byte:02x}")
    return "".join(out)


def _reads_as_escape(after: bytes) -> bool:
    """Whether a ``+`` in front of this would be taken for the beginning of an escape."""
    hexes = b"0123456789abcdef"
    return after[:1] == b"." or (len(after) > 1 and after[0] in hexes and after[1] in hexes)


def _bounded(data: bytes, escaped: str, most: int) -> str:
    if len(escaped) <= most:
        return escaped
    return "+." + hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]
