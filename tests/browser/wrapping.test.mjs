// However evidence is wrapped, and however badly: the page and the command say the same, byte for byte.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { deflateRawSync, gzipSync } from "node:zlib";

import { launch, open, verdict } from "./browser.mjs";
import { DIST, serve } from "./host.mjs";
import { build } from "./programs.mjs";

const read = (name) => readFile(new URL(`samples/${name}`, DIST));
const trust = await read("trust.json");
const pack = await read("history.pack.jsonl");
const proof = await read("one-record.tlog-proof");
const sound = gzipSync(pack);

let browser;
let host;
let opened;
let folder;
let dragons;

before(async () => {
  dragons = join(build(), "dragons");
  folder = await mkdtemp(join(tmpdir(), "wrapping-"));
  await writeFile(join(folder, "trust.json"), trust);
  [browser, host] = [await launch(), await serve()];
  opened = await open(browser, host.url);
  await opened.page.setInputFiles("#trust-file", { name: "trust.json", mimeType: "application/json", buffer: trust });
  await opened.page.locator("#trust-facts dt").first().waitFor();
});

after(async () => {
  await browser.close();
  await host.stop();
  await rm(folder, { recursive: true });
});

for (const [name, evidence] of Object.entries(corpus())) {
  test(`the same report of: ${name}`, async () => {
    const file = `${name.replaceAll(" ", "-")}.gz`;
    await writeFile(join(folder, file), evidence);
    const told = spawnSync(dragons, ["verify", join(folder, file), "--trust", join(folder, "trust.json"), "--json"]);
    const { page } = opened;
    await page.setInputFiles("#evidence-file", { name: file, mimeType: "application/octet-stream", buffer: evidence });
    await page.waitForFunction((wanted) => document.querySelector("#report-subject dd")?.textContent === wanted, file);
    const { verdict: word } = await verdict(page);
    assert.notEqual(word, "none");
    assert.equal(await page.textContent("#report-raw pre"), told.stdout.toString().trimEnd());
  });
}

test("nothing else happened", () => assert.deepEqual(opened.faults, []));

function corpus() {
  const flipped = Buffer.from(sound);
  flipped[sound.length >> 1] ^= 1;
  const miscounted = Buffer.from(sound);
  miscounted[sound.length - 1] ^= 1;
  const mischecked = Buffer.from(sound);
  mischecked[sound.length - 8] ^= 1;
  const named = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255]), Buffer.from("a.pack\0"), sound.subarray(10)]);
  const reserved = Buffer.from(sound);
  reserved[3] = 0x20;
  return {
    "one member": sound,
    "two members": Buffer.concat([gzipSync(pack.subarray(0, 777)), gzipSync(pack.subarray(777))]),
    "an empty member between": Buffer.concat([gzipSync(pack.subarray(0, 777)), gzipSync(""), gzipSync(pack.subarray(777))]),
    "two packs": Buffer.concat([sound, sound]),
    "stored blocks": gzipSync(pack, { level: 0 }),
    "a name in the header": named,
    "a reserved flag": reserved,
    "zeros behind": Buffer.concat([sound, Buffer.alloc(512)]),
    "one zero behind": Buffer.concat([sound, Buffer.alloc(1)]),
    "words behind": Buffer.concat([sound, Buffer.from("and so on")]),
    "a line end behind": Buffer.concat([sound, Buffer.from("\r\n")]),
    "a header behind": Buffer.concat([sound, sound.subarray(0, 10)]),
    "cut in the header": sound.subarray(0, 5),
    "cut in the data": sound.subarray(0, 900),
    "cut in the checksum": sound.subarray(0, sound.length - 5),
    "without its checksum": sound.subarray(0, sound.length - 8),
    "two bytes": sound.subarray(0, 2),
    "a bit in the middle": flipped,
    "another length": miscounted,
    "another checksum": mischecked,
    "gzipped twice": gzipSync(sound),
    "deflate alone": Buffer.concat([Buffer.from([0x1f, 0x8b]), deflateRawSync(pack)]),
    "windows line ends": gzipSync(pack.toString().replaceAll("\n", "\r\n")),
    "a byte order mark": gzipSync(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), pack])),
    "a proof file": gzipSync(proof),
    "a proof file with windows line ends": gzipSync(proof.toString().replaceAll("\n", "\r\n")),
    "a proof file and zeros": Buffer.concat([gzipSync(proof), Buffer.alloc(3)]),
    "nothing": gzipSync(""),
    "zeros without end": gzipSync(Buffer.alloc(70 * 1024 * 1024)),
    "not gzip": pack,
    "one byte": Buffer.from([0x1f]),
    "no byte": Buffer.alloc(0),
  };
}
