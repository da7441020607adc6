// A pack that takes a while: the bar tells the truth, cancel cancels, and the page stays awake.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { launch, open, verdict } from "./browser.mjs";
import { DIST, serve } from "./host.mjs";

const read = (name) => readFile(new URL(`samples/${name}`, DIST), "utf8");

/** The header says this many; the proof is for sixteen, so it fails at the end, after all of it was read. */
const ENTRIES = 20_000;

let browser;
let host;
let opened;
let large;

before(async () => {
  browser = await launch();
  host = await serve();
  opened = await open(browser, host.url);
  large = Buffer.from(await grown(ENTRIES));
  const trust = await read("trust.json");
  await opened.page.setInputFiles("#trust-file", { name: "trust.json", mimeType: "application/json", buffer: Buffer.from(trust) });
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
  assert.equal(word, "failed");
  assert.ok(codes.length > 0);
  const seen = await page.evaluate(() => globalThis.seen);
  assert.ok(seen.length > 3, `${seen.length} steps`);
  assert.deepEqual(seen, seen.toSorted((one, other) => one.value - other.value));
  assert.ok(seen.every(({ value, max }) => value <= max && max === large.length));
});

test("its entries are shown a page at a time", async () => {
  const { page } = opened;
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
  assert.match(await page.textContent("#report"), /You cancelled it/);
});

test("nothing else happened", () => assert.deepEqual(opened.faults, []));

/** The golden leaves over and over, under a header that says so. */
async function grown(count) {
  const [header, checkpoint, proof, ...leaves] = (await read("history.pack.jsonl")).trimEnd().split("\n");
  const head = header.replaceAll('16', String(count));
  const body = Array.from({ length: count }, (_, index) => leaves[index % 16].replace(/^\{"index":\d+/, `{"index":${index}`));
  return `${[head, checkpoint, proof, ...body].join("\n")}\n`;
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
