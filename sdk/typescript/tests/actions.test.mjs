// Permits, denials, results and goals, against a speaker that is not real.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";

import { Client, Denied, ServiceAway } from "@dragons/agent";

import { FakeSpeaker } from "./fake-speaker.mjs";

async function pair(t, options = {}, more = {}) {
  const speaker = await FakeSpeaker.start(options);
  const client = new Client({ socket: speaker.path, ...more });
  t.after(async () => {
    await client.close();
    await speaker[Symbol.asyncDispose]();
  });
  return { speaker, client };
}

const runs = () => assert.fail("it ran");

test("an action has a permit and a result", async (t) => {
  const { speaker, client } = await pair(t);
  const inputs = { q: "why", n: { b: 1, a: [2n] } };
  const value = await client.action(
    "read:books",
    (action) => {
      assert.equal(action.permit.lapses_ms, 61_000);
      action.output({ total: 42, none: undefined });
      action.used({ tokens: 3 });
      action.refer({ ticket: "T-1" });
      return 7;
    },
    { inputs, call: "c-1", session: "s" },
  );
  assert.equal(value, 7);
  const [intent] = speaker.of("intent");
  const named = { call: "c-1", session: "s", host: "node", deadline_ms: 60_000 };
  assert.deepEqual(intent, { scope: "read:books", inputs: { q: "why", n: '{"a":["2"],"b":1}' }, ...named });
  const [result] = speaker.of("result");
  const { intent: of, ...rest } = result;
  assert.match(of, /^sha256:/);
  const outputs = { total: "42", none: "undefined" };
  const by = { call: "c-1", session: "s", host: "node" };
  assert.deepEqual(rest, { ...by, status: "ok", tokens: 3, outputs, refs: { ticket: "T-1" } });
});

test("what is denied does not run", async (t) => {
  const { speaker, client } = await pair(t, { allow: /^read:/ });
  await assert.rejects(client.action("write:books", runs), (error) => {
    assert(error instanceof Denied && error.name === "Denied");
    assert.equal(error.code, "scope-denied");
    return true;
  });
  assert.deepEqual(speaker.of("result"), []);
});

test("who refuses decides what it is, and on_missing changes nothing of it", async (t) => {
  const { speaker, client } = await pair(t, {}, { onMissing: "allow" });
  const cases = [["log", Denied], ["line", Denied], ["speaker", ServiceAway], [undefined, Denied]];
  for (const [by, kind] of cases) {
    speaker.before = () => ({ ok: false, code: "any", detail: "d", by });
    await assert.rejects(client.action("read:a", runs), kind);
  }
  speaker.before = () => ({ ok: false, code: "service-away", detail: "d" });
  await assert.rejects(client.action("read:a", runs), ServiceAway);
});

test("how the body ends is the status", async (t) => {
  const { speaker, client } = await pair(t);
  const cases = [
    [new RangeError("no"), "error"],
    [AbortSignal.abort().reason, "cancelled"],
    [Object.assign(new Error(), { name: "TimeoutError" }), "timeout"],
    [undefined, "error"],
  ];
  for (const [error, status] of cases) {
    const thrown = await client.action("read:a", () => { throw error; }).then(runs, (caught) => ({ caught }));
    assert.equal(thrown.caught, error);
    assert.equal(speaker.of("result").at(-1).status, status);
  }
});

test("a result that is not logged is said and keeps the value", async (t) => {
  const { speaker, client } = await pair(t);
  const said = t.mock.method(console, "error", () => undefined);
  speaker.before = (line) => ("result" in line ? { ok: false, code: "epoch-fenced", detail: "d" } : undefined);
  assert.equal(await client.action("read:a", () => 7), 7);
  assert.match(said.mock.calls[0].arguments[0], /epoch-fenced/);
});

test("a log that observes shows breaches, and lets through what it cannot log", async (t) => {
  const { speaker, client } = await pair(t);
  const said = t.mock.method(console, "warn", () => undefined);
  speaker.before = (line) => ({ ...speaker.usual(line), breach: "scope-denied" });
  await client.action("read:a", (action) => assert.equal(action.permit.breach, "scope-denied"));
  speaker.before = () => ({ ok: true, unlogged: true });
  await client.action("read:b", (action) => assert.equal(action.permit, undefined));
  assert.equal(speaker.of("result").length, 1);
  assert.match(said.mock.calls[0].arguments[0], /read:b/);
});

test("answers of a log that observes name no record yet", async (t) => {
  const { speaker, client } = await pair(t);
  const said = t.mock.method(console, "warn", () => undefined);
  const later = { ok: true, record: null, waits: true };
  speaker.before = (line) =>
    "intent" in line ? { ...speaker.usual(line), index: null, received_ms: null } : later;
  const goal = await client.goal("a goal", async (goal) => {
    const action = await client.action("read:a", (action) => action);
    assert.deepEqual([action.permit.index, action.result], [null, undefined]);
    return goal;
  });
  assert.equal(goal.record, undefined);
  assert.equal(speaker.of("intent")[0].goal, undefined);
  assert.deepEqual(speaker.of("outcome"), []);
  speaker.before = () => ({ ok: true, intent: null, unlogged: true });
  await client.action("read:b", (action) => assert.equal(action.permit, undefined));
  assert.equal(speaker.of("result").length, 1);
  assert.equal(said.mock.callCount(), 2);
});

test("values that are long or not text are digests", async (t) => {
  const { speaker, client } = await pair(t);
  const [long, odd] = ["x".repeat(64 * 1024 + 1), new Uint8Array([255, 0])];
  const digest = (data) => `sha256:${createHash("sha256").update(data).digest("hex")}`;
  await client.action("read:a", () => undefined, { inputs: { long, odd, "a b": "\ud800", bom: "\ufeffx" } });
  const expected = { "long.digest": digest(long), "odd.digest": digest(odd), "a+20b": "\ufffd", bom: "\ufeffx" };
  assert.deepEqual(speaker.of("intent")[0].inputs, expected);
});

test("goals rest on results, and actions name what they are for and within", async (t) => {
  const { speaker, client } = await pair(t);
  const work = (name) =>
    client.goal(name, async (goal) => {
      await client.action(`read:${name}`, async (outer) => {
        await client.action("read:inner", () => undefined);
        const inner = speaker.of("intent").find((one) => one.parents?.[0] === outer.permit.intent);
        assert.equal(inner.goal, goal.record);
      });
    });
  await Promise.all(Array.from({ length: 20 }, (_, n) => work(`t${n}`)));
  const outcomes = speaker.of("outcome");
  assert.equal(new Set(outcomes.map((one) => one.goal)).size, 20);
  assert(outcomes.every((one) => one.verdict === "accepted" && one.checks.length === 2));
  await client.goal("close\nthe books", () => undefined, { requester: "ann" });
  assert.deepEqual(speaker.of("goal").at(-1), { title: "close the books", requester: "ann" });
  assert.equal(speaker.of("outcome").at(-1).verdict, "partial");
  await assert.rejects(client.goal("fails", () => Promise.reject(new Error("no"))));
  assert.equal(speaker.of("outcome").at(-1).verdict, "rejected");
  await assert.rejects(client.goal("is ended", () => Promise.reject(AbortSignal.abort().reason)));
  assert.equal(speaker.of("outcome").at(-1).verdict, "abandoned");
  await client.goal("says so", (goal) => goal.outcome("rejected"));
  assert.equal(speaker.of("outcome").at(-1).verdict, "rejected");
});

test("functions ask with their arguments", async (t) => {
  const { speaker, client } = await pair(t, { allow: /^write:/ });
  const options = { inputs: ["amount"], output: "balance" };
  const book = client.governed("write:ledger/{account}", ({ amount }) => amount + 1, options);
  assert.equal(await book({ account: "a/../b", amount: 7 }), 8);
  const [intent] = speaker.of("intent");
  assert.deepEqual([intent.scope, intent.inputs], ["write:ledger/a+2f..+2fb", { amount: "7" }]);
  assert.deepEqual(speaker.of("result")[0].outputs, { balance: "8" });
  await client.governed("write:{0}/{1:path}", (one, two) => one + two)("x", "/a/../b");
  assert.equal(speaker.of("intent")[1].scope, "write:x/a/+2e+2e/b");
  await assert.rejects(client.governed("read:{0}", runs)("a"), Denied);
  for (const bad of [client.governed("write:{account}", runs)({}), client.governed("write:{0}", runs)("")]) {
    await assert.rejects(bad, RangeError);
  }
  await assert.rejects(client.governed("write:{toString}", runs)({}), RangeError);
});

test("progress counts up", async (t) => {
  const { speaker, client } = await pair(t);
  await Promise.all([undefined, undefined, 40, undefined, 3].map((steps) => client.progress(steps)));
  assert.deepEqual(speaker.of("progress").map(({ steps }) => steps), [1, 2, 40, 41, 42]);
  await client.action("read:a", () => undefined);
  assert.equal(speaker.of("progress")[0].session, speaker.of("intent")[0].session);
  const said = t.mock.method(console, "warn", () => undefined);
  speaker.before = () => ({ ok: false, code: "stopping", detail: "d" });
  await client.progress();
  assert.match(said.mock.calls[0].arguments[0], /stopping/);
});

test("a process is a session unless it runs for a goal", async (t) => {
  const { speaker, client } = await pair(t);
  await client.action("read:a", () => undefined);
  await client.action("read:a", () => undefined);
  const [one, other] = speaker.of("intent");
  assert.deepEqual([one.session, one.host], [other.session, "node"]);
  await client.close();
  assert.deepEqual(speaker.of("session"), [{ session: one.session, host: "node", end: "session" }]);
  process.env.DRAGONS_GOAL = "sha256:…";
  t.after(() => delete process.env.DRAGONS_GOAL);
  await client.action("read:a", () => undefined);
  assert.equal(speaker.of("intent")[2].session, undefined);
});

test("names that are long or odd are names all the same", async (t) => {
  const { speaker, client } = await pair(t);
  await client.action("read:a", () => undefined, { call: `c\n${"x".repeat(200)}`, session: "s\u202e" });
  const [intent] = speaker.of("intent");
  assert.deepEqual([intent.call.length, intent.session], [34, "s "]);
  assert.throws(() => client.begin("read:a", { call: "" }), RangeError);
});
