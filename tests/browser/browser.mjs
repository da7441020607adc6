// A browser with the page open, which notes what the page must never do.

import { spawnSync } from "node:child_process";
import { chromium } from "playwright-core";

const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

/** Starts the browser of this machine. */
export function launch() {
  return chromium.launch({ executablePath: executable(), headless: true, args: ARGUMENTS });
}

/** Opens the verifier's page and waits until it has loaded all that it needs. */
export async function open(browser, url, options = {}) {
  const opened = await visit(browser, url, options);
  await opened.page.waitForSelector("html[data-ready]");
  return opened;
}

/**
 * Opens any page. `faults` collects requests to other origins, violations of the content security policy, and errors.
 */
export async function visit(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const faults = watch(page, new URL(url).origin);
  await page.goto(url);
  return { page, faults, close: () => context.close() };
}

/** Tries a sample, and waits for its verdict. */
export async function trySample(page, file) {
  await page.click(`[data-sample="${file}"]`);
  return verdict(page);
}

/** Waits for a verdict, and gives it with the codes and the statuses of the checks. */
export async function verdict(page) {
  await page.waitForSelector("#run", { state: "hidden" });
  await page.waitForSelector("#verdict [data-verdict]");
  return page.evaluate(() => ({
    verdict: document.querySelector("[data-verdict]").dataset.verdict,
    words: document.getElementById("verdict-title").textContent,
    codes: [...document.querySelectorAll("[data-code]")].map((item) => item.dataset.code),
    checks: Object.fromEntries([...document.querySelectorAll("[data-check]")].map((item) => [item.dataset.check, item.dataset.status])),
  }));
}

function watch(page, origin) {
  const faults = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    const isLocal = url.protocol === "blob:" || url.protocol === "data:";
    if (!isLocal && url.origin !== origin) faults.push(`a request to ${url.origin}`);
  });
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  return faults;
}

function executable() {
  const known = [process.env.CHROMIUM, "chromium", "google-chrome"].filter(Boolean);
  const found = known.map((name) => spawnSync("which", [name]).stdout.toString().trim()).find(Boolean);
  if (!found) throw new Error("there is no chromium; name one in $CHROMIUM");
  return found;
}
