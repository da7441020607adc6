/**
 * Ask for permission before an action, and report its result: the client of a Dragons agent's socket.
 *
 * The process that speaks for the agent (`dragons run` or `dragons attend`) holds the key, the journal and the chain. This
 * package holds none of them: it asks over a Unix socket, and throws `Denied` or `ServiceAway` where the answer is not a permit.
 */

import { Client, type ActionOptions, type ClientOptions, type GovernedOptions } from "./client.js";
import type { Action, Goal } from "./work.js";

export { Client, type ActionOptions, type ClientOptions, type GovernedOptions } from "./client.js";
export { Denied, DragonsError, ServiceAway } from "./errors.js";
export { name, path, segment } from "./scopes.js";
export type { Action, Check, Goal, Permit, Status, Verdict } from "./work.js";

let current: Client | undefined;

/** The client that the functions of this module use. */
export function client(): Client {
  return (current ??= new Client());
}

/** Replaces that client by one with these options. */
export function configure(options: ClientOptions = {}): Client {
  void current?.close();
  return (current = new Client(options));
}

/** Runs a body under a permit, as `Client.action`. */
export function action<T>(
  scope: string,
  body: (action: Action) => T | Promise<T>,
  options: ActionOptions = {},
): Promise<Awaited<T>> {
  return client().action(scope, body, options);
}

/** Runs a body for a goal, as `Client.goal`. */
export function goal<T>(
  title: string,
  body: (goal: Goal) => T | Promise<T>,
  options: { requester?: string; session?: string } = {},
): Promise<Awaited<T>> {
  return client().goal(title, body, options);
}

/** Steps so far, as `Client.progress`. */
export function progress(steps?: number): Promise<void> {
  return client().progress(steps);
}

/**
 * A function that asks for permission before each call, and logs how the call ended. `scope` may name arguments: in
 * `write:ledger/{account}` the member `account` of the first argument fills one segment, escaped; `{0}` is the first argument
 * itself, and `{path:path}` fills one segment for each part of a path.
 */
export function governed<A extends unknown[], T>(
  scope: string,
  body: (...args: A) => T | Promise<T>,
  options: GovernedOptions = {},
): (...args: A) => Promise<Awaited<T>> {
  return (...args) => client().governed(scope, body, options)(...args);
}
