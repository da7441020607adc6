/** Actions, and the goals that they serve. */

import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";

import type { Client } from "./client.js";
import { no, NO_SOCKET, refusal, type Answer } from "./errors.js";
import type { Values } from "./scopes.js";
import { references, short, texts, title } from "./values.js";

/** How an action ended. */
export type Status = "ok" | "error" | "timeout" | "cancelled";

/** The verdict on a goal. */
export type Verdict = "accepted" | "rejected" | "partial" | "abandoned";

/**
 * Permission to act: the log's answer to an intent, verified by the speaker. `index` and `received_ms` are `null` where the log only
 * observes: nobody waited for it.
 */
export interface Permit {
  readonly intent: string;
  readonly index: number | null;
  readonly received_ms: number | null;
  readonly lapses_ms: number;
  /** The rule that this breaks, where the log only observes. */
  readonly breach?: string;
}

/** A check of an outcome. */
export interface Check {
  readonly name: string;
  readonly record?: string;
  readonly digest?: string;
}

/** The current goal and action. */
export interface Around {
  readonly goal?: Goal;
  readonly action?: Action;
}

/** What is around the code that runs. */
export const around = new AsyncLocalStorage<Around>();

/** The most checks that an outcome names by itself: it rests on the latest. */
const MAX_CHECKS = 16;

/** An action under a permit. */
export class Action {
  /** `undefined` where nothing is logged: no socket is there and the client allows that, or the log only observes. */
  permit: Permit | undefined;
  /** How it ended. Code that knows better than by what it throws may set it. */
  status: Status = "ok";
  /** The record hash of the result, once it is signed. */
  result: string | undefined;
  readonly #client: Client;
  readonly #intent: Record<string, unknown>;
  readonly #call: string;
  readonly #goal: Goal | undefined;
  readonly #usage = { tokens: 0, cost_micros: 0 };
  #outputs: Values = {};
  #refs: Readonly<Record<string, string | undefined>> = {};

  constructor(client: Client, intent: Record<string, unknown>, call?: string) {
    const { goal, action } = around.getStore() ?? {};
    this.#client = client;
    this.#call = short(call ?? randomBytes(8).toString("hex"));
    this.#goal = goal;
    this.#intent = {
      ...(goal?.record === undefined ? {} : { goal: goal.record }),
      ...(action?.permit === undefined ? {} : { parents: [action.permit.intent] }),
      ...intent,
      call: this.#call,
      deadline_ms: client.timeoutMs,
    };
  }

  /** Results to commit to; the values stay in the agent's own journal. */
  output(outputs: Values): void {
    this.#outputs = { ...this.#outputs, ...outputs };
  }

  /** What the action used up of its budget, added to what was reported before. */
  used({ tokens = 0, cost_micros = 0 }: { tokens?: number; cost_micros?: number }): void {
    this.#usage.tokens += tokens;
    this.#usage.cost_micros += cost_micros;
  }

  /** Where else to look for this action: names of another system, such as a trace. */
  refer(refs: Readonly<Record<string, string | undefined>>): void {
    this.#refs = { ...this.#refs, ...refs };
  }

  /** Asks for permission. Throws `Denied` or `ServiceAway`; then do not act. */
  async begin(): Promise<this> {
    const late = (answer: Answer) => void this.#giveBack(answer);
    const answer = await answered(this.#client, { intent: this.#intent }, late);
    this.#start(granted(this.#client, answer, String(this.#intent["scope"])));
    return this;
  }

  /** Reports the result. Never throws: if it is not logged, `console.error` says so. */
  async end(error?: unknown): Promise<void> {
    if (error !== undefined) {
      this.status = this.status === "ok" ? statusOf(error) : this.status;
      this.refer({ error: nameOf(error) });
    }
    if (this.permit !== undefined) {
      const usage = Object.entries(this.#usage).filter(([, amount]) => amount > 0);
      const { session, host } = this.#intent;
      const named = session === undefined ? {} : { session, host };
      const said = {
        intent: this.permit.intent,
        call: this.#call,
        ...named,
        status: this.status,
        ...Object.fromEntries(usage),
        ...filled("outputs", texts(this.#outputs)),
        ...filled("refs", references(this.#refs)),
      };
      this.#told(await answered(this.#client, { result: said }));
    }
  }

  #start(answer: Answer | undefined): void {
    if (isText(answer?.["intent"])) {
      this.permit = answer as unknown as Permit;
    }
  }

  /** Nothing waits for this permit any more: it is closed, so that the action does not seem to hang. */
  async #giveBack(answer: Answer): Promise<void> {
    this.#start(answer.ok ? answer : undefined);
    this.status = "cancelled";
    await this.end();
  }

  #told(answer: Answer): void {
    if (!answer.ok) {
      notLogged("result", String(this.#intent["scope"]), answer);
      return;
    }
    const record = answer["record"];
    if (isText(record)) {
      this.result = record;
      if (this.status === "ok") {
        this.#goal?.check(String(this.#intent["scope"]), { record });
      }
    }
  }
}

/**
 * A goal. Unless its body sets another, its outcome is `accepted` with the results that ended well as checks, `partial` if there
 * are none, `rejected` if the body throws, and `abandoned` if it was aborted.
 */
export class Goal {
  /** The record hash; `undefined` if the speaker was not asked. */
  record: string | undefined;
  readonly #client: Client;
  readonly #said: Record<string, unknown>;
  readonly #grounds: Check[] = [];
  #verdict: Verdict | undefined;

  constructor(client: Client, said: Record<string, unknown>) {
    this.#client = client;
    this.#said = said;
  }

  /** Adds a check to the outcome: a record of the log, or the digest of something else. */
  check(name: string, by: { record?: string; digest?: string }): void {
    this.#grounds.push({ name: title(name), ...by });
  }

  /** Sets the outcome. */
  outcome(verdict: Verdict): void {
    this.#verdict = verdict;
  }

  /** Logs it. Throws `Denied` or `ServiceAway`. */
  async begin(): Promise<this> {
    const answer = await answered(this.#client, { goal: this.#said });
    const record = granted(this.#client, answer, String(this.#said["title"]))?.["record"];
    this.record = isText(record) ? record : undefined;
    return this;
  }

  /** Logs its outcome. Never throws. */
  async end(error?: unknown): Promise<void> {
    if (this.record === undefined) {
      return;
    }
    const verdict = this.#verdict ?? this.#judged(error);
    const outcome = { goal: this.record, verdict, checks: this.#grounds.slice(-MAX_CHECKS) };
    const answer = await answered(this.#client, { outcome });
    if (!answer.ok) {
      notLogged("outcome", String(this.#said["title"]), answer);
    }
  }

  #judged(error: unknown): Verdict {
    if (error !== undefined) {
      return statusOf(error) === "cancelled" ? "abandoned" : "rejected";
    }
    return this.#grounds.length > 0 ? "accepted" : "partial";
  }
}

/** Runs a body between the beginning and the end of an action or a goal. */
export async function within<W extends Action | Goal, T>(
  work: W,
  body: (work: W) => T | Promise<T>,
): Promise<Awaited<T>> {
  await work.begin();
  const store = { ...around.getStore(), [work instanceof Goal ? "goal" : "action"]: work };
  let value: Awaited<T>;
  try {
    value = await around.run(store, () => body(work));
  } catch (error) {
    // What is thrown may be `undefined`, and is an error all the same.
    await work.end(error ?? new Error(String(error)));
    throw error;
  }
  await work.end();
  return value;
}

/** The answer, or that there was none in time; `late` then gets it when it comes. */
async function answered(
  client: Client,
  request: Record<string, unknown>,
  late: (answer: Answer) => void = () => undefined,
): Promise<Answer> {
  const asked = client.ask(request);
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), client.timeoutMs);
  });
  const answer = await Promise.race([asked, over]);
  clearTimeout(timer);
  if (answer === undefined) {
    void asked.then(late);
    return no("timeout", "no answer in time");
  }
  return answer;
}

function granted(client: Client, answer: Answer, what: string): Answer | undefined {
  if (answer.ok) {
    if (!isText(answer["record"]) && !isText(answer["intent"])) {
      console.warn(`dragons: not logged, because the log only observes and does not answer: ${what}`);
    }
    return answer;
  }
  if (answer.code === NO_SOCKET && client.onMissing === "allow") {
    console.warn(`dragons: not logged, because there is no socket: ${what} (${answer.detail})`);
    return undefined;
  }
  throw refusal(answer);
}

/** It is done, and its value must not be lost to an exception: so this is said where people look. */
function notLogged(what: string, of: string, answer: Answer): void {
  console.error(`dragons: the ${what} of ${of} was not logged: ${answer.code}: ${answer.detail}`);
}

/** A speaker that has no record to name says `null`, or leaves it out. */
function isText(value: unknown): value is string {
  return typeof value === "string";
}

function filled(member: string, values: Record<string, string>): Record<string, unknown> {
  return Object.keys(values).length > 0 ? { [member]: values } : {};
}

function statusOf(error: unknown): Status {
  const statuses: Record<string, Status> = { AbortError: "cancelled", TimeoutError: "timeout" };
  return statuses[nameOf(error)] ?? "error";
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
