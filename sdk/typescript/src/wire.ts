/**
 * The socket: JSON lines to the process that speaks for the agent, matched by id.
 *
 * Each answer is an object; where there is none, the reason has the same form, as `{"ok": false, "code": "no-socket", …}`.
 * The first line of a connection is `hello`. A speaker that does not know it (an older `dragons run`) does not know ids either,
 * and then gets one line at a time.
 */

import { connect, type Socket } from "node:net";

import { no, NO_SOCKET, type Answer } from "./errors.js";

/** A line to the speaker: one member, whose name says what it is. */
export type Request = Readonly<Record<string, unknown>>;

/** The version of the socket's lines that this package speaks. */
export const PROTOCOL = 1;

/** The longest line in either direction. */
const MAX_LINE_BYTES = 1024 * 1024;

/** How often a request is given to a connection: once, and once more where the first was lost. */
const MAX_TRIES = 2;

/** What may be left out for an end that does not know it: names by which an action is found again. */
const LEFT_OUT = new Set(["call", "session", "host", "deadline_ms"]);

/** What such an end answers to `hello`. */
const UNKNOWN = ["malformed", "unknown-member"];

interface Asked {
  request: Request;
  settle: (answer: Answer) => void;
  tries: number;
}

/** A connection that opens itself, and opens itself again. */
export class Wire {
  #unsent: Asked[] = [];
  #sent = new Map<number, Asked>();
  #next = 1;
  #socket: Socket | undefined;
  #isOpen = false;
  #known: Answer | undefined;
  #incoming = "";

  constructor(private readonly path: () => string | undefined) {}

  /** Sends a line. The answer is never an exception; a value that is not JSON is. */
  ask(request: Request): Promise<Answer> {
    if (Buffer.byteLength(line(request)) >= MAX_LINE_BYTES) {
      return Promise.resolve(no("too-large", `a line has at most ${MAX_LINE_BYTES} bytes`, "line"));
    }
    return new Promise((settle) => {
      this.#unsent.push({ request, settle, tries: 0 });
      this.#work();
    });
  }

  /** Whether something is not answered yet. */
  get isBusy(): boolean {
    return this.#unsent.length > 0 || this.#sent.size > 0;
  }

  /** Closes the connection. What has no answer gets the code `stopping`. */
  close(): void {
    this.#giveUp(no("stopping", "this client is closed"));
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  get #hasIds(): boolean {
    return this.#known?.ok === true;
  }

  #work(): void {
    if (this.#socket === undefined && this.#unsent.length > 0) {
      this.#open();
    }
    while (this.#known !== undefined && this.#unsent.length > 0 && (this.#hasIds || this.#sent.size === 0)) {
      this.#send(this.#unsent.shift() as Asked);
    }
    // A connection without open requests does not keep a program from ending.
    this.isBusy ? this.#socket?.ref() : this.#socket?.unref();
  }

  #open(): void {
    const path = this.path();
    if (path === undefined) {
      this.#giveUp(no(NO_SOCKET, "DRAGONS_SOCKET names no socket, and no agent's is known"));
      return;
    }
    const socket = connect(path);
    [this.#socket, this.#isOpen, this.#known, this.#incoming] = [socket, false, undefined, ""];
    for (const asked of this.#unsent) {
      asked.tries += 1;
    }
    let reason = "the other end closed the connection";
    socket.setEncoding("utf8");
    socket.on("connect", () => {
      this.#isOpen = true;
      socket.write(line({ hello: { protocol: PROTOCOL } }));
    });
    socket.on("data", (received: string) => this.#read(socket, received));
    socket.on("error", (error) => (reason = error.message));
    socket.on("close", () => this.#lose(socket, reason));
  }

  #send(asked: Asked): void {
    if ("session" in asked.request && !this.#hasIds) {
      asked.settle(no("malformed", "the other end knows no sessions", "line"));
      return;
    }
    const id = this.#next++;
    asked.tries = Math.max(asked.tries, 1);
    this.#sent.set(id, asked);
    this.#socket?.write(line({ ...(this.#hasIds ? { id } : {}), ...this.#fitting(asked.request) }));
  }

  /** The request without what the other end does not know. */
  #fitting(request: Request): Request {
    const members = (this.#known?.["members"] ?? {}) as Record<string, string[] | undefined>;
    const fitting = Object.entries(request).map(([kind, said]) => {
      const isProgress = kind === "progress" && typeof said === "object" && said !== null;
      if (isProgress && !members[kind]?.includes("steps")) {
        return [kind, (said as { steps: number }).steps];
      }
      const isKnown = ([member]: [string, unknown]) => !LEFT_OUT.has(member) || members[kind]?.includes(member);
      const isObject = typeof said === "object" && said !== null;
      return [kind, isObject ? Object.fromEntries(Object.entries(said).filter(isKnown)) : said];
    });
    return Object.fromEntries(fitting) as Request;
  }

  #read(socket: Socket, received: string): void {
    const lines = (this.#incoming + received).split("\n");
    this.#incoming = lines.pop() ?? "";
    const isEndless = this.#incoming.length > MAX_LINE_BYTES;
    if (isEndless || !lines.every((one) => this.#take(one))) {
      socket.destroy(new Error("the other end does not answer as a speaker does"));
      return;
    }
    this.#work();
  }

  /** Takes an answer, and says whether it is one. */
  #take(said: string): boolean {
    const answer = parsed(said);
    if (answer === undefined) {
      return false;
    }
    if (this.#known === undefined) {
      this.#greeted(answer);
      return true;
    }
    const { id, ...rest } = answer;
    const number = this.#hasIds ? (id as number) : [...this.#sent.keys()][0];
    const asked = number === undefined ? undefined : this.#sent.get(number);
    if (number === undefined || asked === undefined) {
      return false;
    }
    this.#sent.delete(number);
    asked.settle(rest as Answer);
    return true;
  }

  /** The first answer of a connection: the one to `hello`, or that there is no place for this connection. */
  #greeted(answer: Answer): void {
    if (answer.ok || UNKNOWN.includes(answer.code ?? "")) {
      this.#known = answer;
      return;
    }
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#giveUp(answer);
  }

  /** The connection is gone. What may be sent twice is sent again, the rest learns that its answer is lost. */
  #lose(socket: Socket, reason: string): void {
    if (this.#socket !== socket) {
      return;
    }
    this.#socket = undefined;
    if (!this.#isOpen) {
      this.#giveUp(no(NO_SOCKET, reason));
      return;
    }
    const sent = [...this.#sent.values()];
    const again = sent.filter((asked) => this.#hasIds && survives(asked.request));
    const waiting = [...again, ...this.#unsent].filter((asked) => asked.tries < MAX_TRIES);
    const lost = [...sent, ...this.#unsent].filter((asked) => !waiting.includes(asked));
    for (const asked of again) {
      asked.request = saidAgain(asked.request);
    }
    this.#sent.clear();
    this.#unsent = waiting;
    for (const asked of lost) {
      asked.settle(no("connection-lost", reason));
    }
    this.#work();
  }

  #giveUp(reason: Answer): void {
    const all = [...this.#sent.values(), ...this.#unsent];
    this.#sent.clear();
    this.#unsent = [];
    for (const asked of all) {
      asked.settle(reason);
    }
  }
}

/**
 * Whether sending it twice is the same as sending it once. An action is known by its session and its call, a goal by its
 * session. Without a session they belong to the connection, which is gone.
 */
function survives(request: Request): boolean {
  const needs: Record<string, string[]> = { intent: ["call", "session"], result: ["call", "session"], goal: ["session"] };
  for (const [kind, members] of Object.entries(needs)) {
    const said = request[kind];
    if (typeof said === "object" && said !== null) {
      return members.every((member) => member in said);
    }
  }
  return !("outcome" in request);
}

/** A result that names its intent is wrong if the first one came through; one that names its call is not. */
function saidAgain(request: Request): Request {
  if (!("result" in request)) {
    return request;
  }
  const { intent: _, ...result } = request["result"] as Record<string, unknown>;
  return { result };
}

function line(request: Request): string {
  return `${JSON.stringify(request)}\n`;
}

function parsed(said: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(said);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Answer) : undefined;
  } catch {
    return undefined;
  }
}
