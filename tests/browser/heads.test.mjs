// Two checkpoints as evidence: whether the log grew from the one to the other, what is missing where the proof is, and a split view.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { verdict } from "./browser.mjs";
import { DIST } from "./host.mjs";
import { build } from "./programs.mjs";
import { axeFindings, give, giveTrust, page, stage } from "./stage.mjs";

const read = async (name) => (await readFile(new URL(`samples/${name}`, DIST))).toString();
const trust = await read("trust.json");
const newer = line(await read("continued.pack.jsonl"), "checkpoint");
const { checkpoint: older, consistency: hashes } = line(await read("continued.pack.jsonl"), "earlier");
const { checkpoint: rewritten } = line(await read("rewritten.pack.jsonl"), "earlier");
const proof = JSON.stringify({ old: 9, new: 16, hashes });

stage({ trust });

test("two checkpoints and their proof, in any order, show that the log only grew", async () => {
  await give({ "proof.json": proof, "new.checkpoint": newer, "old.checkpoint": older });
  const { verdict: word, words, checks } = await verdict(page);
  assert.deepEqual([word, words, checks.checkpoint, checks.consistency], ["verified", "Consistent", "pass", "pass"]);
  assert.match(await page.textContent("#verdict"), /tree of 16 entries grew out of that of 9, by \d hashes/);
  assert.match(await page.textContent('[data-answer="consistent"]'), /Yes/);
  const ways = page.locator("#report-growth [data-way]");
  assert.equal(await ways.count(), 2);
  const ends = await ways.locator(".end").evaluateAll((all) => all.map((end) => end.className));
  assert.deepEqual(ends, ["end is-good", "end is-good"]);
  const given = new Set(await ways.locator(".given .hash-text").allTextContents());
  assert.ok(hashes.slice(1).every((hash) => given.has(hash)), "what is given is what the proof holds");
  const roots = await ways.evaluateAll((all) => all.map((way) => [...way.querySelectorAll(".computed .hash-text")].at(-1).textContent));
  assert.deepEqual(roots, [older, newer].map((head) => head.split("\n")[2]));
});

test("the command gives the same report, byte for byte", async () => {
  const folder = await mkdtemp(join(tmpdir(), "heads-"));
  const files = { "trust.json": trust, "new.checkpoint": newer, "proof.json": proof, "old.checkpoint": older, "rewritten.checkpoint": rewritten };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const dragons = join(build(), "dragons");
  for (const names of [["new.checkpoint", "old.checkpoint", "proof.json"], ["old.checkpoint", "new.checkpoint"], ["old.checkpoint", "rewritten.checkpoint"]]) {
    await page.reload();
    await page.waitForSelector("html[data-ready]");
    await giveTrust(trust);
    await give(Object.fromEntries(names.map((name) => [name, files[name]])));
    await verdict(page);
    assert.equal(`${await page.textContent("#report-raw pre")}\n`, said(dragons, ["verify", ...names, "--trust", "trust.json", "--json"], folder), names);
  }
  await rm(folder, { recursive: true });
});

test("a checkpoint is compared with the one that was brought before", async () => {
  await give({ "old.checkpoint": older });
  await verdict(page);
  assert.match(await page.textContent("#verdict"), /Not evidence.*bare checkpoint.*With another checkpoint of the log it is evidence/s);
  await give({ "new.checkpoint": newer });
  await page.waitForSelector('[data-verdict="incomplete"]');
  assert.match(await page.textContent("#verdict"), /dragons consistency 9 16 --json/);
  assert.match(await page.textContent("#verdict"), /\/v1\/consistency\?old=9&new=16/);
  await give({ "proof.json": proof });
  await page.waitForSelector('[data-verdict="verified"]');
});

test("a checkpoint is compared with that of the evidence that is there", async () => {
  await give({ "history.pack.jsonl": await read("history.pack.jsonl") });
  await verdict(page);
  await give({ "old.checkpoint": older, "proof.json": proof });
  await page.getByText("Consistent", { exact: true }).waitFor();
  assert.match(await page.textContent("#evidence-origin"), /the checkpoint in history\.pack\.jsonl/);
});

test("two roots of one size are a split view, and the page says by whom", async () => {
  await give({ "old.checkpoint": older, "rewritten.checkpoint": rewritten });
  const { verdict: word, words, codes } = await verdict(page);
  assert.deepEqual([word, words, codes], ["failed", "Split view", ["inconsistent"]]);
  const told = await page.textContent("#verdict");
  assert.match(told, /example\.com\/workledger signed two trees of 9 entries/);
  assert.match(told, /by the log/);
  for (const head of [older, rewritten]) assert.ok(told.includes(head.split("\n")[2]));
});

test("a proof that leads elsewhere is drawn where it leads", async () => {
  await give({ "old.checkpoint": rewritten, "new.checkpoint": newer, "proof.json": proof });
  const { words } = await verdict(page);
  assert.equal(words, "Split view");
  assert.equal(await page.locator('[data-way="older"].is-off .end.is-bad').count(), 1);
  assert.equal(await page.locator('[data-way="newer"].is-on .end.is-good').count(), 1);
});

test("what a program has added to a checkpoint is named, and removed only on request", async () => {
  const altered = { "a mark in front": [`\ufeff${older}`, newer, /byte order mark/], "a mark between": [older, `\ufeff${newer}`, /byte order mark/],
    "windows line ends": [older.replaceAll("\n", "\r\n"), newer, /CR LF/], "no last line end": [older, newer.trimEnd(), /lost/] };
  for (const [what, [one, other, named]] of Object.entries(altered)) {
    await page.reload();
    await page.waitForSelector("html[data-ready]");
    await giveTrust(trust);
    await give({ "old.checkpoint": one, "new.checkpoint": other });
    assert.equal((await verdict(page)).verdict, "failed", what);
    assert.match(await page.textContent("#verdict .because"), named, what);
    await page.click(".mending button");
    await page.waitForSelector('[data-verdict="incomplete"]');
    assert.match(await page.textContent("#verdict"), /You had the file repaired first/, what);
  }
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing, and 320 px are enough, ${colorScheme}`, async () => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width: 320, height: 640 });
    await give({ "old.checkpoint": older, "new.checkpoint": newer, "proof.json": proof });
    await verdict(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
    assert.deepEqual(await axeFindings(), []);
  });
}

/** What a line of a pack has under a name. */
function line(pack, name) {
  return JSON.parse(pack.split("\n").find((one) => one.startsWith(`{"${name}":`)))[name];
}

/** What a program prints, whatever it ends with. */
function said(program, words, cwd) {
  try {
    return execFileSync(program, words, { cwd, stdio: "pipe" }).toString();
  } catch ({ stdout }) {
    return stdout.toString();
  }
}
