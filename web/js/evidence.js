// A piece of evidence as bytes, and cut into lines for display. What a gzipped file holds, and whether any of it is true, is
// the verifier's to say.

/** How much of a gzipped file is kept unwrapped, to be shown: a pack of a million entries has about this size. */
const MAX_HELD_BYTES = 2 * 1024 * 1024 * 1024;

/** How much of it becomes a blob at a time. */
const PART_BYTES = 4 * 1024 * 1024;

/** Before the leaves a pack has at most these lines beside the entries of a state: header, checkpoint, earlier checkpoint,
 * disclosures, state, proof. */
const MAX_HEAD_LINES = 6;

/** The longest line that is shown. A leaf is at most 48 KiB, and escaping at most doubles a text of that kind. */
const MAX_SHOWN_BYTES = 128 * 1024;

export const LEAF_START = '{"index":';
const PACK_START = '{"pack":';
const STATE_ENTRY_START = '{"entry":';
const PROOF_STARTS = ["c2sp.org/tlog-proof@", '{"state_proof":'];
const LF = 10;
const FIRST_LINES = 1024;

export class Evidence {
  /** How many bytes of the file were read: what progress is measured by. */
  bytesRead = 0;

  #file;
  #isWrapped;
  /** What a gzipped file holds; a blob may lie on a disk, an array does not. */
  #parts = [];
  /** What is not in a blob yet: a blob for each small piece would cost more than the piece. */
  #loose = [];
  #looseBytes = 0;
  #plain;
  #held = 0;
  #lines = new LineStarts();
  #kind = "unknown";
  #head = [];
  #firstLeaf = 0;

  static async of(blob) {
    return new Evidence(blob, await startsAsGzip(blob));
  }

  constructor(blob, isWrapped) {
    this.#file = blob;
    this.#plain = blob;
    this.#isWrapped = isWrapped;
  }

  get bytesInAll() {
    return this.#file.size;
  }

  /** How many entries there are to show. */
  get count() {
    if (this.#kind === "proof") return 1;
    return this.#kind === "pack" ? Math.max(0, this.#lines.count - this.#firstLeaf) : 0;
  }

  /** The bytes of the file. */
  async *chunks() {
    for await (const chunk of readAll(this.#file.stream())) {
      this.bytesRead += chunk.length;
      yield chunk;
    }
  }

  /** Takes what the file holds, piece by piece. */
  take(plain) {
    if (plain.length === 0 || this.#held >= MAX_HELD_BYTES) return;
    this.#lines.take(plain);
    if (!this.#isWrapped) return;
    this.#held += plain.length;
    this.#loose.push(plain);
    this.#looseBytes += plain.length;
    if (this.#looseBytes >= PART_BYTES) this.#keepLoose();
  }

  #keepLoose() {
    this.#parts.push(new Blob(this.#loose));
    this.#loose = [];
    this.#looseBytes = 0;
  }

  /** What the evidence says about itself, for display. */
  async outline() {
    if (this.#isWrapped) {
      this.#keepLoose();
      this.#plain = new Blob(this.#parts);
    }
    const start = await this.#text(0, Math.min(this.#plain.size, MAX_SHOWN_BYTES));
    if (start.startsWith(PACK_START)) {
      this.#kind = "pack";
      await this.#readHead();
    } else if (holdsHeads(start)) {
      this.#kind = "checkpoints";
      this.#head = [start];
    } else if (PROOF_STARTS.some((known) => start.startsWith(known))) {
      this.#kind = "proof";
      this.#head = [start];
    }
    return { kind: this.#kind, head: this.#head, count: this.count, bytes: this.#plain.size };
  }

  /** The bytes that hold some of the entries, each with what they are part of. */
  async leaves(from, count) {
    if (this.#kind === "proof") return [{ kind: "proof", bytes: await this.#bytes(0, this.#plain.size) }];
    const first = this.#firstLeaf + from;
    const last = Math.min(first + count, this.#lines.count);
    const lines = [];
    for (let line = first; line < last; line += 1) {
      lines.push(this.#line(line).then((bytes) => ({ kind: "pack", bytes })));
    }
    return Promise.all(lines);
  }

  async #readHead() {
    let line = 0;
    while (line < this.#lines.count && this.#head.length < MAX_HEAD_LINES) {
      const text = new TextDecoder().decode(await this.#line(line));
      if (text.startsWith(LEAF_START)) break;
      if (text.startsWith(STATE_ENTRY_START)) {
        line += entriesIn(this.#head.at(-1));
      } else {
        this.#head.push(text);
        line += 1;
      }
    }
    this.#firstLeaf = line;
  }

  #line(line) {
    const [start, end] = this.#lines.span(line);
    return this.#bytes(start, Math.min(end ?? this.#plain.size, start + MAX_SHOWN_BYTES));
  }

  async #bytes(start, end) {
    return new Uint8Array(await this.#plain.slice(start, end).arrayBuffer());
  }

  async #text(start, end) {
    return new TextDecoder().decode(await this.#bytes(start, end));
  }
}

/** Whether a text is two checkpoints: notes, each with a line of signatures. */
function holdsHeads(text) {
  return !PROOF_STARTS.some((known) => text.startsWith(known)) && text.split(/\r?\n\r?\n\u2014 /).length > 2;
}

/** How many entries the line in front of them says that a state has. */
function entriesIn(line) {
  try {
    return Math.max(1, JSON.parse(line).state.entries);
  } catch {
    return 1;
  }
}

/** Where each line begins. */
class LineStarts {
  #starts = new Float64Array(FIRST_LINES);
  #count = 0;
  #size = 0;
  #atStart = true;

  get count() {
    return this.#count;
  }

  take(chunk) {
    let at = 0;
    while (at < chunk.length) {
      if (this.#atStart) this.#add(this.#size + at);
      const end = chunk.indexOf(LF, at);
      this.#atStart = end >= 0;
      at = end < 0 ? chunk.length : end + 1;
    }
    this.#size += chunk.length;
  }

  /** From where up to where; the last one ends with the evidence. */
  span(line) {
    return [this.#starts[line], line + 1 < this.#count ? this.#starts[line + 1] : null];
  }

  #add(start) {
    if (this.#count === this.#starts.length) {
      const more = new Float64Array(this.#starts.length * 2);
      more.set(this.#starts);
      this.#starts = more;
    }
    this.#starts[this.#count] = start;
    this.#count += 1;
  }
}

export async function startsAsGzip(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  return first === 0x1f && second === 0x8b;
}

export async function startsAsPack(blob) {
  return (await blob.slice(0, PACK_START.length).text()) === PACK_START;
}

export async function* readAll(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Whoever stops early wants no more of it.
    reader.cancel().catch(() => {});
  }
}
