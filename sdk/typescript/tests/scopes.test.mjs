// Escapes and templates. The cases of the first list are those of ledger/src/escape.rs.

import assert from "node:assert/strict";
import test from "node:test";

import { name, path, segment } from "@dragons/agent";

const CASES = [
  ["g++", "g++", "g++"],
  ["[", "+5b", "+5b"],
  ["+5b", "+2b5b", "+2b5b"],
  ["+.", "+2b.", "+2b."],
  ["+[b", "++5bb", "++5bb"],
  ["+5", "+5", "+5"],
  [".", "+2e", "+2e"],
  ["..", "+2e.", "+2e+2e"],
  [".a", "+2ea", ".a"],
  ["-a", "+2da", "-a"],
  ["a:b", "a:b", "a+3ab"],
  ["a/b", "a+2fb", "a+2fb"],
  ["ä", "+c3+a4", "+c3+a4"],
];

test("what the alphabet lacks is escaped", () => {
  for (const [text, asName, asSegment] of CASES) {
    assert.deepEqual([name(text), segment(text)], [asName, asSegment], text);
  }
});

test("what is too long is named by its hash, and what is empty has no name", () => {
  const hashed = "+.c12cb024a2e5551cca0e08fce8f1c5e3";
  assert.deepEqual([name("a".repeat(128)), name("a".repeat(129))], ["a".repeat(128), hashed]);
  assert.deepEqual([segment("a".repeat(512)).length, segment("a".repeat(513)).length], [512, 34]);
  assert.throws(() => name(""), RangeError);
  assert.throws(() => segment(""), RangeError);
  assert.equal(path("/etc//../pass wd"), "etc/+2e+2e/pass+20wd");
});
