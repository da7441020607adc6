// The pictures of the README, of a demo that really ran: what a reader gets to see, with other hashes and times.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { launch, open, verdict } from "./browser.mjs";
import { start } from "./demo.mjs";
import { ROOT, build } from "./programs.mjs";

const images = join(ROOT, "docs", "images");
const LOOK = { colorScheme: "light", reducedMotion: "reduce", viewport: { width: 1000, height: 700 } };

build();
const folder = await mkdtemp(join(tmpdir(), "demo-"));
const [browser, demo] = [await launch(), start({ DEMO_DIR: folder })];
await ofEvidence(await demo.page());
demo.process.kill("SIGINT");
await demo.end();
await browser.close();
await rm(folder, { recursive: true });

async function ofEvidence(url) {
  const { page, close } = await open(browser, url, LOOK);
  await verdict(page);
  await page.evaluate(() => document.getElementById("report").scrollIntoView());
  await page.screenshot({ path: join(images, "evidence.png") });
  await close();
}
