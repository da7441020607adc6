// The program of docs/sdk/typescript.md, as it stands there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { promisify } from "node:util";

import { FakeSpeaker } from "./fake-speaker.mjs";

const page = join(import.meta.dirname, "../../../docs/sdk/typescript.md");

test("the program of the page runs", { skip: !existsSync(page) && "the documents are not here" }, async (t) => {
  const speaker = await FakeSpeaker.start({ allow: /ledger\/rent$/ });
  t.after(() => speaker[Symbol.asyncDispose]());
  const program = readFileSync(page, "utf8").split("```js\n")[1].split("```")[0];
  const options = { cwd: import.meta.dirname, env: { ...process.env, DRAGONS_SOCKET: speaker.path } };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], options);
  assert.match(stdout, /^scope-denied - /);
  const scopes = speaker.of("intent").map((intent) => intent.scope);
  assert.deepEqual(scopes, ["read:ledger/rent", "write:ledger/rent", "write:ledger/payroll"]);
  assert.equal(speaker.of("outcome")[0].verdict, "accepted");
  assert.deepEqual(speaker.of("result")[1].outputs, { total: "750" });
});
