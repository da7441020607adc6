// The program of docs/sdk/vercel-ai.md, as it stands there, with the SDK's own mock as its model.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { configure } from "@dragons/agent";
import { MockLanguageModelV4 } from "ai/test";

import { FakeSpeaker } from "./fake-speaker.mjs";

test("the program of the page runs", async (t) => {
  const speaker = await FakeSpeaker.start();
  const client = configure({ socket: speaker.path });
  t.after(async () => {
    await client.close();
    await speaker[Symbol.asyncDispose]();
  });
  const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
  const input = JSON.stringify({ account: "rent", amount: 7 });
  const answers = [
    [{ type: "tool-call", toolCallId: "c", toolName: "book", input }, "tool-calls"],
    [{ type: "text", text: "done" }, "stop"],
  ];
  globalThis.model = new MockLanguageModelV4({
    doGenerate: async () => {
      const [content, unified] = answers.shift();
      return { content: [content], finishReason: { unified }, usage, warnings: [] };
    },
  });
  const page = readFileSync(join(process.env.DRAGONS_DOCS, "sdk/vercel-ai.md"), "utf8");
  const program = join(import.meta.dirname, "page.mjs");
  writeFileSync(program, page.split("```js\n")[1].split("```")[0]);
  await import(program);
  assert.equal(speaker.of("intent")[0].scope, "write:ledger/rent");
  assert.deepEqual(speaker.of("result")[0].outputs, { result: "7 booked on rent" });
});
