// One picture of each state of the page, by day and by night, wide and narrow: for people to look at.

import { mkdir } from "node:fs/promises";

import { launch, open, trySample } from "./browser.mjs";
import { serve } from "./host.mjs";

const folder = process.argv[2] ?? "screenshots";
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 320, height: 720 };
const STATES = ["one-record.tlog-proof", "witnessed.tlog-proof", "history.pack.jsonl", "window.pack.jsonl", "time-back.pack.jsonl", "surplus-hash.tlog-proof"];

await mkdir(folder, { recursive: true });
const [browser, host] = [await launch(), await serve()];
for (const colorScheme of ["light", "dark"]) {
  for (const [name, viewport] of [["wide", WIDE], ["narrow", NARROW]]) {
    const { page, close } = await open(browser, host.url, { colorScheme, viewport, reducedMotion: "reduce" });
    const take = (state) => page.screenshot({ path: `${folder}/${state}.${name}.${colorScheme}.png`, fullPage: true });
    await take("start");
    for (const state of STATES) {
      await trySample(page, state);
      const record = page.locator(".records details").first();
      if (await record.count() > 0) await record.locator("summary").click();
      await take(state.split(".")[0]);
    }
    await close();
  }
}
await browser.close();
await host.stop();
