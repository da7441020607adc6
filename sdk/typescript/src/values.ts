/** Values for commitments: the log holds a salted digest of each, the agent's own journal the value itself. */

import { name, sha256, type Values } from "./scopes.js";

/** The longest value that the speaker keeps. Of a longer one its digest is committed to, under `NAME.digest`. */
export const MAX_VALUE_BYTES = 64 * 1024;

const MAX_TEXT_BYTES = 1024;
const MAX_SHORT_BYTES = 128;

/** What the socket gets for these values, by name. */
export function texts(values: Values): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([given, value]) => kept(name(given), value)));
}

/** References as free text: without control characters, and short enough. Those that are not known are left out. */
export function references(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const known = Object.entries(values).filter((entry): entry is [string, string] => !!entry[1]);
  return Object.fromEntries(known.map(([given, value]) => [name(given), title(value)]));
}

/** A title that the log takes: one line of at most 1,024 bytes. */
export function title(text: string): string {
  // The log refuses control and bidirectional characters.
  const shown = text.toWellFormed().replace(/[\p{Cc}\p{Bidi_Control}]/gu, " ");
  return truncated(shown, MAX_TEXT_BYTES);
}

/**
 * A host's own name for an action or a session, as the socket takes it: one line of 1 to 128 bytes. Of a longer one the first
 * hex digits of its SHA-256 stand for it. Throws a `RangeError` for the empty one.
 */
export function short(text: string): string {
  if (text === "") {
    throw new RangeError("the name of a call or a session is empty");
  }
  return Buffer.byteLength(text) <= MAX_SHORT_BYTES ? title(text) : `+.${sha256(text).slice(0, 32)}`;
}

function kept(given: string, value: unknown): [string, string] {
  const bytes = spell(value);
  if (bytes.length <= MAX_VALUE_BYTES) {
    try {
      return [given, new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)];
    } catch {
      // The socket's lines are text, so of other bytes the digest is the value.
    }
  }
  return [name(`${given}.digest`), `sha256:${sha256(bytes)}`];
}

function spell(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) {
    return value;
  }
  const text = typeof value === "string" ? value : (json(value) ?? String(value));
  return Buffer.from(text.toWellFormed());
}

/** JSON with sorted members; what JSON cannot express is converted by `String`. */
function json(value: unknown): string | undefined {
  const sorted = (_: string, member: unknown): unknown => {
    if (typeof member === "bigint") {
      return String(member);
    }
    const isPlain = typeof member === "object" && member !== null && !Array.isArray(member);
    return isPlain ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1))) : member;
  };
  try {
    return JSON.stringify(value, sorted);
  } catch {
    return undefined;
  }
}

function truncated(text: string, most: number): string {
  const bytes = Buffer.from(text);
  // A character that is cut in two becomes U+FFFD, which is then cut off.
  return bytes.length <= most ? text : bytes.subarray(0, most).toString().replace(/\uFFFD+$/u, "");
}
