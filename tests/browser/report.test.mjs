// The page of a report, from its file: for everybody, on a phone and on paper, nothing run or fetched.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { launch, visit } from "./browser.mjs";
import { ROOT } from "./programs.mjs";
import { axeFindings } from "./stage.mjs";

const address = pathToFileURL(join(ROOT, "docs", "sample", "day-30.html")).href;

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser.close());

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
  const { fits, numbers } = await page.evaluate(() => ({
    fits: document.documentElement.scrollWidth <= document.documentElement.clientWidth,
    numbers: getComputedStyle(document.querySelector("td.n")).textAlign,
  }));
  assert.deepEqual({ fits, numbers, faults }, { fits: true, numbers: "right", faults: [] });
  await close();
});

test("the numbers of the pictures and the tables are the same", async () => {
  const { page, faults, close } = await visit(browser, address);
  const found = await page.evaluate(() => {
    const sums = Object.fromEntries([...document.querySelectorAll(".sums div")].map((it) => [it.querySelector("dt").textContent, Number(it.querySelector("dd").textContent.replace(/\D/g, ""))]));
    const foot = [...document.querySelectorAll(".difference tfoot td.n")].map((cell) => Number(cell.textContent));
    return {
      scripts: document.scripts.length + document.images.length + document.querySelectorAll("link, iframe, object").length,
      bare: [...document.querySelectorAll("table")].filter((table) => !table.caption || !table.querySelector("thead th[scope=col]")).length,
      sums, foot,
      marks: document.querySelectorAll("figure .mark.noticed").length,
      alone: document.querySelectorAll(".tag.alone").length,
    };
  });
  assert.equal(found.scripts + found.bare, 0);
  assert.deepEqual(found.foot.slice(0, 3), [found.sums["Both saw"], found.sums["Dragons alone"], found.sums["Watchdog alone"]]);
  assert.equal(found.sums["Incidents"], found.foot[0] + found.foot[1] + found.foot[2]);
  assert.ok(found.marks > 0 && found.alone > 0, JSON.stringify(found));
  assert.deepEqual(faults, []);
  await close();
});

test("it is of thirty days, and every label of a picture lies within it", async () => {
  const { page, close } = await visit(browser, address);
  const { days, cut } = await page.evaluate(() => ({
    days: [...document.querySelectorAll("figure svg > title")].map((title) => {
      const [from, to] = title.textContent.match(/\d{4}-\d\d-\d\dT[\d:.]+Z/g).map(Date.parse);
      return (to - from) / 86_400_000;
    }),
    cut: [...document.querySelectorAll("figure svg text")].filter((label) => {
      const [own, all] = [label.getBoundingClientRect(), label.closest("svg").getBoundingClientRect()];
      return own.left < all.left || own.right > all.right;
    }).map((label) => label.textContent),
  }));
  assert.ok(days.length > 0 && days.every((number) => number === 30), JSON.stringify(days));
  assert.deepEqual(cut, []);
  await close();
});

test("on paper nothing is cut off", async () => {
  const { page, close } = await visit(browser, address, { viewport: { width: 720, height: 1000 } });
  await page.emulateMedia({ media: "print" });
  const wide = await page.evaluate(() => [...document.querySelectorAll("table, figure svg")].filter((it) => it.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map((it) => it.outerHTML.slice(0, 80)));
  assert.deepEqual(wide, []);
  const pdf = await page.pdf({ format: "A4" });
  assert.ok(pdf.length > 10_000);
  await close();
});
