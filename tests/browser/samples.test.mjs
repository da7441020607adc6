// Every sample comes to its verdict in the page, and the page does nothing that it must not do on the way.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { trySample } from "./browser.mjs";
import { DIST } from "./host.mjs";
import { faults, page, stage } from "./stage.mjs";

const samples = JSON.parse(await readFile(new URL("samples/index.json", DIST)));
const WORDS = { verified: "Verified", failed: "Failed", incomplete: "Incomplete" };

stage({ isKept: true });

for (const { evidence, title, code } of samples.filter((sample) => sample.code === null)) {
  test(`holds: ${title}`, async () => {
    const { verdict, words, codes, checks } = await trySample(page, evidence);
    assert.notEqual(verdict, "failed");
    const isProof = !evidence.endsWith(".pack.jsonl");
    assert.equal(words, isProof ? "Logged" : WORDS[verdict]);
    assert.deepEqual(codes, []);
    assert.equal(checks.inclusion, "pass");
    assert.equal(code, null);
    if (isProof) assert.equal(verdict, "verified");
  });
}

for (const { evidence, title, code } of samples.filter((sample) => sample.code !== null)) {
  test(`is broken: ${title}`, async () => {
    const { verdict, words, codes } = await trySample(page, evidence);
    assert.equal(verdict, "failed");
    assert.equal(words, "Failed");
    assert.ok(codes.includes(code), `${code} among ${codes}`);
  });
}

test("a state proof says what of the agent it shows", async () => {
  const { verdict, checks } = await trySample(page, "agent.state-proof.jsonl");
  assert.equal(verdict, "verified");
  assert.equal(checks.inclusion, "pass");
  const said = await page.textContent("main");
  assert.match(said, /running/);
  assert.match(said, /lease/);
});

test("a proof of one record says that it was logged, and that no signature on it was checked", async () => {
  await trySample(page, "one-record.tlog-proof");
  const said = await page.textContent(".verdict");
  assert.match(said, /A proof of one record never shows that it was allowed, or that what it says is true/);
  assert.match(said, /No signature on the record was checked/);
  assert.doesNotMatch(said, /Verified|Nothing here is wrong/);
});

test("no check that did not hold, or was not made, says that something is so", async () => {
  for (const sample of ["window.pack.jsonl", "rewritten.pack.jsonl", "one-record.tlog-proof"]) {
    await trySample(page, sample);
    for (const check of await page.locator("[data-check]").all()) {
      const holds = (await check.getAttribute("data-status")) === "pass";
      const [word] = (await check.locator(".means").textContent()).split(" ");
      assert.equal(word, holds ? "So" : "It");
    }
  }
});

test("there are at least eight broken ones, no two for the same reason", () => {
  const codes = samples.map(({ code }) => code).filter(Boolean);
  assert.ok(codes.length >= 8);
  assert.equal(new Set(codes).size, codes.length);
});

test("markup in a record stays text", async () => {
  await trySample(page, "foreign-record.pack.jsonl");
  await page.click("#report-findings button");
  const record = page.locator('details[data-index="5"]');
  await record.locator("dl").first().waitFor();
  assert.match(await record.textContent(), /<img src=x onerror=alert\(1\)><script>/);
  assert.equal(await page.locator("img").count(), 0);
});

test("a finding leads to its record, and the record to its path", async () => {
  await trySample(page, "time-back.pack.jsonl");
  await page.click("text=Go to entry 9");
  const record = page.locator('details[open][data-index="9"]');
  await record.locator("summary:focus").waitFor();
  await record.getByRole("button", { name: "Show its path to the root" }).click();
  assert.equal(await record.locator(".path").getAttribute("data-steps"), "5");
  assert.equal(await record.locator("svg rect").count(), 9);
});

test("the path that is drawn is the trace of the report", async () => {
  await trySample(page, "one-record.tlog-proof");
  const report = JSON.parse(await page.locator("#report-raw pre").textContent());
  const shown = await page.locator("#report-bench .path .hash-text").allTextContents();
  const steps = report.trace.flatMap(({ left, right, hash }) => [left, right, hash].filter(Boolean));
  assert.deepEqual(shown, steps);
});

test("the report is copied as it is", async () => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await trySample(page, "one-record.tlog-proof");
  await page.click("#report-raw summary");
  await page.getByRole("button", { name: "Copy the report" }).click();
  await page.getByText("Copied", { exact: true }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, await page.locator("#report-raw pre").textContent());
});

test("no request left the origin, no policy was violated, nothing failed", () => {
  assert.deepEqual(faults, []);
});
