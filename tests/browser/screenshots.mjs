// One picture of each state of the verifier's page and of each page of the service, by day and by night, wide and
// narrow: for people to look at.

import { mkdir } from "node:fs/promises";

import { launch, open, trySample, visit } from "./browser.mjs";
import { serve } from "./host.mjs";
import { startService } from "./service.mjs";

const folder = process.argv[2] ?? "screenshots";
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 320, height: 720 };
const STATES = ["one-record.tlog-proof", "witnessed.tlog-proof", "history.pack.jsonl", "window.pack.jsonl", "time-back.pack.jsonl", "surplus-hash.tlog-proof"];

await mkdir(folder, { recursive: true });
const [browser, host, service] = [await launch(), await serve(), await startService()];
const pages = await pagesOf(service);
for (const colorScheme of ["light", "dark"]) {
  for (const [name, viewport] of [["wide", WIDE], ["narrow", NARROW]]) {
    const options = { colorScheme, viewport, reducedMotion: "reduce" };
    const picture = (state) => ({ path: `${folder}/${state}.${name}.${colorScheme}.png`, fullPage: true });
    await takeVerifier(options, picture);
    for (const [state, url] of pages) {
      const { page, close } = await visit(browser, url, options);
      await page.screenshot(picture(state));
      await close();
    }
  }
}
await browser.close();
await host.stop();
await service.stop();

async function takeVerifier(options, picture) {
  const { page, close } = await open(browser, host.url, options);
  await page.screenshot(picture("start"));
  for (const state of STATES) {
    await trySample(page, state);
    const record = page.locator(".records details").first();
    if (await record.count() > 0) await record.locator("summary").click();
    await page.screenshot(picture(state.split(".")[0]));
  }
  await close();
}

async function pagesOf({ url, json }) {
  const { life } = await json("/v1/agents/worker/timeline?limit=1000");
  const paths = { overview: "/", board: "/agents", agents: "/agents?view=table", agent: "/agents/worker?span=1h",
    goal: `/goals/${life.actions.at(-1).goal}`, entry: "/entries/3", problem: "/agents/nobody" };
  return Object.entries(paths).map(([state, path]) => [state, new URL(path, url).href]);
}
