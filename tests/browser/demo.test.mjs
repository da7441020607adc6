// The demo, as a reader of the README meets it: twice, with the page that it leads to, and out by Ctrl-C.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch, open, verdict } from "./browser.mjs";

const ROOT = new URL("../..", import.meta.url);
const DEMO = ["bash", "demo/demo.sh"];
/** As a make that somebody watches calls it: at a terminal, whose Ctrl-C reaches all that run in it. */
const AT_A_TERMINAL = ["script", "--quiet", "--return", "--command", "make -f /dev/null --eval='a-look: ; @bash demo/demo.sh'", "/dev/null"];

let browser;
let folder;

before(async () => {
  execFileSync("cargo", ["build", "--quiet", "--locked", "--bins"], { cwd: ROOT, stdio: "inherit" });
  browser = await launch();
  folder = await mkdtemp(join(tmpdir(), "demo-"));
});

after(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

test("the first time makes a log, and what it promises holds", async () => {
  const before = status();
  const demo = start(DEMO);
  const page = await demo.page();
  for (const line of [/^\$ dragonsd init /m, /^\$ dragons manifest register \. /m, /^\$ dragons lease grant /m, /\d+ total$/m,
    /^\d+ links, 0 broken$/m, /^tlog has \d+ lines$/m, /"ok":false,"code":"scope-denied"/m, /^verified$/m, /disclosures +pass/m, /consistency +pass +the tree of \d+ extends/m]) {
    assert.match(demo.said(), line);
  }
  assert.equal(demo.said().match(/^\$ dragons run /gm).length, 3);
  await shows(page, "verified");
  await refuses({ DEMO_DIR: folder }, /another demo uses/);
  await refuses({ DEMO_DIR: join(folder, "other"), DEMO_LISTEN: new URL(page).host }, /the port is in use/);
  await refuses({ DEMO_DIR: fileURLToPath(ROOT) }, /holds other files/);
  demo.process.kill("SIGINT");
  assert.equal(await demo.end(), 0, demo.said());
  assert.equal(status(), before, "the checkout is as it was");
});

test("the second time begins anew, and Ctrl-C is no failure", async () => {
  const demo = start(AT_A_TERMINAL);
  const page = await demo.page();
  await shows(page, "verified");
  demo.process.stdin.write("\x03");
  assert.equal(await demo.end(), 0, demo.said());
});

/** Starts a demo; `page` is the address that it prints, once it stays up. */
function start(command, variables = {}) {
  const process = spawn(command[0], command.slice(1), { cwd: ROOT, env: environment(variables), stdio: "pipe" });
  let said = "";
  const end = once(process, "close").then(([code]) => code);
  const heard = new Promise((resolve) => {
    for (const stream of [process.stdout, process.stderr]) {
      stream.on("data", (text) => {
        said += text;
        if (said.includes("until Ctrl-C")) resolve();
      });
    }
  });
  const page = async () => {
    await Promise.race([heard, end]);
    const found = said.match(/^http:\S+\/verify\/#evidence=\S+/m);
    assert.ok(found, said);
    return found[0];
  };
  return { process, said: () => said, page, end: () => end };
}

/** A demo that cannot be says why, and is over. */
async function refuses(variables, why) {
  const demo = start(DEMO, variables);
  assert.equal(await demo.end(), 1, demo.said());
  assert.match(demo.said(), why);
}

async function shows(url, word) {
  const opened = await open(browser, url);
  assert.deepEqual([(await verdict(opened.page)).verdict, opened.faults], [word, []]);
  await opened.close();
}

function environment(variables) {
  return { ...process.env, DEMO_DIR: folder, NO_COLOR: "1", ...variables };
}

function status() {
  return execFileSync("git", ["status", "--porcelain"], { cwd: ROOT }).toString();
}
