// A pack that takes a while: the bar tells the truth, cancel cancels, and the page stays awake.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch, open, verdict } from "./browser.mjs";
import { serve } from "./host.mjs";
import { build } from "./programs.mjs";

/** Enough to take seconds. */
const ENTRIES = 15_000;

let browser;
let host;
let opened;
let large;
let commanded;

before(async () => {
  browser = await launch();
  host = await serve();
  opened = await open(browser, host.url);
  const made = await makeLarge(ENTRIES);
  large = made.pack;
  await opened.page.setInputFiles("#trust-file", { name: "trust.json", mimeType: "application/json", buffer: made.trust });
  await opened.page.locator("#trust-facts dt").first().waitFor();
});

after(async () => {
  await browser.close();
  await host.stop();
});

test("progress is of the bytes that were read, and grows", async () => {
  const { page } = opened;
  await watchProgress(page);
  await give(page);
  const { verdict: word, codes } = await verdict(page);
  assert.deepEqual([word, codes], ["verified", []]);
  const seen = await page.evaluate(() => globalThis.seen);
  assert.ok(seen.length > 3, `${seen.length} steps`);
  assert.deepEqual(seen, seen.toSorted((one, other) => one.value - other.value));
  assert.ok(seen.every(({ value, max }) => value <= max && max === large.length));
});

test("helpers check its signatures where there are cores, and the report is that of the command", async () => {
  const { page } = opened;
  const cores = await page.evaluate(() => navigator.hardwareConcurrency);
  assert.equal(page.workers().length, cores < 2 ? 1 : 1 + Math.min(cores, 8));
  assert.equal(await page.textContent("#report-raw pre"), commanded);
});

test("its entries are shown a page at a time", async () => {
  const { page } = opened;
  await page.locator(".records > li").nth(19).waitFor();
  assert.equal(await page.locator(".records > li").count(), 20);
  await page.fill(".pager input", "12345");
  await page.press(".pager input", "Enter");
  await page.waitForFunction(() => document.activeElement.closest("details")?.dataset.index === "12345");
});

test("cancel ends it at once, and there is no verdict", async () => {
  const { page } = opened;
  await give(page);
  await page.waitForFunction(() => document.getElementById("run-bar").value > 0);
  await page.click("#run-cancel");
  assert.equal((await verdict(page)).verdict, "none");
  assert.match(await page.textContent("#verdict"), /You cancelled it/);
});

test("nothing else happened", () => assert.deepEqual(opened.faults, []));

/** The whole of a log with so many entries, and its trust. */
async function makeLarge(count) {
  const folder = await mkdtemp(join(tmpdir(), "large-"));
  const program = ["run", "--quiet", "--locked", "-p", "tests", "--features", "browser", "--bin", "pulses"];
  execFileSync("cargo", [...program, "--", folder, String(count)], { cwd: new URL("../..", import.meta.url), stdio: "inherit" });
  const made = { pack: await readFile(join(folder, "large.pack.jsonl")), trust: await readFile(join(folder, "trust.json")) };
  commanded = execFileSync(join(build(), "dragons"), ["verify", join(folder, "large.pack.jsonl"), "--trust", join(folder, "trust.json"), "--json"],
    { maxBuffer: 1 << 26 }).toString().trimEnd();
  await rm(folder, { recursive: true });
  return made;
}

function give(page) {
  return page.setInputFiles("#evidence-file", { name: "large.pack.jsonl", mimeType: "application/octet-stream", buffer: large });
}

function watchProgress(page) {
  return page.evaluate(() => {
    globalThis.seen = [];
    const bar = document.getElementById("run-bar");
    new MutationObserver(() => globalThis.seen.push({ value: bar.value, max: bar.max }))
      .observe(bar, { attributes: true, attributeFilter: ["value"] });
  });
}
