// A verdict belongs to one evidence and one trust, both frozen when it began: whatever is chosen, dropped or fetched meanwhile,
// no verdict is ever shown beside what did not give it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

import { launch, open, verdict } from "./browser.mjs";
import { DIST, serve } from "./host.mjs";

const ENTRIES = 6_000;

const read = (name) => readFile(new URL(`samples/${name}`, DIST));
const sampleTrust = await read("trust.json");
const proof = await read("one-record.tlog-proof");
const pack = await read("history.pack.jsonl");
const broken = await read("swapped.pack.jsonl");
const pdf = Buffer.from("%PDF-1.7\n%\u00e2\u00e3 an invoice");

let browser;
let host;
let page;
let close;
let faults;
let large;
let given;

before(async () => {
  browser = await launch();
  large = await makeLarge(ENTRIES);
});

after(async () => {
  await browser.close();
  // A host that still listens keeps this process.
  await host?.stop();
});

beforeEach(async () => {
  await close?.();
  await host?.stop();
  given = { slow: later(), fast: later(), trust: later() };
  const extra = { slow: given.slow.promise, fast: given.fast.promise, "trust.json": given.trust.promise };
  host = await serve({ extra });
  ({ page, close, faults } = await open(browser, host.url));
  await watchVerdicts();
});

test("another trust, chosen while a large pack is verified, is not the one of its verdict", async () => {
  await trustBy("trust.json", large.trust);
  for (const [name, other] of [["invoice.pdf", pdf], ["other.json", sampleTrust]]) {
    await give("#evidence-file", "large.pack.jsonl", large.pack);
    await page.waitForFunction(() => document.getElementById("run-bar").value > 0);
    await give("#trust-file", name, other);
    await page.waitForFunction((text) => document.getElementById("trust-origin").textContent.includes(text), name);
    await page.waitForSelector("#run", { state: "hidden" });
    assert.equal(await page.isVisible("#report"), false);
    await trustBy("trust.json", large.trust);
    await page.click("#verify:enabled");
    const { verdict: word } = await verdict(page);
    assert.equal(word, "verified");
    assert.deepEqual(await subjects(), { evidence: digest(large.pack), trust: digest(large.trust) });
  }
  await noVerdictButOf([[large.pack, large.trust]]);
});

test("of two addresses the last counts, whichever comes first", async () => {
  given.trust.resolve(sampleTrust);
  const slow = page.waitForResponse((response) => response.url().endsWith("/slow"));
  await page.evaluate(() => { location.hash = "#evidence=slow"; });
  await page.evaluate(() => { location.hash = "#evidence=fast"; });
  given.fast.resolve(proof);
  assert.equal((await verdict(page)).verdict, "verified");
  given.slow.resolve(broken);
  await (await slow).finished();
  await settle();
  assert.deepEqual(await subjects(), { evidence: digest(proof), trust: digest(sampleTrust) });
  assert.match(await page.textContent("#evidence-origin"), /fast/);
  await noVerdictButOf([[proof, sampleTrust]]);
});

test("a verdict is gone as soon as another address is asked for", async () => {
  given.trust.resolve(sampleTrust);
  given.fast.resolve(proof);
  await page.evaluate(() => { location.hash = "#evidence=fast"; });
  await verdict(page);
  await page.evaluate(() => { location.hash = "#evidence=slow"; });
  await page.getByText("Fetching slow").waitFor();
  assert.equal(await page.isVisible("#report"), false);
  assert.equal(await page.isDisabled("#verify"), true);
});

test("what the reader chooses outlives what an address brings later", async () => {
  await page.evaluate(() => { location.hash = "#evidence=slow"; });
  await page.getByText("Fetching slow").waitFor();
  await trustBy("trust.json", sampleTrust);
  await give("#evidence-file", "mine.pack.jsonl", pack);
  await verdict(page);
  given.slow.resolve(broken);
  given.trust.resolve(large.trust);
  await settle();
  assert.deepEqual(await subjects(), { evidence: digest(pack), trust: digest(sampleTrust) });
  await noVerdictButOf([[pack, sampleTrust]]);
});

test("a trust of one's own outlives the host's, whichever comes first", async () => {
  given.fast.resolve(proof);
  const asked = page.waitForRequest((request) => request.url().endsWith("/trust.json") && !request.url().includes("samples"));
  await page.evaluate(() => { location.hash = "#evidence=fast"; });
  await asked;
  await trustBy("mine.json", sampleTrust);
  given.trust.resolve(large.trust);
  await settle();
  assert.match(await page.textContent("#trust-origin"), /mine\.json/);
  await page.click("#verify:enabled");
  await verdict(page);
  await noVerdictButOf([[proof, sampleTrust]]);
});

test("the entries that are shown are those of the verdict", async () => {
  await trustBy("trust.json", large.trust);
  await give("#evidence-file", "large.pack.jsonl", large.pack);
  await page.waitForFunction(() => document.getElementById("run-bar").value > 0);
  await trustBy("other.json", sampleTrust);
  await give("#evidence-file", "mine.pack.jsonl", pack);
  await verdict(page);
  assert.equal(await page.locator(".records > li").count(), 16);
  await page.click("details[data-index='3'] summary");
  await page.getByRole("button", { name: "Show its path to the root" }).click();
  await page.waitForSelector("details[data-index='3'] .path[data-steps='5']");
  await noVerdictButOf([[pack, sampleTrust]]);
  assert.deepEqual(faults, []);
});

/** A promise that somebody else keeps. */
function later() {
  let resolve;
  const promise = new Promise((keep) => { resolve = keep; });
  return { promise, resolve };
}

/** Notes the evidence and the trust of every verdict that is ever shown. */
function watchVerdicts() {
  return page.evaluate(() => {
    globalThis.verdicts = [];
    const note = () => {
      const shown = document.querySelector("#report:not([hidden]) #report-subject");
      if (!shown) return;
      const hashes = [...shown.querySelectorAll(".hash-text")].map((code) => code.textContent);
      globalThis.verdicts.push(hashes.join(" "));
    };
    new MutationObserver(note).observe(document.getElementById("report"), { attributes: true, childList: true, subtree: true });
  });
}

async function noVerdictButOf(pairs) {
  const seen = await page.evaluate(() => [...new Set(globalThis.verdicts)]);
  const known = pairs.map(([evidence, trust]) => `${digest(evidence)} ${digest(trust)}`);
  assert.ok(seen.length > 0);
  assert.deepEqual(seen.filter((pair) => !known.includes(pair)), []);
}

async function subjects() {
  const [evidence, trust] = await page.locator("#report-subject .hash-text").allTextContents();
  return { evidence, trust };
}

/** What was on its way has arrived and was dealt with: the verifier's thread answers in turn, and so do promises. */
async function settle() {
  await page.waitForLoadState("networkidle");
  await page.evaluate(() => new Promise((resume) => { requestAnimationFrame(() => setTimeout(resume)); }));
}

async function trustBy(name, content) {
  await give("#trust-file", name, content);
  await page.waitForFunction((text) => document.getElementById("trust-origin").textContent.includes(text), name);
  await page.locator("#trust-facts dt").first().waitFor();
}

function give(input, name, content) {
  return page.setInputFiles(input, { name, mimeType: "application/octet-stream", buffer: Buffer.from(content) });
}

function digest(content) {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

/** The whole of a log with so many entries, and its trust. */
async function makeLarge(count) {
  const folder = await mkdtemp(join(tmpdir(), "races-"));
  const program = ["run", "--quiet", "--locked", "-p", "tests", "--features", "browser", "--bin", "pulses"];
  execFileSync("cargo", [...program, "--", folder, String(count)], { cwd: new URL("../..", import.meta.url), stdio: "inherit" });
  const made = { pack: await readFile(join(folder, "large.pack.jsonl")), trust: await readFile(join(folder, "trust.json")) };
  await rm(folder, { recursive: true });
  return made;
}
