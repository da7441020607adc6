/** What can go wrong, each with the code that the log or the speaker gave. */

/** An answer on the socket. */
export interface Answer {
  ok: boolean;
  code?: string;
  detail?: string;
  by?: string;
  [member: string]: unknown;
}

/** The one code that means that this machine has no speaker at all. */
export const NO_SOCKET = "no-socket";

/** The codes of a speaker that does not say who refuses, which say nothing about the request: it was not judged. */
const AWAY_CODES = new Set(["service-away", "stopping", "internal", "too-many-open"]);

/**
 * A request that was not granted. `code` is one of docs/codes.md, or one of this package: `no-socket`,
 * `connection-lost`, `timeout`, `stopping`. `detail` is the sentence that came with it.
 */
export class DragonsError extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
  ) {
    super(`${code}: ${detail}`);
    this.name = new.target.name;
  }
}

/** The request was refused: the lease does not allow it, or it is malformed. Do not act. */
export class Denied extends DragonsError {}

/** The request was not judged, so there is no permission. Do not act, and try again later. */
export class ServiceAway extends DragonsError {}

/** The exception for an answer that is not `ok`. */
export function refusal(answer: Answer): DragonsError {
  const code = answer.code ?? "malformed";
  const isAway = answer.by === undefined ? AWAY_CODES.has(code) : answer.by === "speaker";
  return new (isAway ? ServiceAway : Denied)(code, answer.detail ?? "");
}

/** A reason of this package's own, in the form of an answer. */
export function no(code: string, detail: string, by = "speaker"): Answer {
  return { ok: false, code, detail, by };
}
