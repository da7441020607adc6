// Whatever way evidence and trust come in; and that trust never comes from evidence.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { trySample, verdict } from "./browser.mjs";
import { DIST } from "./host.mjs";
import { give, giveTrust, host, page, stage } from "./stage.mjs";

const read = (name) => readFile(new URL(`samples/${name}`, DIST));
const trust = await read("trust.json");
const proof = await read("one-record.tlog-proof");
const pack = await read("history.pack.jsonl");

stage({ under: "/some/where/", extra: { "trust.json": trust, "given/6": proof } });

test("evidence waits for trust, and is verified when there is some", async () => {
  await give({ "mine.tlog-proof": proof });
  await page.getByText("Say whom you trust, then verify.").first().waitFor();
  assert.equal(await page.isDisabled("#verify"), true);
  await give({ "trust.json": trust }, "#trust-file");
  await page.click("#verify:enabled");
  assert.equal((await verdict(page)).verdict, "verified");
  assert.match(await page.textContent("#trust-origin"), /trust\.json, which you chose/);
});

test("a file is verified at once when there is trust", async () => {
  await giveTrust(trust);
  await give({ "mine.pack.jsonl": pack });
  assert.notEqual((await verdict(page)).verdict, "failed");
});

test("a gzipped pack is the same", async () => {
  await giveTrust(trust);
  await give({ "mine.pack.jsonl": pack });
  await verdict(page);
  const plain = await page.textContent("#report-raw pre");
  await give({ "mine.pack.jsonl.gz": gzipSync(pack) });
  await page.waitForFunction(() => document.querySelector("#report-subject dd")?.textContent.endsWith(".gz"));
  assert.equal(await page.textContent("#report-raw pre"), plain);
  await page.click("details[data-index='3'] summary");
  await page.locator("details[data-index='3'] dl").first().waitFor();
});

test("what is gzipped and broken fails as the command says", async () => {
  await giveTrust(trust);
  await give({ "cut.gz": gzipSync(pack).subarray(0, 900) });
  const { verdict: word, codes } = await verdict(page);
  assert.deepEqual([word, codes], ["failed", ["pack-malformed"]]);
  assert.match(await page.textContent("#report-findings"), /by whoever made it or passed it on/);
});

test("text can be pasted, into the field and onto the page", async () => {
  await giveTrust(trust);
  await page.click("#paste summary");
  await page.fill("#paste-text", proof.toString());
  await page.click("#paste-take");
  assert.equal((await verdict(page)).verdict, "verified");
  await page.evaluate((text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
  }, "no evidence at all");
  await page.waitForSelector("[data-verdict=failed]");
  assert.deepEqual((await verdict(page)).codes, ["pack-malformed"]);
});

test("files can be dropped anywhere, several at once, and each is taken for what it is", async () => {
  await drop("footer", { "mine.tlog-proof": proof, "whatever.txt": trust });
  assert.equal((await verdict(page)).verdict, "verified");
  assert.match(await page.textContent("#trust-origin"), /whatever\.txt, which you chose/);
});

test("trust is edited in the open, and what is none is said to be none", async () => {
  await page.click("#trust-edit summary");
  await page.fill("#trust-text", "{}");
  await page.locator("#trust-text").blur();
  await page.getByText("This is not a trust file").waitFor();
  await page.fill("#trust-text", trust.toString());
  await page.locator("#trust-text").blur();
  await page.locator("#trust-facts dt").first().waitFor();
  assert.match(await page.textContent("#trust-origin"), /by you/);
  assert.equal(await page.textContent("#trust-fault"), "");
});

test("another trust takes the verdict away", async () => {
  await giveTrust(trust);
  await give({ "mine.tlog-proof": proof });
  await verdict(page);
  await give({ "other.json": trust.toString().replace("e23b", "e23c") }, "#trust-file");
  await page.getByText("The trust has changed. Verify again.").first().waitFor();
  assert.equal(await page.isVisible("#report"), false);
  await page.click("#verify");
  assert.ok((await verdict(page)).codes.includes("origin-mismatch"));
});

test("the samples' trust is not kept for evidence of one's own", async () => {
  await trySample(page, "one-record.tlog-proof");
  assert.match(await page.textContent("#trust-origin"), /only for its samples/);
  await give({ "mine.tlog-proof": proof });
  await page.getByText("Nobody yet").waitFor();
  assert.equal(await page.isDisabled("#verify"), true);
});

test("an address in the fragment brings evidence of this host, and says whose trust it is", async () => {
  await page.goto("about:blank");
  await page.goto(`${host.url}#evidence=given/6`);
  assert.equal((await verdict(page)).verdict, "verified");
  assert.match(await page.textContent("#trust-origin"), /also served this page/);
  assert.match(await page.textContent("#verdict"), /consistent with what this host says about itself/);
  assert.equal(await page.locator(".verdict.is-verified").count(), 0, "no green under the host's own trust");
  assert.match(await page.textContent("#evidence-origin"), /\/some\/where\/given\/6/);
});

test("an address of another host is refused, and not asked", async () => {
  await page.goto("about:blank");
  await page.goto(`${host.url}#evidence=https://example.com/6`);
  await page.getByText("its address is of another host").waitFor();
});

test("a fingerprint is compared as it is typed, and turns green", async () => {
  const digits = (await import("./fingerprint.mjs")).fingerprintOf(JSON.parse(trust).charter);
  await giveTrust(trust);
  await page.fill("#fingerprint", digits.replace(/^./, (first) => String((Number(first) + 1) % 10)));
  await page.waitForSelector('#fingerprint.is-bad[aria-invalid="true"]');
  await page.fill("#fingerprint", digits);
  await page.waitForSelector("#fingerprint.is-good");
  assert.match(await page.textContent("#trust-facts"), new RegExp(digits));
});

test("without a trust file, the fingerprint leads to the trust in the charter that the evidence brings", async () => {
  const digits = (await import("./fingerprint.mjs")).fingerprintOf(JSON.parse(trust).charter);
  await give({ "mine.pack.jsonl": gzipSync(pack) });
  await page.fill("#fingerprint", "0".repeat(32));
  await page.waitForSelector("#fingerprint.is-bad");
  assert.equal(await page.textContent("#verdict"), "");
  await page.fill("#fingerprint", digits);
  assert.equal((await verdict(page)).verdict, "verified");
  assert.equal(await page.locator(".verdict.is-verified").count(), 1);
});

test("six questions are answered, each with its reason", async () => {
  await giveTrust(trust);
  await give({ "mine.pack.jsonl": pack });
  await verdict(page);
  const answers = await page.locator("[data-answer]").evaluateAll((all) => all.map(({ dataset }) => [dataset.answer, dataset.reply]));
  assert.deepEqual(answers, [["logged", "yes"], ["signed", "yes"], ["allowed", "yes"], ["complete", "yes"],
    ["consistent", "not-checked"], ["fresh", "not-checked"]]);
  await page.locator('[data-answer="signed"] .who li').first().waitFor({ state: "attached" });
  assert.match(await page.textContent('[data-answer="signed"]'), /root, \d{4} \d{4}/);
});

test("a file that is not evidence is named", async () => {
  await giveTrust(trust);
  for (const [name, content, what] of [["a.pdf", "%PDF-1.7\n", /It is a PDF document/], ["b", "example.com/log\n1\niip=\n\n\u2014 example.com/log AQ==\n", /bare checkpoint/]]) {
    await give({ [name]: content });
    await verdict(page);
    assert.match(await page.textContent("#verdict"), what);
    assert.match(await page.textContent("#verdict-title"), /^Not evidence$/);
  }
});

test("what mail has altered is named, and mended only on request", async () => {
  await giveTrust(trust);
  const text = pack.toString();
  for (const altered of [text.replaceAll("\n", "\r\n"), `\ufeff${text}`, text.trimEnd()]) {
    await give({ "mine.pack.jsonl": altered });
    assert.equal((await verdict(page)).verdict, "failed");
    await page.click(".mending button");
    await page.waitForSelector('[data-verdict="verified"]');
    assert.match(await page.textContent("#verdict"), /You had the file repaired first/);
    assert.match(await page.textContent("#report-subject"), /repaired by you/);
  }
});

async function drop(selector, files) {
  const texts = Object.entries(files).map(([name, content]) => [name, content.toString()]);
  const transfer = await page.evaluateHandle((given) => {
    const made = new DataTransfer();
    for (const [name, text] of given) made.items.add(new File([text], name));
    return made;
  }, texts);
  await page.dispatchEvent(selector, "drop", { dataTransfer: transfer });
}
