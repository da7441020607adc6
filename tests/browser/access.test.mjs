// The page is for everybody: axe finds nothing in any state, by day and by night; the keyboard is enough; 320 px are
// enough.

import assert from "node:assert/strict";
import { test } from "node:test";

import { open, trySample, verdict } from "./browser.mjs";
import { axeFindings, browser, host, stage } from "./stage.mjs";


/** One sample for each verdict and for each kind of evidence. */
const STATES = ["one-record.tlog-proof", "surplus-hash.tlog-proof", "window.pack.jsonl", "time-back.pack.jsonl", "history.pack.jsonl"];

/** Of a list of records, all alike, so many are opened: axe takes seconds for each screenful. */
const OPENED_RECORDS = 2;

stage({ isKept: true });

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing, ${colorScheme}`, async () => {
    const { page, close } = await open(browser, host.url, { colorScheme, reducedMotion: "reduce" });
    await findsNothing(page, "nothing yet");
    for (const state of STATES) {
      await trySample(page, state);
      await openAll(page);
      await findsNothing(page, state);
    }
    await close();
  });
}

for (const state of STATES) {
  test(`320 px are wide enough for ${state}`, async () => {
    const { page, close } = await open(browser, host.url, { viewport: { width: 320, height: 640 } });
    assert.ok(await fits(page), "before a verdict");
    await trySample(page, state);
    await openAll(page);
    assert.ok(await fits(page), "with a verdict");
    await close();
  });
}

test("the keyboard is enough", async () => {
  const { page, close } = await open(browser, host.url);
  await tabTo(page, '[data-sample="time-back.pack.jsonl"]');
  await page.keyboard.press("Enter");
  await verdict(page);
  assert.equal(await page.evaluate(() => document.activeElement.id), "verdict-title");
  await tabTo(page, "#report-findings button");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.closest("details")?.dataset.index === "9");
  await tabTo(page, "details[data-index='9'] .body > div:not(.actions) > button");
  await page.keyboard.press("Enter");
  await page.waitForSelector("details[data-index='9'] .path");
  await close();
});

test("nothing moves for who wants it so", async () => {
  const { page, close } = await open(browser, host.url, { reducedMotion: "reduce" });
  const moving = await page.evaluate(() => [...document.querySelectorAll("*")]
    .filter((element) => getComputedStyle(element).transitionDuration !== "0s" || getComputedStyle(element).animationName !== "none").length);
  assert.equal(moving, 0);
  await close();
});

async function findsNothing(page, state) {
  assert.deepEqual(await axeFindings(page), [], state);
}

/** Opens what can be opened: what is closed is not looked at. */
async function openAll(page) {
  // The records come after the verdict, a page at a time.
  await page.locator(".records details").first().waitFor({ state: "attached" });
  await page.evaluate((most) => {
    const all = [...document.querySelectorAll("details")];
    const records = all.filter((details) => details.closest(".records"));
    for (const details of all) details.open = !records.slice(most).includes(details);
  }, OPENED_RECORDS);
  await page.locator(".records .body").first().waitFor();
  const path = page.getByRole("button", { name: "Show its path to the root" }).first();
  if (await path.count() > 0) await path.click();
}

function fits(page) {
  return page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
}

/** Presses Tab until the element has the focus, as a reader would. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 200; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  assert.fail(`the keyboard does not get to ${selector}`);
}
