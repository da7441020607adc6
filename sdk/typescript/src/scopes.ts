/**
 * Scopes from templates: `write:ledger/{account}` and the arguments of a call.
 *
 * A value fills exactly one segment, whatever is in it: what the alphabet of a segment lacks is escaped as in
 * docs/formats.md, so `a/../b` becomes `a+2f..+2fb` and never points elsewhere. `{path:path}` fills one segment for each part between
 * slashes.
 */

import { createHash } from "node:crypto";

const MAX_SEGMENT_BYTES = 512;
const MAX_NAME_BYTES = 128;

/** The hex digits of SHA-256 that replace a text that is too long. */
const HASH_DIGITS = 32;

/** Named values, such as the arguments of a call. */
export type Values = Readonly<Record<string, unknown>>;

/** The segment of a scope for a text. Throws a `RangeError` for the empty text. */
export function segment(text: string): string {
  const plain = text === "." || text === ".." ? /[A-Za-z0-9_@+-]/ : /[A-Za-z0-9_@+.-]/;
  return bounded(text, escaped(text, plain, plain), MAX_SEGMENT_BYTES);
}

/** The name (of a tool, an input, a reference) for a text. Throws a `RangeError` for the empty text. */
export function name(text: string): string {
  return bounded(text, escaped(text, /[A-Za-z0-9+]/, /[A-Za-z0-9._:@+-]/), MAX_NAME_BYTES);
}

/** The segments for a path, joined by slashes; empty parts are left out. */
export function path(text: string): string {
  const parts = text.split("/").filter((part) => part !== "");
  return parts.map(segment).join("/");
}

/** The scope that a template and these values make. Throws a `RangeError` where a value is empty or missing. */
export function fill(template: string, values: Values): string {
  return template.replace(/\{([^{}:]+)(:path)?\}/g, (_, field: string, asPath?: string) => {
    const value = field.split(".").reduce<unknown>((from, member) => own(from, member), values);
    if (value === undefined || value === null) {
      throw new RangeError(`there is no ${field} for the scope ${template}`);
    }
    return asPath === undefined ? segment(String(value)) : path(String(value));
  });
}

function own(from: unknown, member: string): unknown {
  const has = typeof from === "object" && from !== null && Object.hasOwn(from, member);
  return has ? (from as Record<string, unknown>)[member] : undefined;
}

function escaped(text: string, first: RegExp, rest: RegExp): string {
  const bytes = Buffer.from(text);
  if (bytes.length === 0) {
    throw new RangeError("an empty text has no name and no segment in a scope");
  }
  const parts = Array.from(bytes, (byte, at) => {
    const one = String.fromCharCode(byte);
    const isPlain = byte < 128 && (at === 0 ? first : rest).test(one);
    const readsAsEscape = one === "+" && /^(\.|[0-9a-f]{2})/.test(bytes.toString("latin1", at + 1, at + 3));
    return isPlain && !readsAsEscape ? one : `+${byte.toString(16).padStart(2, "0")}`;
  });
  return parts.join("");
}

function bounded(text: string, spelled: string, most: number): string {
  return spelled.length <= most ? spelled : `+.${sha256(text).slice(0, HASH_DIGITS)}`;
}

/** The SHA-256 of bytes or of a text, in hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
