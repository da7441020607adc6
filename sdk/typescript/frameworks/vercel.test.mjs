// Vercel's AI SDK, with its own mock model.

import assert from "node:assert/strict";
import test from "node:test";

import { Client } from "@dragons/agent";
import { govern } from "@dragons/agent/vercel";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { convertArrayToReadableStream, MockLanguageModelV4 } from "ai/test";
import { z } from "zod";

import { FakeSpeaker } from "./fake-speaker.mjs";

const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
const finished = (unified) => ({ unified, raw: undefined });

/** A model that makes these calls, then says that it is done. */
function model(...calls) {
  const made = calls.map(([toolName, input], n) => {
    return { type: "tool-call", toolCallId: `call-${n + 1}`, toolName, input: JSON.stringify(input) };
  });
  const done = { content: [{ type: "text", text: "done" }], finishReason: finished("stop"), usage, warnings: [] };
  const first = { content: made, finishReason: finished("tool-calls"), usage, warnings: [] };
  const stream = (parts, reason) => ({
    stream: convertArrayToReadableStream([...parts, { type: "finish", finishReason: finished(reason), usage }]),
  });
  const text = [{ type: "text-start", id: "1" }, { type: "text-delta", id: "1", delta: "done" }, { type: "text-end", id: "1" }];
  const doStream = [stream(made, "tool-calls"), stream(text, "stop")];
  let [generated, streamed] = [0, 0];
  return new MockLanguageModelV4({
    doGenerate: async () => [first, done][generated++],
    doStream: async () => doStream[streamed++],
  });
}

async function setUp(t) {
  const speaker = await FakeSpeaker.start({ allow: /^write:ledger\/a/ });
  const client = new Client({ socket: speaker.path });
  t.after(async () => {
    await client.close();
    await speaker[Symbol.asyncDispose]();
  });
  const ran = [];
  const inputSchema = z.object({ account: z.string() });
  const tools = {
    book: tool({
      inputSchema,
      execute: async ({ account }) => {
        ran.push(account);
        return { booked: account };
      },
    }),
    fail: tool({ inputSchema, execute: () => Promise.reject(new RangeError("no")) }),
    count: tool({
      inputSchema,
      async *execute() {
        yield 1;
        yield 2;
      },
    }),
  };
  const template = "write:ledger/{account}";
  const scopes = { book: template, fail: template, count: template };
  const governed = govern(tools, { scopes, client, session: "chat-7" });
  const all = { tools: governed, prompt: "book", stopWhen: stepCountIs(3) };
  return { speaker, ran, tools, all };
}

test("executions are permitted and denied each by itself", async (t) => {
  const { speaker, ran, all } = await setUp(t);
  const calls = model(["book", { account: "a-1" }], ["book", { account: "b/../a" }], ["fail", { account: "a" }]);
  const { steps, text } = await generateText({ model: calls, ...all });
  const [permitted, ...errors] = steps[0].content.filter((part) => part.type === "tool-result" || part.type === "tool-error");
  assert.equal(text, "done");
  assert.deepEqual([permitted.output, ran], [{ booked: "a-1" }, ["a-1"]]);
  assert.match(errors[0].error.message, /is not allowed \(scope-denied: .*b\+2f\.\.\+2fa/);
  assert.equal(errors[1].error.message, "no");
  const [intent] = speaker.of("intent");
  const { scope, call, session, inputs } = intent;
  const expected = ["write:ledger/a-1", "call-1", "chat-7", { input: '{"account":"a-1"}' }];
  assert.deepEqual([scope, call, session, inputs], expected);
  const results = Object.fromEntries(speaker.of("result").map((result) => [result.call, result]));
  assert.deepEqual(results["call-1"].outputs, { result: '{"booked":"a-1"}' });
  assert.deepEqual(results["call-1"].refs, { host: "vercel-ai", session: "chat-7", call: "call-1" });
  assert.equal(results["call-2"], undefined);
  assert.deepEqual([results["call-3"].status, results["call-3"].refs.error], ["error", "RangeError"]);
});

test("a tool that streams has a permit before its first value and a result after its last", async (t) => {
  const { speaker, all } = await setUp(t);
  const calls = model(["count", { account: "a" }], ["count", { account: "b" }]);
  const parts = [];
  for await (const part of streamText({ model: calls, ...all }).fullStream) {
    parts.push(part);
  }
  const values = parts.filter((part) => part.type === "tool-result").map((part) => [part.output, !!part.preliminary]);
  assert.deepEqual(values, [[1, true], [2, true], [2, false]]);
  assert.match(parts.find((part) => part.type === "tool-error").error.message, /scope-denied/);
  assert.deepEqual(speaker.of("result").map(({ status, outputs }) => [status, outputs]), [["ok", { result: "2" }]]);
});

test("whoever reads a stream no further has ended the action", async (t) => {
  const { speaker, all } = await setUp(t);
  for await (const value of all.tools.count.execute({ account: "a" }, { toolCallId: "c" })) {
    assert.equal(value, 1);
    break;
  }
  assert.equal(speaker.of("result")[0].status, "cancelled");
});

test("what runs elsewhere cannot be governed, and is named", async (t) => {
  const { tools } = await setUp(t);
  const more = { ...tools, confirm: tool({ inputSchema: z.object({}) }) };
  assert.throws(() => govern(more), TypeError);
  assert.equal(govern(more, { ungoverned: ["confirm"] }).confirm, more.confirm);
});
