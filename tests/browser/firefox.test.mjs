// The main states in Firefox: the hosted page, and a sealed case from the disk.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import puppeteer from "puppeteer-core";

import { fingerprintOf } from "./fingerprint.mjs";
import { DIST, serve } from "./host.mjs";
import { sealed } from "./sealed.mjs";

const pack = await readFile(new URL("samples/history.pack.jsonl", DIST));
const trust = JSON.parse(await readFile(new URL("samples/trust.json", DIST)));

let browser;
let folder;
let host;

before(async () => {
  browser = await puppeteer.launch({ browser: "firefox", executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr", headless: true });
  folder = await mkdtemp(join(tmpdir(), "firefox-"));
  host = await serve();
});

after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true });
  await host.stop();
});

test("samples come to their verdicts", async () => {
  const page = await browser.newPage();
  await page.goto(host.url);
  await page.waitForSelector("html[data-ready]");
  for (const [sample, word] of [["history.pack.jsonl", "verified"], ["window.pack.jsonl", "incomplete"], ["rewritten.pack.jsonl", "failed"], ["one-record.tlog-proof", "verified"]]) {
    await page.evaluate((name) => document.querySelector(`[data-sample="${name}"]`).click(), sample);
    await page.waitForSelector(`#verdict [data-verdict="${word}"]`);
  }
  await page.close();
});

test("a sealed case opens from the disk and speaks after the fingerprint", async () => {
  const path = join(folder, "case.html");
  await writeFile(path, await sealed(pack));
  const page = await browser.newPage();
  await page.goto(pathToFileURL(path).href);
  await page.waitForSelector("html[data-ready]");
  assert.equal(await page.$eval("#verdict", (verdict) => verdict.textContent), "");
  await page.type("#fingerprint", fingerprintOf(trust.charter));
  await page.waitForSelector('#verdict [data-verdict="verified"]');
  await page.close();
});
