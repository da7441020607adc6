/** The client: one speaker, asked by any number of tasks. */

import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { refusal, type Answer } from "./errors.js";
import { fill, type Values } from "./scopes.js";
import { short, texts, title } from "./values.js";
import { PROTOCOL, Wire, type Request } from "./wire.js";
import { Action, Goal, within } from "./work.js";

/** How long to wait for an answer. `dragons run` itself waits up to 30 s for a service that is away. */
const DEFAULT_TIMEOUT_MS = 60_000;

/** Who gives the names of this package's sessions. */
const HOST = "node";

/** Clients whose session is this process. */
const inSession = new Set<Client>();

// When nothing else is left to do, the sessions are over.
process.on("beforeExit", () => inSession.forEach((client) => void client.close()));

export interface ClientOptions {
  /** The path of the speaker's socket; `DRAGONS_SOCKET` if left out. */
  socket?: string;
  /** The agent whose `dragons attend` is asked if no socket is named; `DRAGONS_AGENT` if left out. */
  agent?: string;
  /**
   * What belongs together, such as a conversation: its goal opens with its first action. Without it a process is a session;
   * under `dragons run` its actions serve the goal of the run.
   */
  session?: string;
  /**
   * What happens without such a socket: `"raise"` throws `ServiceAway` with the code `no-socket`, `"allow"` lets the action
   * happen, and says so with `console.warn`. A refusal by an existing speaker is obeyed in both cases.
   */
  onMissing?: "raise" | "allow";
  /** How long to wait for an answer. A permit that comes later is closed as `cancelled`. */
  timeoutMs?: number;
}

export interface ActionOptions {
  /** Values to commit to; they stay in the agent's own journal. */
  inputs?: Values;
  /** A tool that the manifest lists, or comes with the `digest` of its definition. */
  tool?: string;
  digest?: string;
  /** The caller's own name for the action. */
  call?: string;
  /** What it belongs to, if that is not the client's session. */
  session?: string;
  /** Record hashes; by default the goal and the action around this one. */
  goal?: string;
  parents?: readonly string[];
  /** The most that it may use up of the lease's budget. */
  tokens?: number;
  cost_micros?: number;
}

export interface GovernedOptions {
  /** The arguments to commit to, by name. */
  inputs?: readonly string[];
  /** The name under which what the function returns is committed to. */
  output?: string;
  tool?: string;
}

export class Client {
  readonly onMissing: "raise" | "allow";
  readonly timeoutMs: number;
  readonly #options: ClientOptions;
  readonly #wire: Wire;
  #steps = 0;
  #ownSession: string | undefined;

  constructor(options: ClientOptions = {}) {
    this.onMissing = options.onMissing ?? "raise";
    if (this.onMissing !== "raise" && this.onMissing !== "allow") {
      throw new TypeError(`onMissing is "raise" or "allow", not ${String(options.onMissing)}`);
    }
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#options = options;
    this.#wire = new Wire(() => this.#path());
  }

  /** Runs a body under a permit, and returns its value. Without a permit it does not run. */
  action<T>(scope: string, body: (action: Action) => T | Promise<T>, options: ActionOptions = {}): Promise<Awaited<T>> {
    return within(this.begin(scope, options), body);
  }

  /** An action whose `begin` and `end` are called by hand. */
  begin(scope: string, options: ActionOptions = {}): Action {
    const { inputs, call, session, ...rest } = options;
    const committed = inputs === undefined ? {} : { inputs: texts(inputs) };
    return new Action(this, { scope, ...this.#belonging(session), ...committed, ...rest }, call);
  }

  /** Runs a body for a goal, which the actions in it serve. */
  goal<T>(
    of: string,
    body: (goal: Goal) => T | Promise<T>,
    options: { requester?: string; session?: string } = {},
  ): Promise<Awaited<T>> {
    const { session, ...rest } = options;
    const named = session === undefined ? {} : this.#belonging(session);
    return within(new Goal(this, { title: title(of), ...rest, ...named }), body);
  }

  /** As the function `governed` of this package, by this client. */
  governed<A extends unknown[], T>(
    scope: string,
    body: (...args: A) => T | Promise<T>,
    options: GovernedOptions = {},
  ): (...args: A) => Promise<Awaited<T>> {
    return async (...args): Promise<Awaited<T>> => {
      const named = namedArguments(args);
      const chosen = Object.fromEntries((options.inputs ?? []).map((name) => [name, named[name]]));
      const tool = options.tool === undefined ? {} : { tool: options.tool };
      const action = this.begin(fill(scope, named), { inputs: chosen, ...tool });
      return within<Action, T>(action, async () => {
        const value = (await body(...args)) as T;
        if (options.output !== undefined) {
          action.output({ [options.output]: value });
        }
        return value;
      });
    };
  }

  /**
   * Reports the number of steps of progress, by default one more than before. No need to wait for it: a failure is
   * reported with `console.warn`.
   */
  async progress(steps?: number): Promise<void> {
    this.#steps = Math.max(this.#steps + 1, steps ?? 0);
    const answer = await this.ask({ progress: { steps: this.#steps, ...this.#belonging(undefined) } });
    if (!answer.ok) {
      console.warn(`dragons: progress was not logged: ${answer.code}: ${answer.detail}`);
    }
  }

  /** Who is at the other end: its version, agent, epoch and mode; empty if it does not know the question. */
  async hello(): Promise<Record<string, unknown>> {
    const { ok, ...answer } = await this.ask({ hello: { protocol: PROTOCOL } });
    if (!ok && answer.code !== "malformed") {
      throw refusal({ ok, ...answer });
    }
    return ok ? answer : {};
  }

  /** The value behind a commitment of a record, with what opens it. */
  async disclose(record: string, side: "inputs" | "outputs", name: string): Promise<Record<string, unknown>> {
    const answer = await this.ask({ disclose: { record, side, name } });
    if (!answer.ok) {
      throw refusal(answer);
    }
    return answer["disclosure"] as Record<string, unknown>;
  }

  /** Sends one line of docs/socket.md. The answer is never an exception. */
  ask(request: Request): Promise<Answer> {
    return this.#wire.ask(request);
  }

  /** Closes the connection. It opens again with the next request. */
  async close(): Promise<void> {
    const session = this.#ownSession;
    if (session !== undefined) {
      this.#ownSession = undefined;
      inSession.delete(this);
      await this.ask({ session: { session, host: HOST, end: "session" } });
    }
    this.#wire.close();
  }

  /**
   * Which session an action belongs to. Whoever runs under `dragons run` works for the goal of the run, and names a session only
   * if told to; anybody else is a session, so that a connection that is lost does not end it.
   */
  #belonging(session: string | undefined): Record<string, string> {
    let named = session ?? this.#options.session;
    if (named === undefined && process.env["DRAGONS_GOAL"] === undefined) {
      named = this.#ownSession ??= `${process.pid}-${randomBytes(4).toString("hex")}`;
      inSession.add(this);
    }
    return named === undefined ? {} : { session: short(named), host: HOST };
  }

  #path(): string | undefined {
    const path = this.#options.socket ?? process.env["DRAGONS_SOCKET"];
    if (path) {
      return path;
    }
    const agent = this.#options.agent ?? process.env["DRAGONS_AGENT"];
    const runtime = process.env["XDG_RUNTIME_DIR"];
    return agent && runtime ? join(runtime, "dragons", agent, "socket") : undefined;
  }
}

/** The arguments by their numbers, and the members of the first by their names. */
function namedArguments(args: readonly unknown[]): Values {
  const [first] = args;
  const members = typeof first === "object" && first !== null && !Array.isArray(first) ? first : {};
  return { ...members, ...Object.fromEntries(args.map((value, at) => [String(at), value])) };
}
