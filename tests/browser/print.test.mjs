// On paper: the verdict is on the first page, nothing that is there to be pressed is printed, and nothing is cut off.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { trySample, visit } from "./browser.mjs";
import { startService } from "./service.mjs";
import { browser, page, stage } from "./stage.mjs";

/** An A4 page between its margins, in CSS pixels. */
const SHEET = { width: 680, height: 1000 };

const DARK_PAPER = { colorScheme: "dark", media: "print" };

let service;

stage({ isKept: true });
before(async () => { service = await startService(); });
after(() => service.stop());

test("a verdict begins on the first page, without the form", async () => {
  await page.setViewportSize(SHEET);
  for (const sample of ["history.pack.jsonl", "one-record.tlog-proof", "rewritten.pack.jsonl"]) {
    await page.emulateMedia({ media: "screen" });
    await trySample(page, sample);
    await page.waitForSelector(".bench .path");
    await page.emulateMedia({ media: "print" });
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    const { top, bottom } = await page.locator("#verdict .verdict").evaluate((it) => it.getBoundingClientRect().toJSON());
    assert.ok(top < 200 && bottom < SHEET.height, `${sample}: from ${top} to ${bottom}`);
    assert.deepEqual(await faultsOnPaper(page), [], sample);
    assert.equal(await page.locator(".answers details:not([open])").count(), 0, sample);
    assert.equal(await page.isVisible("#report-raw"), false, "what is closed says nothing on paper");
  }
  await page.emulateMedia({ media: "screen" });
});

test("each page of the service is printed whole, also by night", async () => {
  for (const path of ["/", "/agents", "/agents?view=table", "/agents/worker?span=1h", "/entries", "/entries/3", "/heads", "/charter", "/authority"]) {
    await printed(new URL(path, service.url).href);
  }
});

test("an incident is printed whole, also by night", () => printed(service.incident()));

async function printed(url) {
  const { page: paper, close } = await visit(browser, url, { viewport: SHEET });
  await paper.emulateMedia(DARK_PAPER);
  assert.deepEqual(await faultsOnPaper(paper), [], url);
  const [ink] = await paper.evaluate(() => getComputedStyle(document.body).color.match(/\d+/g).map(Number));
  assert.ok(ink < 60, `${url}: the ink is dark, and not ${ink}`);
  await close();
}

/** What is cut off at the side, and what is there to be pressed. */
function faultsOnPaper(paper) {
  return paper.evaluate(() => {
    const isSeen = (it) => it.checkVisibility();
    const all = [...document.body.querySelectorAll("*")].filter(isSeen);
    const name = (it) => `${it.tagName}.${it.className}: ${it.textContent.slice(0, 40)}`;
    const pressed = all.filter((it) => it.matches("button, input, select, textarea"));
    const clips = (it) => getComputedStyle(it).overflowX !== "visible" && it.scrollWidth > it.clientWidth + 1;
    const isOutside = (it) => it.matches("td, th, p, dd, svg") && it.getBoundingClientRect().right > innerWidth + 1;
    return [...pressed, ...all.filter((it) => clips(it) || isOutside(it))].map(name);
  });
}
