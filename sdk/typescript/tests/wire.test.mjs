// The connection: parallel calls, ends that come and go, answers that come too late or not at all.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { promisify } from "node:util";

import { action, Client, configure, goal, governed, progress, ServiceAway } from "@dragons/agent";

import { FakeSpeaker } from "./fake-speaker.mjs";

const MANY = 32;
const runs = () => assert.fail("it ran");
const away = (code) => (error) => error instanceof ServiceAway && error.code === code;

async function speaking(t, options) {
  const speaker = await FakeSpeaker.start(options);
  t.after(() => speaker[Symbol.asyncDispose]());
  return speaker;
}

function client(t, socket, options = {}) {
  const made = new Client({ socket, session: "s", ...options });
  t.after(() => made.close());
  return made;
}

test("answers find their calls in whatever order they come", async (t) => {
  const speaker = await speaking(t);
  const held = [];
  speaker.before = (line) => {
    if (!("intent" in line)) {
      return undefined;
    }
    return new Promise((answer) => {
      held.push(() => answer({ ok: true, intent: line.intent.scope, index: 1, received_ms: 1, lapses_ms: 2 }));
      if (held.length === MANY) {
        held.reverse().forEach((release) => release());
      }
    });
  };
  const one = client(t, speaker.path);
  const act = (n) => one.action(`read:${n}`, (action) => assert.equal(action.permit.intent, `read:${n}`));
  await Promise.all(Array.from({ length: MANY }, (_, n) => act(n)));
  assert.equal(speaker.connections, 1);
  assert.equal(new Set(speaker.of("result").map((result) => result.intent)).size, MANY);
});

test("who knows no ids is asked one thing at a time", async (t) => {
  const speaker = await speaking(t, { knowsIds: false });
  const one = client(t, speaker.path);
  const acts = Array.from({ length: MANY }, (_, n) => one.action(`read:${n}`, (action) => action.permit.intent));
  assert.equal(new Set(await Promise.all(acts)).size, MANY);
  assert.deepEqual([speaker.mostAtOnce, speaker.connections], [1, 1]);
  // What it does not know was left out, else it had refused it.
  assert.deepEqual(Object.keys(speaker.of("result")[0]).sort(), ["intent", "status"]);
  assert.deepEqual(await one.hello(), {});
});

test("without a socket nothing happens, unless that is allowed, and then it is said", async (t) => {
  for (const socket of [undefined, "/nowhere/socket"]) {
    await assert.rejects(client(t, socket).action("read:a", runs), away("no-socket"));
    await assert.rejects(client(t, socket).goal("a", runs), away("no-socket"));
    await assert.rejects(client(t, socket).hello(), away("no-socket"));
  }
  const said = t.mock.method(console, "warn", () => undefined);
  const lenient = client(t, undefined, { onMissing: "allow" });
  assert.equal(await lenient.goal("a goal", () => lenient.action("read:a", () => 7)), 7);
  assert.match(said.mock.calls[0].arguments[0], /a goal/);
  assert.match(said.mock.calls[1].arguments[0], /read:a/);
  assert.throws(() => new Client({ onMissing: "ignore" }), TypeError);
});

test("the environment names the socket", async (t) => {
  const speaker = await speaking(t);
  const runtime = await mkdtemp(join(tmpdir(), "dragons-"));
  await mkdir(join(runtime, "dragons", "worker"), { recursive: true });
  await symlink(speaker.path, join(runtime, "dragons", "worker", "socket"));
  t.after(async () => {
    configure();
    ["DRAGONS_SOCKET", "XDG_RUNTIME_DIR", "DRAGONS_AGENT"].forEach((name) => delete process.env[name]);
    await rm(runtime, { recursive: true });
  });
  process.env.XDG_RUNTIME_DIR = runtime;
  assert.equal((await client(t, undefined, { agent: "worker" }).hello()).agent, "worker");
  process.env.DRAGONS_AGENT = "worker";
  await goal("g", () => action("read:a", () => progress()));
  delete process.env.DRAGONS_AGENT;
  process.env.DRAGONS_SOCKET = speaker.path;
  configure({ session: "s" });
  assert.equal(await governed("read:{0}", (n) => n)(7), 7);
  assert.deepEqual(speaker.of("intent").map((intent) => intent.scope), ["read:a", "read:7"]);
});

test("a speaker that was started again is found", async (t) => {
  const speaker = await speaking(t);
  const one = client(t, speaker.path);
  await one.action("read:before", async () => {
    await speaker.stop();
    await speaker.listen();
  });
  await one.action("read:after", () => undefined);
  await speaker.stop();
  await assert.rejects(one.action("read:a", runs), away("no-socket"));
  await speaker.listen();
  await one.action("read:again", () => undefined);
  assert.equal(speaker.of("result").length, 3);
});

test("a call whose answer is lost is said again under its name", async (t) => {
  const speaker = await speaking(t);
  speaker.before = (line) => ("intent" in line && speaker.of("intent").length === 1 ? speaker.hangUp() : undefined);
  await client(t, speaker.path).action("read:a", () => undefined);
  const [first, second] = speaker.of("intent");
  assert.deepEqual(first, second);
  assert.equal(speaker.of("result").length, 1);
});

test("a result whose answer is lost is said again by its call", async (t) => {
  const speaker = await speaking(t);
  speaker.before = (line) => ("result" in line && speaker.of("result").length === 1 ? speaker.hangUp() : undefined);
  await client(t, speaker.path).action("read:a", () => undefined);
  const [first, second] = speaker.of("result");
  assert.deepEqual({ ...second, intent: first.intent }, first);
  assert.equal(second.intent, undefined);
});

test("what cannot be said twice is lost", async (t) => {
  for (const [knowsIds, kind] of [[false, "intent"], [true, "outcome"]]) {
    const speaker = await speaking(t, { knowsIds });
    speaker.before = (line) => (kind in line ? speaker.hangUp() : undefined);
    const answer = await client(t, speaker.path).ask({ [kind]: { scope: "read:a", call: "c", session: "s" } });
    assert.equal(answer.code, "connection-lost");
    assert.equal(speaker.of(kind).length, 1);
  }
});

test("nonsense is no answer, and who only hangs up is not called for ever", async (t) => {
  for (const said of ["", "no JSON\n", "[]\n", '{"ok":true}\n{"ok":true,"id":99}\n', "x".repeat(2 << 20)]) {
    const folder = await mkdtemp(join(tmpdir(), "dragons-"));
    const server = createServer((socket) => {
      socket.on("error", () => undefined).resume();
      said === "" ? socket.destroy() : socket.write(said);
    });
    await new Promise((done) => server.listen(join(folder, "socket"), done));
    await assert.rejects(client(t, join(folder, "socket")).action("read:a", runs), away("connection-lost"), said.slice(0, 9));
    await new Promise((done) => server.close(done));
    await rm(folder, { recursive: true });
  }
});

test("a speaker that is busy says so", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "dragons-"));
  const busy = '{"ok":false,"code":"busy","detail":"too many connections","by":"speaker"}\n';
  const server = createServer((socket) => socket.once("data", () => socket.end(busy)));
  await new Promise((done) => server.listen(join(folder, "socket"), done));
  t.after(() => rm(folder, { recursive: true }));
  await assert.rejects(client(t, join(folder, "socket")).action("read:a", runs), away("busy"));
  await new Promise((done) => server.close(done));
});

test("a permit that nobody waits for any more is given back", async (t) => {
  const speaker = await speaking(t);
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  speaker.before = (line) => ("intent" in line ? held : undefined);
  await assert.rejects(client(t, speaker.path, { timeoutMs: 1 }).action("read:a", runs), away("timeout"));
  letGo();
  const [result] = await speaker.waitFor("result", 1);
  assert.deepEqual([result.status, result.call], ["cancelled", speaker.of("intent")[0].call]);
});

test("a line that is too long is not sent", async (t) => {
  const speaker = await speaking(t);
  const one = client(t, speaker.path);
  const inputs = (count) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, "x".repeat(60_000)]));
  await assert.rejects(one.action("read:a", runs, { inputs: inputs(18) }), { code: "too-large" });
  await one.action("read:a", () => undefined, { inputs: inputs(14) });
  assert.deepEqual(speaker.of("intent")[0].inputs, inputs(14));
});

test("a program ends by itself, and says that its session is over", async (t) => {
  const speaker = await speaking(t);
  const script = "import { action } from '@dragons/agent'; await action('read:a', () => console.log('done'));";
  const env = { ...process.env, DRAGONS_SOCKET: speaker.path };
  const options = { env, cwd: import.meta.dirname };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], options);
  assert.equal(stdout, "done\n");
  assert.equal(speaker.of("session")[0].end, "session");
});
