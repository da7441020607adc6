// The evidence bench, and the ways through the entries.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { trySample } from "./browser.mjs";
import { axeFindings, faults, page, stage } from "./stage.mjs";


stage({ isKept: true });

test("pointing at a part lights it up in the other panes", async () => {
  await trySample(page, "one-record.tlog-proof");
  await page.hover('.bytes [data-part="payload"]');
  assert.equal(await page.locator('.meaning .lit[data-part="payload"]').count(), 1);
  assert.ok(await page.locator('.path .lit[data-part="leaf"]').count() >= 1);
});

test("a changed byte turns the path red to the root, and repair undoes it", async () => {
  await trySample(page, "one-record.tlog-proof");
  await page.waitForSelector(".path.is-on");
  await page.getByRole("button", { name: "Change a byte" }).click();
  const bytes = page.locator("#altered-bytes");
  await bytes.press("Control+End");
  await bytes.press("Backspace");
  await page.waitForSelector(".path.is-off");
  assert.equal(await page.locator(".path li.off").count(), await page.locator(".path li[data-part]").count());
  assert.match(await page.textContent(".altered"), /Fails\..*first changed byte/);
  await bytes.press("}");
  await page.waitForSelector(".path.is-on");
  await bytes.press("Backspace");
  await page.waitForSelector(".path.is-off");
  await page.getByRole("button", { name: "Repair" }).click();
  await page.waitForSelector(".path.is-on");
  assert.equal(await page.locator("[data-verdict]").getAttribute("data-verdict"), "verified");
});

test("a path is drawn where it leads elsewhere", async () => {
  await trySample(page, "changed-record.tlog-proof");
  await page.waitForSelector(".path.is-off .drawing .signed");
  assert.match(await page.textContent(".path .end"), /not the root that the log signed/);
});

test("each step as a command prints its hash", async () => {
  await trySample(page, "one-record.tlog-proof");
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  await writeFile(join(folder, "entry.json"), await page.textContent(".bytes"));
  const steps = await page.locator(".path .command pre").allTextContents();
  assert.equal(steps.length, 5);
  for (const step of steps) {
    const [line, printed] = step.split("\n");
    assert.equal(execFileSync("bash", ["-c", line], { cwd: folder }).toString().trim(), printed);
  }
  await rm(folder, { recursive: true });
});

test("entries are found by kind, agent, text and signer, and links lead to records", async () => {
  await trySample(page, "history.pack.jsonl");
  const find = async (name, value) => {
    await page.click('.filters [type="reset"]');
    const field = page.locator(`.filters [name="${name}"]`);
    if (name === "kind") await field.selectOption(value);
    else await field.fill(value);
    await page.click('.filters [type="submit"]');
    await page.locator(".pager").getByText(/entr(y|ies) found/).waitFor();
    return page.locator(".records > li").count();
  };
  assert.equal(await find("kind", "receipt"), 4);
  assert.equal(await find("agent", "reconciler"), 12);
  assert.equal(await find("text", "e23bfe735c500071"), 16);
  assert.equal(await find("kind", "lease-renewal"), 1);
  await page.locator(".records summary").first().click();
  await page.getByRole("button", { name: "Go to it" }).first().click();
  await page.waitForSelector('details[open][data-index="2"]');
});

test("goals are told as stories, and each step leads to its entry", async () => {
  await trySample(page, "history.pack.jsonl");
  const tale = page.locator(".tales > li").first();
  await tale.locator("summary").click();
  const steps = await tale.locator(".tale > li").allTextContents();
  assert.match(steps[0], /asked \S+ for it.*under lease/);
  assert.ok(steps.some((step) => /announced \w+:/.test(step)) && steps.some((step) => /calls the outcome/.test(step)), steps.join("\n"));
  const index = /Entry (\d+)/.exec(steps.at(-1))[1];
  await tale.locator(".tale > li button").last().click();
  await page.waitForSelector(`details[open][data-index="${index}"]`);
});

test("axe finds nothing in a verdict with everything open", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const sample of ["history.pack.jsonl", "changed-record.tlog-proof", "window.pack.jsonl"]) {
      await trySample(page, sample);
      await page.waitForSelector(".bench .path, .bench .soft");
      await page.evaluate(() => { for (const details of document.querySelectorAll("details")) details.open = true; });
      assert.deepEqual(await axeFindings(), [], sample);
    }
  }
  assert.deepEqual(faults, []);
});
