// The pictures of the README, of a demo that really ran: what a reader gets to see, with other hashes and times.

import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

import { launch, open, verdict } from "./browser.mjs";
import { start } from "./demo.mjs";
import { ROOT, build } from "./programs.mjs";

const images = join(ROOT, "docs", "images");
const LOOK = { colorScheme: "light", reducedMotion: "reduce", viewport: { width: 1000, height: 700 } };
const PAPER = "margin: 0; padding: 24px 32px; width: max-content; background: #16171a; color: #d6d8dc; font: 14px/1.45 monospace";
/** What the command says by colour and weight, as styles. */
const STYLES = { 1: "color: white; font-weight: bold", 2: "color: #8b9098", 31: "color: #ff8a80", 32: "color: #8fd694", 33: "color: #f0c674" };

const programs = process.env.DEMO_BIN ?? build();
const folder = await mkdtemp(join(tmpdir(), "demo-"));
const [browser, demo] = [await launch(), start({ DEMO_DIR: folder })];
await ofEvidence(await demo.page());
await ofTerminal("replay.png", "dragons replay evidence.pack.jsonl --trust ../log/trust.json");
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

/** What a command shows at a terminal, in the folder of the evidence. */
async function ofTerminal(image, line) {
  const env = { ...process.env, PATH: programs + delimiter + process.env.PATH, TERM: "xterm-256color" };
  const shown = execFileSync("script", ["--quiet", "--command", `stty cols 132; ${line}`, "/dev/null"], { env, cwd: join(folder, "page") });
  const page = await browser.newPage();
  await page.setContent(`<pre style="${PAPER}">$ ${line}\n${styled(shown.toString())}</pre>`);
  await page.locator("pre").screenshot({ path: join(images, image) });
  await page.close();
}

/** Text with a terminal's styles as HTML; bars that were wiped out are left out. */
function styled(text) {
  const escaped = text.replaceAll("\r\n", "\n").replace(/^[^\n]*\x1b\[2K/gm, "").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return escaped.replace(/\x1b\[([0-9;]*)m/g, (_, code) => (code === "0" || code === "" ? "</span>" : `<span style="${STYLES[code] ?? ""}">`));
}
