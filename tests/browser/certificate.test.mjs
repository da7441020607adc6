// A certificate: what is in it, that it carries its own digest, that it is one page, and that it comes out the same again.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { verdict } from "./browser.mjs";
import { fingerprintOf } from "./fingerprint.mjs";
import { DIST } from "./host.mjs";
import { browser, page, stage } from "./stage.mjs";

const trust = await readFile(new URL("samples/trust.json", DIST));
const pack = await readFile(new URL("samples/history.pack.jsonl", DIST));
const other = await readFile(new URL("samples/window.pack.jsonl", DIST));

const sha256 = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

stage({ trust });

test("it says what was verified, by what, and what came out, with a digest of its own", async () => {
  await give(pack);
  const certificate = await save();
  const { digest, ...rest } = certificate;
  assert.equal(digest, sha256(jcs(rest)));
  assert.deepEqual(Object.keys(certificate).sort(), ["answers", "certificate", "checkpoint", "command", "digest", "evidence",
    "made_ms", "report", "trust", "verifier"]);
  assert.deepEqual(certificate.evidence, { sha256: sha256(pack), bytes: pack.length, kind: "pack" });
  assert.deepEqual(certificate.trust, { sha256: sha256(trust), fingerprint: fingerprintOf(JSON.parse(trust).charter), from: "own" });
  assert.deepEqual(certificate.answers.map(({ id, answer }) => [id, answer]), [["logged", "yes"], ["signed", "yes"],
    ["allowed", "yes"], ["complete", "yes"], ["consistent", "not-checked"], ["fresh", "not-checked"]]);
  assert.equal(certificate.report, sha256(await page.textContent("#report-raw pre")));
  assert.match(certificate.checkpoint, /^example\.com\/workledger\n16\n/);
  const [wasm] = (await readFile(new URL("SHA256SUMS", DIST), "utf8")).split("\n").filter((line) => line.endsWith(".wasm"));
  assert.equal(certificate.verifier.wasm, `sha256:${wasm.split(" ")[0]}`);
});

test("with its evidence it comes out the same, also when its age is judged", async () => {
  await give(pack);
  const certificate = await save();
  await page.check("#now");
  await page.setInputFiles("#evidence-file", [file("certificate.json", JSON.stringify(certificate)), file("mine", pack)]);
  await page.waitForSelector('[data-comparison="same"]');
});

test("one that was changed, or that is of other evidence, does not", async () => {
  await give(pack);
  const certificate = await save();
  const forged = JSON.stringify({ ...certificate, command: "true" });
  await page.setInputFiles("#evidence-file", [file("certificate.json", forged), file("mine", pack)]);
  await page.waitForSelector('[data-comparison="differs"]');
  assert.match(await page.textContent(".comparison"), /its digest does not match its content/);
  await page.setInputFiles("#evidence-file", [file("certificate.json", JSON.stringify(certificate)), file("mine", other)]);
  await page.waitForFunction(() => /evidence is another/.test(document.querySelector(".comparison")?.textContent));
});

test("on paper it is one page, and as a page it opens by itself", async () => {
  await page.evaluate(() => { globalThis.print = () => {}; });
  await give(pack);
  await page.getByRole("button", { name: "Print the certificate" }).click();
  await page.waitForSelector("[data-print=certificate]");
  const pdf = await page.pdf({ format: "A4", preferCSSPageSize: true });
  assert.equal(pdf.toString("latin1").match(/\/Type\s*\/Page[^s]/g).length, 1);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  const html = await saved("Save it as a page");
  assert.match(html, /<h1>Certificate<\/h1>/);
  const alone = await (await browser.newContext({ offline: true })).newPage();
  await alone.setContent(html);
  assert.match(await alone.textContent(".sheet"), /Is it in the log, unchanged\?Yes/);
  assert.match(await alone.textContent(".sheet"), /Not checked.*witnesses/);
  assert.equal(JSON.parse(await alone.textContent("pre:not(.checkpoint)")).certificate, "dragons.certificate/v1");
});

async function give(evidence) {
  await page.setInputFiles("#evidence-file", file("mine", evidence));
  await verdict(page);
}

async function save() {
  return JSON.parse(await saved("Save it as JSON"));
}

async function saved(name) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
  return readFile(await download.path(), "utf8");
}

function file(name, content) {
  return { name, mimeType: "application/octet-stream", buffer: Buffer.from(content) };
}

/** RFC 8785, of what a certificate can hold. */
function jcs(value) {
  if (Array.isArray(value)) return `[${value.map(jcs)}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${jcs(value[name])}`)}}`;
}
