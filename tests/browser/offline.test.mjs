// Once it is loaded, the page needs nobody: the host can go away.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";

import { launch, open, trySample, verdict } from "./browser.mjs";
import { DIST, serve } from "./host.mjs";

test("it works with the host stopped", async () => {
  const [browser, host] = [await launch(), await serve({ under: "/a/b/" })];
  const { page, faults } = await open(browser, host.url);
  await host.stop();
  const samples = JSON.parse(await readFile(new URL("samples/index.json", DIST)));
  for (const { evidence, code } of samples) {
    const { codes } = await trySample(page, evidence);
    assert.equal(codes.includes(code), code !== null, evidence);
  }
  await trySample(page, "history.pack.jsonl");
  await page.click("details[data-index='3'] summary");
  await page.getByRole("button", { name: "Show its path to the root" }).click();
  await page.waitForSelector("details[data-index='3'] .path");
  await page.click("#trust-host");
  await page.waitForFunction(() => document.getElementById("trust-fault").textContent !== "");
  assert.equal((await verdict(page)).verdict !== "failed", true);
  await browser.close();
  assert.deepEqual(faults.filter((fault) => !fault.includes("ERR_CONNECTION_REFUSED")), []);
});

test("no file of the page makes markup out of text, or code", async () => {
  const forbidden = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|https?:\/\/(?!www\.w3\.org\/2000\/svg)/;
  const parts = (await readdir(DIST)).filter((name) => /\.(js|css)$/.test(name));
  assert.equal(parts.length, 3);
  for (const name of parts) assert.doesNotMatch(await readFile(new URL(name, DIST), "utf8"), forbidden, name);
  const page = await readFile(new URL("index.html", DIST), "utf8");
  assert.doesNotMatch(page, /\son\w+=|style=|https?:/);
  assert.match(page, /default-src 'none'/);
});
