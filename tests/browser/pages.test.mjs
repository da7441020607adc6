// The pages of the service, with a real one: for everybody, with nothing hidden or run, live, and without script as well.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { launch, verdict, visit } from "./browser.mjs";
import { HOSTILE, startService } from "./service.mjs";
import { axeFindings } from "./stage.mjs";

let browser;
let service;
let goal;

before(async () => {
  browser = await launch();
  service = await startService();
  const { life } = await service.json("/v1/agents/worker/timeline?limit=1000");
  goal = life.actions.at(-1).goal;
});

after(async () => {
  await browser.close();
  await service.stop();
});

/** One of each page, with all that can stand on it. */
function pages() {
  return ["/", "/agents", "/agents?view=table", "/agents?state=stopped", "/agents/worker", "/agents/worker?span=30d",
    "/agents/idle", "/agents/worker/versions", `/goals/${goal}`, "/entries", "/entries?find=worker", "/entries/0", "/entries/7", "/heads", "/charter", "/authority",
    "/agents?as_of=5", "/agents/nobody"];
}

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing, ${colorScheme}`, async () => {
    for (const path of pages()) {
      const { page, faults, close } = await open(path, { colorScheme, reducedMotion: "reduce" });
      await page.evaluate(() => { for (const details of document.querySelectorAll("details")) details.open = true; });
      // The driver's own script: the policy of the page does not let it in by an element.
      assert.deepEqual(await axeFindings(page), [], path);
      assert.deepEqual(faults.filter((fault) => path !== "/agents/nobody" || !fault.includes("404")), [], path);
      await close();
    }
  });
}

test("320 px are wide enough", async () => {
  for (const path of pages()) {
    const { page, close } = await open(path, { viewport: { width: 320, height: 640 } });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), path);
    await close();
  }
});

test("on a phone a row of a table is a card, and each cell says what it is", async () => {
  let tables = 0;
  for (const path of pages()) {
    const { page, close } = await open(path, { viewport: { width: 320, height: 640 } });
    const found = await page.evaluate(() => [...document.querySelectorAll("table")].map((table) => {
      const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent);
      const rows = [...table.querySelectorAll("tbody tr")];
      return {
        isWide: table.closest(".scroll").scrollWidth > table.closest(".scroll").clientWidth,
        isCards: rows.every((row) => getComputedStyle(row).display === "block"),
        areNamed: rows.every((row) => [...row.cells].every((cell, at) => cell.dataset.th === heads[at])),
      };
    }));
    for (const table of found) assert.deepEqual(table, { isWide: false, isCards: true, areNamed: true }, path);
    tables += found.length;
    await close();
  }
  assert.ok(tables > 5, `${tables} tables`);
});

test("every page has a title, its landmarks, one first heading, and tables with headers", async () => {
  const titles = new Set();
  const paths = pages().filter((path) => !path.includes("?"));
  for (const path of paths) {
    const { page, close } = await open(path);
    const found = await page.evaluate(() => ({
      title: document.title,
      landmarks: ["header", "nav", "main", "footer"].filter((name) => !document.querySelector(name)),
      headings: document.querySelectorAll("h1").length,
      bare: [...document.querySelectorAll("table")].filter((table) => !table.caption || !table.querySelector("thead th[scope=col]")).length,
      times: [...document.querySelectorAll("time")].filter((time) => !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time.dateTime)).length,
    }));
    assert.deepEqual({ ...found, title: "" }, { title: "", landmarks: [], headings: 1, bare: 0, times: 0 }, path);
    titles.add(found.title);
    await close();
  }
  assert.equal(titles.size, paths.length);
});

test("hostile text is text, with nothing hidden in it", async () => {
  for (const path of ["/", "/agents/worker", `/goals/${goal}`]) {
    const { page, faults, close } = await open(path);
    const text = await page.textContent("main");
    assert.ok(text.includes(HOSTILE.replace("\u200b", "⟨U+200B⟩")), path);
    assert.equal(await page.locator("img, main script").count(), 0);
    assert.deepEqual(faults, []);
    await close();
  }
});

test("the picture says what the tables say", async () => {
  const { page, close } = await open("/agents/worker");
  for (const bar of ["running", "stopped", "lease"]) assert.ok(await page.locator(`svg .bar.${bar}`).count() > 0, bar);
  assert.equal(await page.locator("svg .refused").count(), 1);
  assert.equal(await page.locator("svg .action").count(), await page.locator("#actions-scroll tbody tr").count());
  assert.match(await page.locator("#refusals-scroll").textContent(), /run:cat.*scope-denied/s);
  assert.match(await page.locator("svg desc").textContent(), /running for .*1 lease, \d+ heartbeats?, 2 actions, 1 refusal/);
  await close();
});

test("verify this in your browser ends in a verdict", async () => {
  for (const [path, link] of [["/entries/3", "Verify this in your browser"], [`/goals/${goal}`, "Verify it in your browser"],
    ["/agents/worker", "Verify its records in your browser"], ["/", "Verify the whole log in your browser"]]) {
    const { page, faults, close } = await open(path);
    await page.getByRole("link", { name: link }).click();
    const { verdict: word, codes } = await verdict(page);
    // A pack of a part is not the whole log, and says so; a record and the log are verified.
    const want = path.startsWith("/entries/") || path === "/" ? "verified" : "incomplete";
    assert.ok([want, "verified"].includes(word), `${path}: ${word} ${codes}`);
    assert.deepEqual(faults, [], path);
    await close();
  }
});

test("the keyboard is enough", async () => {
  const { page, close } = await open("/");
  await tabTo(page, ".skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await tabTo(page, "a[href='/agents/worker']");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/agents/worker");
  await tabTo(page, "#drawing-scroll");
  await tabTo(page, "#beats-details summary");
  await page.keyboard.press("Enter");
  assert.ok(await page.locator("#beats-details").evaluate((details) => details.open));
  await tabTo(page, "#states-scroll a, #last-lines a");
  await close();
});

test("pages change as the log does, and keep what the reader opened", async () => {
  const [agent, board, overview] = [await open("/agents/idle"), await open("/agents"), await open("/")];
  for (const { page } of [agent, board, overview]) await page.waitForSelector("html[data-live=true]");
  await agent.page.click("#beats-details summary");
  const stopped = agent.page.locator("#states-scroll", { hasText: "ordered: enough for today" });
  assert.equal(await stopped.count(), 0);
  service.stopAgent("idle", "enough for today");
  await stopped.waitFor();
  assert.ok(await agent.page.locator("#beats-details").evaluate((details) => details.open));
  assert.ok(await agent.page.evaluate(() => document.activeElement.matches("#beats-details > summary")), "the focus stays");
  const size = String((await service.json("/v1/agents")).as_of);
  for (const { page } of [board, overview]) await page.locator("#as-of", { hasText: `as of ${size} entries` }).waitFor();
  for (const { faults, close } of [agent, board, overview]) {
    assert.deepEqual(faults, []);
    await close();
  }
});

test("a page says since when it knows nothing, and takes it back", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  // As of a log that speaks each second, so that nobody has to wait for two of its pulses.
  await page.route("**/agents", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace(/data-pulse="\d+"/, 'data-pulse="1000"') });
  });
  await page.goto(new URL("/agents", service.url).href);
  await page.waitForSelector("html[data-live=true]");
  service.freeze();
  try {
    await page.waitForSelector("#stale");
    assert.match(await page.textContent("#stale"), /does not answer\. This page knows nothing since \d/);
    assert.match(await page.title(), /^No answer/);
    assert.equal(await page.textContent(".live"), "");
  } finally {
    service.thaw();
  }
  await page.waitForSelector("#stale", { state: "detached" });
  await page.waitForSelector("html[data-live=true]");
  await context.close();
});

test("an address that does not exist is a page for people and JSON for programs", async () => {
  const asked = (accept) => fetch(new URL("/nowhere", service.url), { headers: { accept } });
  const [page, json] = [await asked("text/html"), await asked("application/json")];
  assert.deepEqual([page.status, json.status], [404, 404]);
  assert.match(page.headers.get("content-type"), /^text\/html/);
  assert.match(json.headers.get("content-type"), /^application\/problem\+json/);
});

test("agents are found by a part of their names, and sorted", async () => {
  const { page, faults, close } = await open("/agents");
  await page.fill('.seek [name="find"]', "wor");
  await page.press('.seek [name="find"]', "Enter");
  await page.waitForURL("**/agents?find=wor");
  assert.deepEqual(await page.locator("tbody th").allTextContents(), ["worker"]);
  await page.click("text=Longest silent first");
  await page.waitForURL("**/agents?sort=beat");
  assert.deepEqual(faults, []);
  await close();
});

test("each tree head leads to the proof that it grew out of the one before", async () => {
  // The log keeps the newest head of each second, and a fast machine has done all of the above in one.
  await setTimeout(1000);
  service.grant("worker");
  const { page, faults, close } = await open("/heads");
  const proofs = page.locator("#heads-scroll tbody a");
  assert.ok(await proofs.count() > 0);
  const { old, new: size, hashes } = await service.json(await proofs.first().getAttribute("href"));
  assert.ok(old < size && hashes.length > 0);
  assert.deepEqual(faults, []);
  await close();
});

test("the verifier's page is sent once, and small", async () => {
  const index = await (await fetch(new URL("/verify/", service.url))).text();
  const script = new URL(/src="(page-[0-9a-f]+\.js)"/.exec(index)[1], new URL("/verify/", service.url));
  const answer = await fetch(script);
  assert.match(answer.headers.get("cache-control"), /immutable/);
  assert.equal(answer.headers.get("content-encoding"), "gzip");
  const page = await fetch(new URL("/verify/", service.url));
  const again = await fetch(new URL("/verify/", service.url), { headers: { "if-none-match": page.headers.get("etag") } });
  assert.equal(again.status, 304);
});

test("without script all is there but the change by itself", async () => {
  for (const path of pages()) {
    const { page, close } = await open(path, { javaScriptEnabled: false });
    assert.ok(await page.locator("h1").isVisible(), path);
    await close();
  }
  const { page, close } = await open("/agents", { javaScriptEnabled: false });
  await page.getByRole("link", { name: "worker" }).click();
  await page.getByRole("link", { name: "a week" }).click();
  await page.getByRole("link", { name: "its goal" }).first().click();
  assert.match(page.url(), /\/goals\/sha256:/);
  await close();
});

function open(path, options = {}) {
  return visit(browser, new URL(path, service.url).href, options);
}

/** Presses Tab until an element has the focus, as a reader would. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 200; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  assert.fail(`the keyboard does not get to ${selector}`);
}
