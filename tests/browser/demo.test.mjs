// The demo, as a reader of the README meets it: twice, with the page that it leads to, and out by Ctrl-C.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch, open, verdict, visit } from "./browser.mjs";
import { start } from "./demo.mjs";
import { ROOT, build } from "./programs.mjs";

/** As a make that somebody watches calls it: at a terminal, whose Ctrl-C reaches all that run in it. */
const AT_A_TERMINAL = ["script", "--quiet", "--return", "--command", "make -f /dev/null --eval='a-look: ; @bash demo/demo.sh'", "/dev/null"];

let browser;
let folder;

before(async () => {
  build();
  browser = await launch();
  folder = await mkdtemp(join(tmpdir(), "demo-"));
});

after(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

test("the first time makes a log, and what it promises holds", async () => {
  const before = status();
  const demo = start({ DEMO_DIR: folder });
  const page = await demo.page();
  for (const line of [/^\$ dragonsd init /m, /^\$ dragons manifest register \. /m, /^\$ dragons lease grant /m, /\d+ total$/m,
    /^\d+ links, 0 broken$/m, /^tlog has \d+ lines$/m, /"ok":false,"code":"scope-denied"/m, /^verified$/m, /disclosures +pass/m, /^\$ dragons replay /m, /denied +intent write:README\.md/m, /consistency +pass +the tree of \d+ extends/m]) {
    assert.match(demo.said(), line);
  }
  assert.equal(demo.said().match(/^\$ dragons run /gm).length, 3);
  await shows(page, "verified");
  await showsAgent(demo.link(/\S+\/agents\/\S+/));
  await refuses({ DEMO_DIR: folder }, /another demo uses/);
  await refuses({ DEMO_DIR: join(folder, "other"), DEMO_LISTEN: new URL(page).host }, /the port is in use/);
  await refuses({ DEMO_DIR: ROOT }, /holds other files/);
  demo.process.kill("SIGINT");
  assert.equal(await demo.end(), 0, demo.said());
  assert.equal(status(), before, "the checkout is as it was");
});

test("the second time begins anew, and Ctrl-C is not a failure", async () => {
  const demo = start({ DEMO_DIR: folder }, AT_A_TERMINAL);
  const page = await demo.page();
  await shows(page, "verified");
  demo.process.stdin.write("\x03");
  assert.equal(await demo.end(), 0, demo.said());
});

/** A demo that cannot be says why, and is over. */
async function refuses(variables, why) {
  const demo = start(variables);
  assert.equal(await demo.end(), 1, demo.said());
  assert.match(demo.said(), why);
}

async function shows(url, word) {
  const opened = await open(browser, url);
  assert.deepEqual([(await verdict(opened.page)).verdict, opened.faults], [word, []]);
  await opened.close();
}

async function showsAgent(url) {
  const { page, faults, close } = await visit(browser, url);
  assert.match(await page.textContent("main"), /scope-denied/);
  assert.deepEqual(faults, []);
  await close();
}

function status() {
  return execFileSync("git", ["status", "--porcelain"], { cwd: ROOT }).toString();
}
