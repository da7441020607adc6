"""The scopes of Claude Code's own tools, as ``dragons hook claude-code`` has them.

=====================  =====================================================================
Read, Glob, Grep       ``read:PATH``
Edit, Write, …         ``write:PATH``
Bash                   ``run:WORD`` for what is provably one simple command, or ``run:sh``
``mcp__S__T``          ``call:S/T``
WebFetch               ``fetch:HOST``
Agent, Task            ``spawn:TYPE``
=====================  =====================================================================

Paths are lexical and relative to the session's root: the root itself is ``@root``, what lies elsewhere ``@abs/…``.
"""

from __future__ import annotations

import os.path
import re
import shlex
from typing import Any, Mapping, Optional
from urllib.parse import urlsplit

from . import scopes

_READ = {"Read": "file_path", "Glob": "path", "Grep": "path", "LS": "path", "NotebookRead": "notebook_path"}
_WRITE = {"Edit": "file_path", "MultiEdit": "file_path", "Write": "file_path", "NotebookEdit": "notebook_path"}

#: What makes a command more than one word and its arguments.
_NOT_SIMPLE = re.compile(r"[;&|<>()$`*?{}~#\\\n]|^\s*[A-Za-z_][A-Za-z0-9_]*\+?=")

#: Words that a shell reads as its own grammar.
_RESERVED = frozenset("! [[ ]] case coproc do done elif else esac fi for function if in select then time until while".split())


def scope(tool: str, arguments: Mapping[str, Any], root: str) -> Optional[str]:
    """The scope of a call; ``None`` for any other tool."""
    for verb, tools in (("read", _READ), ("write", _WRITE)):
        if tool in tools:
            return f"{verb}:{_path(str(arguments.get(tools[tool]) or root), root)}"
    if tool == "Bash":
        return f"run:{_command(str(arguments.get('command', '')), root)}"
    if tool == "WebFetch":
        host = urlsplit(str(arguments.get("url", ""))).hostname
        return f"fetch:{scopes.segment(host)}" if host else None
    if tool in ("Agent", "Task"):
        return f"spawn:{scopes.segment(str(arguments.get('subagent_type') or 'general-purpose'))}"
    match = re.fullmatch(r"mcp__(.+?)__(.+)", tool)
    return f"call:{scopes.segment(match[1])}/{scopes.segment(match[2])}" if match else None


def _command(command: str, root: str) -> str:
    if _NOT_SIMPLE.search(command):
        return "sh"
    try:
        words = shlex.split(command)
    except ValueError:
        return "sh"
    if not words or not words[0] or words[0] in _RESERVED:
        return "sh"
    return _path(words[0], root) if "/" in words[0] else scopes.segment(words[0])


def _path(path: str, root: str) -> str:
    whole = os.path.normpath(os.path.join(root, path))
    if whole == os.path.normpath(root):
        return "@root"
    inside = os.path.relpath(whole, root)
    if inside.split("/")[0] == "..":
        return "/".join(part for part in ("@abs", scopes.path(whole)) if part)
    return scopes.path(inside)
