// A speaker to test against: the socket's lines as docs/socket.md has them, with the log left out.

import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const NEWER = ["call", "session", "host", "deadline_ms"];

export class FakeSpeaker {
  lines = [];
  connections = 0;
  mostAtOnce = 0;
  /** Replaces an answer, or holds it back. */
  before = () => undefined;
  #count = 0;
  #sockets = new Set();
  #waiting = [];

  static async start({ knowsIds = true, allow = /./ } = {}) {
    const speaker = new FakeSpeaker();
    Object.assign(speaker, { knowsIds, allow });
    speaker.folder = await mkdtemp(join(tmpdir(), "dragons-"));
    speaker.path = join(speaker.folder, "socket");
    await speaker.listen();
    return speaker;
  }

  async listen() {
    this.server = createServer((socket) => this.#converse(socket));
    await new Promise((done) => this.server.listen(this.path, done));
  }

  /** Goes away, with all its connections, as a process does that is killed. */
  async stop() {
    this.hangUp();
    await new Promise((done) => this.server.close(done));
  }

  hangUp() {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  async [Symbol.asyncDispose]() {
    await this.stop();
    await rm(this.folder, { recursive: true });
  }

  of(kind) {
    return this.lines.filter((line) => kind in line).map((line) => line[kind]);
  }

  /** The same, once there are as many. */
  async waitFor(kind, count) {
    while (this.of(kind).length < count) {
      await new Promise((heard) => this.#waiting.push(heard));
    }
    return this.of(kind);
  }

  #converse(socket) {
    this.connections += 1;
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => undefined);
    if (!this.knowsIds) {
      socket.on("data", (data) => {
        this.mostAtOnce = Math.max(this.mostAtOnce, String(data).split("\n").length - 1);
      });
    }
    createInterface({ input: socket }).on("line", async (said) => {
      const { id, ...line } = JSON.parse(said);
      const answer = await this.#answer(line);
      socket.write(`${JSON.stringify(id === undefined ? answer : { id, ...answer })}\n`);
    });
  }

  async #answer(line) {
    if ("hello" in line) {
      const kinds = ["goal", "intent", "result", "session"].map((kind) => [kind, NEWER]);
      const members = { ...Object.fromEntries(kinds), progress: ["steps", "session", "host"] };
      const told = { ok: true, protocol: 1, agent: "worker", mode: "enforce", members };
      return this.knowsIds ? told : { ok: false, code: "malformed", detail: "a line says one of goal, intent" };
    }
    const members = Object.values(line).flatMap((said) => Object.keys(Object(said)));
    if (!this.knowsIds && members.some((member) => NEWER.includes(member))) {
      return { ok: false, code: "unknown-member", detail: "a newer one" };
    }
    this.lines.push(line);
    this.#waiting.splice(0).forEach((heard) => heard());
    return (await this.before(line)) ?? this.usual(line);
  }

  usual(line) {
    if ("progress" in line || "session" in line) {
      return { ok: true };
    }
    const index = (this.#count += 1);
    const record = `sha256:${createHash("sha256").update(String(index)).digest("hex")}`;
    if ("intent" in line && !this.allow.test(line.intent.scope)) {
      return { ok: false, code: "scope-denied", detail: `the lease does not allow ${line.intent.scope}` };
    }
    const permit = "intent" in line ? { intent: record, lapses_ms: 61_000 } : {};
    return { ok: true, record, index, received_ms: 1000 + index, waits: false, ...permit };
  }
}
