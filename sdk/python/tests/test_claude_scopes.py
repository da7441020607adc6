"""The scopes of Claude Code's tools."""

from __future__ import annotations

import unittest

from dragons import claude_scopes

CASES = [
    ("Read", {"file_path": "/repo/src/a b.py"}, "read:src/a+20b.py"),
    ("Read", {"file_path": "src/../../etc/passwd"}, "read:@abs/etc/passwd"),
    ("Glob", {"pattern": "**/*.py"}, "read:@root"),
    ("Grep", {"pattern": "x", "path": "/"}, "read:@abs"),
    ("Read", {"file_path": "/repository/a"}, "read:@abs/repository/a"),
    ("Read", {"file_path": "..a/b"}, "read:..a/b"),
    ("Write", {"file_path": "a.txt"}, "write:a.txt"),
    ("Edit", {"file_path": "/etc/hosts"}, "write:@abs/etc/hosts"),
    ("Bash", {"command": "git commit -m 'a b'"}, "run:git"),
    ("Bash", {"command": "./run.sh x"}, "run:run.sh"),
    ("Bash", {"command": "/bin/rm -rf x"}, "run:@abs/bin/rm"),
    ("WebFetch", {"url": "https://User@Example.com:8443/x"}, "fetch:example.com"),
    ("mcp__fs__read_file", {}, "call:fs/read_file"),
    ("mcp__a__b__c", {}, "call:a/b__c"),
    ("Agent", {"subagent_type": "Explore"}, "spawn:Explore"),
    ("TodoWrite", {}, None),
    ("WebFetch", {"url": "nothing"}, None),
]

NOT_SIMPLE = [
    *(f"a {one} b" for one in (";", "&&", "|", "<", ">", "(b)", "$X", "`b`", "*", "?", "{a}", "~", "#", "\\", "\n")),
    "X=1 git", "X+=1 git", "", "  ", "if true", "'unfinished", "! git", "time git", "''",
]


class ClaudeScopes(unittest.TestCase):
    def test_tools_have_scopes(self) -> None:
        for tool, arguments, expected in CASES:
            self.assertEqual(claude_scopes.scope(tool, arguments, "/repo"), expected, (tool, arguments))

    def test_what_is_not_provably_one_command_is_a_shell(self) -> None:
        for command in NOT_SIMPLE:
            self.assertEqual(claude_scopes.scope("Bash", {"command": command}, "/repo"), "run:sh", command)


if __name__ == "__main__":
    unittest.main()
