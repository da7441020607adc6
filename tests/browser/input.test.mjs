// Whatever way evidence and trust come in; and that trust never comes from evidence.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";

import { launch, open, trySample, verdict } from "./browser.mjs";
import { DIST, serve } from "./host.mjs";

const read = (name) => readFile(new URL(`samples/${name}`, DIST));
const trust = await read("trust.json");
const proof = await read("one-record.tlog-proof");
const pack = await read("history.pack.jsonl");

let browser;
let host;
let page;
let close;

before(async () => {
  browser = await launch();
  host = await serve({ under: "/some/where/", extra: { "trust.json": trust, "given/6": proof } });
});

after(async () => {
  await browser.close();
  await host.stop();
});

beforeEach(async () => {
  await close?.();
  ({ page, close } = await open(browser, host.url));
});

test("evidence waits for trust, and is verified when there is some", async () => {
  await give("#evidence-file", "mine.tlog-proof", proof);
  await page.getByText("Say whom you trust, then verify.").first().waitFor();
  assert.equal(await page.isDisabled("#verify"), true);
  await give("#trust-file", "trust.json", trust);
  await page.click("#verify:enabled");
  assert.equal((await verdict(page)).verdict, "verified");
  assert.match(await page.textContent("#trust-origin"), /trust\.json, which you chose/);
});

test("a file is verified at once when there is trust", async () => {
  await trustByFile();
  await give("#evidence-file", "mine.pack.jsonl", pack);
  assert.notEqual((await verdict(page)).verdict, "failed");
});

test("a gzipped pack is the same", async () => {
  await trustByFile();
  await give("#evidence-file", "mine.pack.jsonl", pack);
  await verdict(page);
  const plain = await page.textContent("#report-raw pre");
  await give("#evidence-file", "mine.pack.jsonl.gz", gzipSync(pack));
  await page.waitForFunction(() => document.querySelector(".verdict dd")?.textContent.endsWith(".gz"));
  assert.equal(await page.textContent("#report-raw pre"), plain);
  await page.click("details[data-index='3'] summary");
  await page.locator("details[data-index='3'] dl").first().waitFor();
});

test("what is gzipped and broken fails as the command says", async () => {
  await trustByFile();
  await give("#evidence-file", "cut.gz", gzipSync(pack).subarray(0, 900));
  const { verdict: word, codes } = await verdict(page);
  assert.deepEqual([word, codes], ["failed", ["pack-malformed"]]);
  assert.match(await page.textContent("#report-findings"), /by whoever made it or passed it on/);
});

test("text can be pasted, into the field and onto the page", async () => {
  await trustByFile();
  await page.click("#paste summary");
  await page.fill("#paste-text", proof.toString());
  await page.click("#paste-take");
  assert.equal((await verdict(page)).verdict, "verified");
  await page.evaluate((text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
  }, "no evidence at all");
  await page.waitForSelector("[data-verdict=failed]");
  assert.deepEqual((await verdict(page)).codes, ["pack-malformed"]);
});

test("a file can be dropped, and a file that misses changes nothing", async () => {
  await trustByFile();
  await drop("footer", "mine.tlog-proof", proof);
  assert.match(await page.textContent("#evidence-origin"), /Nothing yet/);
  await drop("#drop", "mine.tlog-proof", proof);
  assert.equal((await verdict(page)).verdict, "verified");
});

test("trust is edited in the open, and what is none is said to be none", async () => {
  await page.click("#trust-edit summary");
  await page.fill("#trust-text", "{}");
  await page.locator("#trust-text").blur();
  await page.getByText("This is not a trust file").waitFor();
  await page.fill("#trust-text", trust.toString());
  await page.locator("#trust-text").blur();
  await page.locator("#trust-facts dt").first().waitFor();
  assert.match(await page.textContent("#trust-origin"), /by you/);
  assert.equal(await page.textContent("#trust-fault"), "");
});

test("another trust takes the verdict away", async () => {
  await trustByFile();
  await give("#evidence-file", "mine.tlog-proof", proof);
  await verdict(page);
  await give("#trust-file", "other.json", trust.toString().replace("e23b", "e23c"));
  await page.getByText("The trust has changed. Verify again.").first().waitFor();
  assert.equal(await page.isVisible("#report"), false);
  await page.click("#verify");
  assert.ok((await verdict(page)).codes.includes("origin-mismatch"));
});

test("the samples' trust is not kept for evidence of one's own", async () => {
  await trySample(page, "one-record.tlog-proof");
  assert.match(await page.textContent("#trust-origin"), /for its samples alone/);
  await give("#evidence-file", "mine.tlog-proof", proof);
  await page.getByText("Nobody yet").waitFor();
  assert.equal(await page.isDisabled("#verify"), true);
});

test("an address in the fragment brings evidence of this host, and says whose trust it is", async () => {
  await page.goto("about:blank");
  await page.goto(`${host.url}#evidence=given/6`);
  assert.equal((await verdict(page)).verdict, "verified");
  assert.match(await page.textContent("#trust-origin"), /also served this page. Compare the fingerprint/);
  assert.match(await page.textContent("#evidence-origin"), /\/some\/where\/given\/6/);
});

test("an address of another host is refused, and not asked", async () => {
  await page.goto("about:blank");
  await page.goto(`${host.url}#evidence=https://example.com/6`);
  await page.getByText("its address is of another host").waitFor();
});

async function trustByFile() {
  await give("#trust-file", "trust.json", trust);
  await page.locator("#trust-facts dt").first().waitFor();
}

async function give(input, name, content) {
  await page.setInputFiles(input, { name, mimeType: "application/octet-stream", buffer: Buffer.from(content) });
}

async function drop(selector, name, content) {
  const transfer = await page.evaluateHandle(([file, text]) => {
    const made = new DataTransfer();
    made.items.add(new File([text], file));
    return made;
  }, [name, content.toString()]);
  await page.dispatchEvent(selector, "drop", { dataTransfer: transfer });
}
