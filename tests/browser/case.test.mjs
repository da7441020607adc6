// A sealed case, opened from a disk with no network: silent until the fingerprint is typed, and not to be tampered with.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { launch, verdict } from "./browser.mjs";
import { fingerprintOf } from "./fingerprint.mjs";
import { DIST } from "./host.mjs";
import { sealed } from "./sealed.mjs";

const pack = await readFile(new URL("samples/history.pack.jsonl", DIST));
const trust = JSON.parse(await readFile(new URL("samples/trust.json", DIST)));
const fingerprint = fingerprintOf(trust.charter);
const OTHER = fingerprint.replace(/^./, (first) => String((Number(first) + 1) % 10));

let browser;
let folder;

before(async () => {
  browser = await launch();
  folder = await mkdtemp(join(tmpdir(), "case-"));
});

after(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

/** Opens a file from the disk, in a browser that reaches nobody. */
async function openFile(content) {
  const path = join(folder, "case.html");
  await writeFile(path, content);
  const context = await browser.newContext({ offline: true });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => { if (message.type() === "error") faults.push(message.text()); });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => { if (/^https?:/.test(request.url())) faults.push(request.url()); });
  await page.goto(pathToFileURL(path).href);
  return { page, faults, close: () => context.close() };
}

test("a case speaks once it is given the right fingerprint", async () => {
  const { page, faults, close } = await openFile(await sealed(pack));
  await page.waitForSelector("html[data-ready]");
  assert.equal(await page.textContent("#verdict"), "");
  await page.fill("#fingerprint", OTHER);
  await page.waitForSelector("#fingerprint.is-bad");
  assert.equal(await page.textContent("#verdict"), "");
  await page.fill("#fingerprint", "");
  await page.locator("#fingerprint").pressSequentially(fingerprint.replaceAll(" ", ""));
  assert.equal(await page.inputValue("#fingerprint"), fingerprint, "it is grouped as it is typed");
  assert.equal((await verdict(page)).verdict, "verified");
  assert.match(await page.textContent("#report-raw pre"), /"verdict":"verified"/);
  const digest = createHash("sha256").update(pack).digest("hex");
  assert.match(await page.textContent("#report-subject"), new RegExp(digest), "it is the digest of the pack that was sealed");
  assert.match(await page.textContent("#build"), /Commit([0-9a-f]{40}|unknown)/);
  assert.match(await page.textContent("#evidence-origin"), /16 entries|The evidence in this file/, "it says what is inside, and not what to do");
  assert.match(await page.textContent("#report-bench .meaning"), /Signed by ?[a-z]+ /i, "keys have names");
  await page.locator("#report-goals .tale li").first().waitFor({ state: "attached" });
  assert.deepEqual(faults, []);
  await close();
});

test("evidence that was changed fails, and evidence of another log stays silent", async () => {
  const changed = pack.toString().replace("1764000005005", "1764000005006");
  assert.notEqual(changed, pack.toString());
  const { page, close } = await openFile(await sealed(changed));
  await page.waitForSelector("html[data-ready]");
  await page.fill("#fingerprint", fingerprint);
  assert.equal((await verdict(page)).verdict, "failed");
  await close();
});

test("a script that was changed does not run, and the page says so", async () => {
  const tampered = (await sealed(pack)).replace("export", "export").replace('data-verdict": report.verdict', 'data-verdict": "verified"');
  const { page, close } = await openFile(tampered);
  await page.waitForFunction(() => document.readyState === "complete");
  assert.match(await page.textContent("#ready"), /has not started/);
  await page.fill("#fingerprint", fingerprint);
  assert.equal(await page.textContent("#verdict"), "");
  await close();
});

test("a verifier that was changed is not used", async () => {
  const tampered = (await sealed(pack)).replace(/(id="part-worker">)/, "$1 ");
  const { page, close } = await openFile(tampered);
  await page.getByText("the worker in this file was changed").waitFor();
  assert.equal(await page.textContent("#verdict"), "");
  await close();
});

test("the page alone opens from a disk as well", async () => {
  const { page, faults, close } = await openFile(await readFile(new URL("page.html", DIST)));
  await page.waitForSelector("html[data-ready]");
  assert.match(await page.textContent("#ready"), /needs no network/);
  await page.setInputFiles("#trust-file", { name: "trust.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(trust)) });
  await page.setInputFiles("#evidence-file", { name: "mine", mimeType: "application/json", buffer: pack });
  assert.equal((await verdict(page)).verdict, "verified");
  assert.deepEqual(faults, []);
  await close();
});

test("the hosted page, opened from a disk, says what to open", async () => {
  const context = await browser.newContext({ offline: true });
  const page = await context.newPage();
  await page.goto(new URL("index.html", DIST).href);
  assert.match(await page.textContent("#ready"), /open page\.html/);
  await context.close();
});
