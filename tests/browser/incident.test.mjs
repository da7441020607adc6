// The page of an incident, from its file: for everybody, nothing run or fetched, hostile text as text.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch, verdict, visit } from "./browser.mjs";
import { fingerprintOf } from "./fingerprint.mjs";
import { HOSTILE, startService } from "./service.mjs";
import { axeFindings } from "./stage.mjs";

let browser;
let service;
let address;

before(async () => {
  browser = await launch();
  service = await startService();
  address = service.incident();
});

after(async () => {
  await browser.close();
  await service.stop();
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing, ${colorScheme}`, async () => {
    const { page, faults, close } = await visit(browser, address, { colorScheme });
    assert.deepEqual(await axeFindings(page), []);
    assert.deepEqual(faults, []);
    await close();
  });
}

test("320 px are wide enough, and the style of the page is let in by its policy", async () => {
  const { page, faults, close } = await visit(browser, address, { viewport: { width: 320, height: 640 } });
  const { fits, maxWidth } = await page.evaluate(() => ({
    fits: document.documentElement.scrollWidth <= document.documentElement.clientWidth,
    maxWidth: getComputedStyle(document.body).maxWidth,
  }));
  assert.deepEqual({ fits, maxWidth, faults }, { fits: true, maxWidth: "1216px", faults: [] });
  await close();
});

test("the sealed case of an incident speaks once it is given the fingerprint, with no network", async () => {
  const { page, faults, close } = await visit(browser, address.replace("timeline.html", "case.html"), { offline: true });
  await page.waitForSelector("html[data-ready]");
  assert.equal(await page.textContent("#verdict"), "");
  assert.match(await page.textContent("#evidence-origin"), /those about the agent worker/);
  await page.fill("#fingerprint", fingerprintOf(service.charter));
  assert.equal((await verdict(page)).verdict, "incomplete");
  await page.locator("#report-goals li").first().waitFor();
  assert.deepEqual(faults, []);
  await close();
});

test("the page of that case is the page of the command", () => {
  const told = service.dragons("page", "check", fileURLToPath(address.replace("timeline.html", "case.html")), "--json");
  assert.equal(JSON.parse(told).same, true);
});

test("what is drawn stands in tables, and hostile text is text", async () => {
  const { page, faults, close } = await visit(browser, address);
  const found = await page.evaluate(() => ({
    scripts: document.scripts.length + document.images.length + document.querySelectorAll("link, iframe, object").length,
    bare: [...document.querySelectorAll("table")].filter((table) => !table.caption || !table.querySelector("thead th[scope=col]")).length,
    bars: [...document.querySelectorAll(".life .bar.running")].length,
    states: [...document.querySelectorAll("[aria-label=States] tbody th")].map((cell) => cell.textContent),
    refusals: document.querySelectorAll("[aria-label=Refusals] tbody tr").length,
  }));
  assert.equal(found.scripts + found.bare, 0);
  assert.equal(found.states.filter((state) => state === "running").length, found.bars);
  assert.equal(found.refusals, 1);
  const text = await page.textContent("main");
  assert.ok(text.includes(HOSTILE.replace("\u200b", "⟨U+200B⟩")), text);
  assert.deepEqual(faults, []);
  await close();
});
