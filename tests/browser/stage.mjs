// What most tests of the verifier's page stand on: a browser, a host, and the page open.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, beforeEach } from "node:test";

import { launch, open } from "./browser.mjs";
import { serve } from "./host.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The browser and the host of the tests of this file, the page, and what it must not have done. */
export let browser;
export let host;
export let page;
export let faults;

let close;

/**
 * Starts the browser and the host before the tests of a file, and opens the page: anew for each test, or once for all of them
 * if it `isKept`. `trust` is the trust file that the page is given; what else there is, the host is started with.
 */
export function stage({ trust = null, isKept = false, ...hosted } = {}) {
  before(async () => {
    [browser, host] = [await launch(), await serve(hosted)];
    if (isKept) await openPage(trust);
  });
  if (!isKept) beforeEach(() => openPage(trust));
  after(async () => {
    await browser.close();
    await host.stop();
  });
}

/** Gives the page files, by their names, at once. */
export function give(files, input = "#evidence-file") {
  const list = Object.entries(files).map(([name, content]) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.from(content) }));
  return page.setInputFiles(input, list);
}

/** Gives the page a trust file, and waits until it is taken. */
export async function giveTrust(trust) {
  await give({ "trust.json": trust }, "#trust-file");
  await page.locator("#trust-facts dt").first().waitFor();
}

/** What axe finds in a page, a line each. */
export async function axeFindings(looked = page) {
  await looked.evaluate(axe);
  const { violations } = await looked.evaluate(() => globalThis.axe.run(document));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
}

async function openPage(trust) {
  await close?.();
  ({ page, faults, close } = await open(browser, host.url));
  if (trust !== null) await giveTrust(trust);
}
