/**
 * Vercel's AI SDK: each execution of a tool asks for permission.
 *
 *     import { govern } from "@dragons/agent/vercel";
 *
 *     const tools = govern({ book, look }, { scopes: { book: "write:ledger/{account}" } });
 *     await generateText({ model, tools, prompt });
 *
 * A denied execution throws, which the SDK gives to the model as the error of the tool.
 */

import { client as defaultClient } from "./index.js";
import type { Client } from "./client.js";
import type { Values } from "./scopes.js";
import { explained, scopeOf, type Scopes } from "./tools.js";
import { within, type Action } from "./work.js";

export interface GovernOptions {
  scopes?: Scopes;
  client?: Client;
  /** What belongs together, such as the id of a chat. */
  session?: string;
  /** Whether inputs and outputs are committed to; by default they are. */
  keep?: boolean;
  /** Tools without `execute`, which run elsewhere and cannot be held back here. */
  ungoverned?: readonly string[];
}

type Execute = (input: never, options: never) => unknown;

/** Copies of these tools that ask before they run. Throws a `TypeError` for one without `execute` that is not named. */
export function govern<T extends Readonly<Record<string, object>>>(tools: T, options: GovernOptions = {}): T {
  const governed = Object.entries(tools).map(([name, tool]) => {
    const execute = "execute" in tool && typeof tool.execute === "function" ? (tool.execute as Execute) : undefined;
    if (execute === undefined && !options.ungoverned?.includes(name)) {
      throw new TypeError(`${name} has no execute, so it runs elsewhere and cannot be held back here`);
    }
    return [name, execute === undefined ? tool : { ...tool, execute: wrapped(name, execute.bind(tool), options) }];
  });
  return Object.fromEntries(governed) as T;
}

function wrapped(name: string, execute: Execute, options: GovernOptions): Execute {
  const isStream = Object.prototype.toString.call(execute).includes("Generator");
  return isStream ? streamed(name, execute, options) : plain(name, execute, options);
}

function plain(name: string, execute: Execute, options: GovernOptions): Execute {
  return (input, call) =>
    explained(name, async () => {
      const action = begun(name, input, call, options);
      return within(action, async () => kept(action, await execute(input, call), options));
    });
}

function streamed(name: string, execute: Execute, options: GovernOptions): Execute {
  return async function* (input, call) {
    const action = await explained(name, async () => begun(name, input, call, options).begin());
    let last: unknown;
    let failure: { error: unknown } | undefined = { error: aborted() };
    try {
      for await (last of execute(input, call) as AsyncIterable<unknown>) {
        yield last;
      }
      failure = undefined;
      kept(action, last, options);
    } catch (error) {
      failure = { error };
      throw error;
    } finally {
      await action.end(failure?.error);
    }
  };
}

/** Ends a stream that is no longer read. */
function aborted(): Error {
  return Object.assign(new Error("no longer read"), { name: "AbortError" });
}

function begun(name: string, input: unknown, call: unknown, options: GovernOptions): Action {
  const members = (typeof input === "object" && input !== null ? input : { "": input }) as Values;
  const toolCallId = (call as { toolCallId?: string } | undefined)?.toolCallId;
  // Under `dragons run` everything is for the goal of the run, whatever the sessions of the host are.
  const session = process.env["DRAGONS_GOAL"] === undefined ? options.session : undefined;
  const action = (options.client ?? defaultClient()).begin(scopeOf(name, members, options.scopes), {
    ...(options.keep === false ? {} : { inputs: { input } }),
    ...(toolCallId ? { call: toolCallId } : {}),
    ...(session ? { session } : {}),
  });
  action.refer({ host: "vercel-ai", session: options.session, call: toolCallId });
  return action;
}

function kept(action: Action, output: unknown, options: GovernOptions): unknown {
  if (options.keep !== false) {
    action.output({ result: output });
  }
  return output;
}
