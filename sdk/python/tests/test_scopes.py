"""Escapes and templates. The cases of the first list are those of ledger/src/escape.rs."""

from __future__ import annotations

import pathlib
import unittest

from dragons import scopes, values

CASES = [
    ("g++", "g++", "g++"),
    ("[", "+5b", "+5b"),
    ("+5b", "+2b5b", "+2b5b"),
    ("+.", "+2b.", "+2b."),
    ("+[b", "++5bb", "++5bb"),
    ("+5", "+5", "+5"),
    (".", "+2e", "+2e"),
    ("..", "+2e.", "+2e+2e"),
    (".a", "+2ea", ".a"),
    ("-a", "+2da", "-a"),
    ("a:b", "a:b", "a+3ab"),
    ("a/b", "a+2fb", "a+2fb"),
    ("ä", "+c3+a4", "+c3+a4"),
]


class Escapes(unittest.TestCase):
    def test_what_the_alphabet_lacks_is_escaped(self) -> None:
        for text, name, segment in CASES:
            self.assertEqual((scopes.name(text), scopes.segment(text)), (name, segment), text)

    def test_the_log_escapes_the_same_way(self) -> None:
        source = pathlib.Path(__file__).parents[3] / "ledger/src/escape.rs"
        if not source.exists():
            self.skipTest("the sources of the log are not here")
        text = source.read_text("utf-8")
        for case in CASES:
            spelled = ", ".join(f'"{one}"' for one in case)
            self.assertIn(f"({spelled})", text)

    def test_what_is_too_long_is_named_by_its_hash(self) -> None:
        hashed = "+.c12cb024a2e5551cca0e08fce8f1c5e3"
        self.assertEqual((scopes.name("a" * 128), scopes.name("a" * 129)), ("a" * 128, hashed))
        self.assertEqual((scopes.segment("a" * 512), len(scopes.segment("a" * 513))), ("a" * 512, 34))

    def test_the_empty_text_has_none(self) -> None:
        for function in (scopes.name, scopes.segment):
            with self.assertRaises(ValueError):
                function("")


class Templates(unittest.TestCase):
    def test_values_fill_segments(self) -> None:
        class Order:
            id = "o/1"

        for template, expected in (
            ("write:ledger/{account}", "write:ledger/a+2f..+2fb"),
            ("read:{path:path}", "read:etc/+2e+2e/pass+20wd"),
            ("call:{order.id}/{n:03d}", "call:o+2f1/007"),
            ("read:fixed", "read:fixed"),
        ):
            given = {"account": "a/../b", "path": pathlib.PurePosixPath("/etc/../pass wd"), "order": Order(), "n": 7}
            self.assertEqual(scopes.fill(template, given), expected)

    def test_fields_are_known_beforehand(self) -> None:
        self.assertEqual(scopes.fields("a:{b.c}/{d[0]}/{e}/f"), ["b", "d", "e"])

    def test_a_value_that_is_empty_or_missing_is_an_error(self) -> None:
        with self.assertRaises(ValueError):
            scopes.fill("read:{a}", {"a": ""})
        with self.assertRaises(KeyError):
            scopes.fill("read:{a}", {})


class Values(unittest.TestCase):
    def test_references_are_one_short_line(self) -> None:
        given = {"a": "one\ntwo\u202e", "b": "ä" * 600, "none": None, "empty": ""}
        self.assertEqual(values.references(given), {"a": "one two ", "b": "ä" * 512})

    def test_other_values_are_json(self) -> None:
        self.assertEqual(values.texts({"v": {"b": 1, "a": [True, None]}}), {"v": '{"a":[true,null],"b":1}'})
        self.assertIn("object object", values.texts({"v": object()})["v"])


if __name__ == "__main__":
    unittest.main()
