/** What adapters share: the scope of a tool call, and what a model reads when it is denied. */

import { Denied, DragonsError, ServiceAway } from "./errors.js";
import { fill, segment, type Values } from "./scopes.js";

/** The scope of each tool: a template by the tool's name, or a function. What has none has `tool:NAME`. */
export type Scopes = Readonly<Record<string, string>> | ((tool: string, input: Values) => string | undefined);

/** The scope of a call. Throws `Denied` if the call lacks what its scope needs, since it may not be allowed then. */
export function scopeOf(name: string, input: Values, scopes: Scopes | undefined): string {
  try {
    if (typeof scopes === "function") {
      return scopes(name, input) ?? `tool:${segment(name)}`;
    }
    const template = scopes !== undefined && Object.hasOwn(scopes, name) ? scopes[name] : undefined;
    return template === undefined ? `tool:${segment(name)}` : fill(template, input);
  } catch (error) {
    throw new Denied("malformed", `the call of ${name} has no scope: ${String(error)}`);
  }
}

/** What a model reads in place of a result, so that it does not try the same again. */
export async function explained<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof DragonsError) {
      error.message =
        error instanceof ServiceAway
          ? `${name} was not run: nobody could say whether it is allowed (${error.message}). Do not work around this.`
          : `${name} was not run: it is not allowed (${error.message}). Do not try it again or work around this.`;
    }
    throw error;
  }
}
