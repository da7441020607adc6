// What the reader brings: files, a text, or an address beside the page. What each file is, its content says.

import { announce } from "./dom.js";
import { bytes } from "./format.js";

/** The name under which the address in the fragment stands. */
const ADDRESS = "evidence";

/** How much of a file is looked at to tell what it is. */
const LOOKED_AT_BYTES = 300 * 1024;

export class EvidencePanel {
  /** `{ blob, name }`, or null. It never changes: other evidence is another object. */
  given = null;

  #taken;
  #others;
  /** The last two checkpoints, each `{ text, name }`, and the last consistency proof: together they are evidence. */
  #heads = [];
  #proof = null;
  /** Counts what was given or asked for: only the last counts. */
  #turn = 0;
  #at = (id) => document.getElementById(id);

  /**
   * `others` takes what is not evidence: `trust` and `certificate`, each a file. `checkpoint` gives that of the evidence which was
   * verified last, as `{ text, name }`, or null.
   */
  constructor(taken, others) {
    this.#taken = taken;
    this.#others = others;
    this.#at("evidence-file").addEventListener("change", (event) => this.#choose(event.target));
    this.#at("paste-take").addEventListener("click", () => this.#takeText(this.#at("paste-text").value));
    addEventListener("paste", (event) => this.#onPaste(event));
    this.#acceptDrops();
  }

  /** Takes evidence, and says so. */
  take(given) {
    this.#turn += 1;
    this.given = Object.freeze(given);
    this.sayGiven();
    this.#taken(this.given);
  }

  /** Says what is there. */
  sayGiven() {
    const { name, blob } = this.given;
    this.say(`${name}, ${bytes(blob.size)}.`);
  }

  /** Takes files, each for what it is. Trust and certificates come first, so that evidence finds them. */
  async takeFiles(files) {
    const turn = this.#turn;
    const kinds = await Promise.all(files.map(kindOf));
    if (turn !== this.#turn) return;
    const of = (kind) => files.filter((_, at) => kinds[at] === kind);
    for (const file of of("certificate")) await this.#others.certificate(file);
    for (const file of of("trust")) await this.#others.trust(file);
    if (of("checkpoint").length + of("consistency").length > 0) return this.#takeHeads(of("checkpoint"), of("consistency"));
    const evidence = of("evidence");
    if (evidence.length > 1) announce(`Only the last of ${evidence.length} pieces of evidence is used`);
    if (evidence.length > 0) this.take(ofFile(evidence.at(-1)));
  }

  /**
   * Takes checkpoints and the proof that goes with two of them. One alone is compared with the one that was brought before, or
   * with that of the evidence that is there.
   */
  async #takeHeads(files, proofs) {
    const turn = this.#turn;
    const read = await Promise.all([...files, ...proofs].map(exactText));
    if (turn !== this.#turn) return;
    const own = this.#heads.length === 0 ? this.#others.checkpoint() : null;
    const brought = files.map(({ name }, at) => ({ text: read[at], name }));
    const all = [...this.#heads, own, ...brought].filter(Boolean);
    this.#heads = all.filter(({ text }, at) => all.findLastIndex((other) => other.text === text) === at).slice(-2);
    if (proofs.length > 0) this.#proof = { text: read.at(-1), name: proofs.at(-1).name };
    const isGiven = proofs.length > 0 || fits(this.#proof, this.#heads);
    const parts = [...this.#heads, this.#heads.length === 2 && isGiven && this.#proof].filter(Boolean);
    if (parts.length === 0) {
      this.refuse(`${this.#proof.name} is a consistency proof. Bring the two checkpoints that it is about`);
      return;
    }
    this.take({ blob: new Blob(parts.map(({ text }) => text)), name: parts.map(({ name }) => name).join(", ") });
  }

  /** Evidence is to come: what was there is not what is asked about any more. */
  expect(name) {
    this.#turn += 1;
    this.given = null;
    this.say(`Fetching ${name}…`);
    return this.#turn;
  }

  /** Whether nothing else was given or asked for since. */
  isStill(turn) {
    return this.#turn === turn;
  }

  say(text) {
    this.#at("evidence-origin").textContent = text;
  }

  /** There was to be evidence, and there is none. */
  refuse(why) {
    this.given = null;
    this.say(`There is no evidence: ${why}.`);
  }

  #choose(input) {
    const files = [...input.files];
    input.value = "";
    if (files.length > 0) this.takeFiles(files);
  }

  #takeText(text) {
    if (text !== "") this.takeFiles([new File([text], "Text that you pasted")]);
  }

  #onPaste(event) {
    if (event.target.closest?.("textarea, input")) return;
    const files = [...event.clipboardData.files];
    if (files.length > 0) this.takeFiles(files);
    else this.#takeText(event.clipboardData.getData("text/plain"));
  }

  /** A file may be dropped anywhere: one that missed its place would replace the page. */
  #acceptDrops() {
    const isOver = (is) => document.documentElement.classList.toggle("is-over", is);
    addEventListener("dragover", (event) => { event.preventDefault(); isOver(event.dataTransfer.types.includes("Files")); });
    addEventListener("dragleave", (event) => { if (event.relatedTarget === null) isOver(false); });
    addEventListener("drop", (event) => {
      event.preventDefault();
      isOver(false);
      const files = [...event.dataTransfer.files];
      if (files.length > 0) this.takeFiles(files);
    });
  }
}

/** What the fragment names, or null. */
export function addressIn({ hash }) {
  return new URLSearchParams(hash.slice(1)).get(ADDRESS);
}

/**
 * Fetches evidence from an address, and tells how much of it has come.
 *
 * Only from the origin of the page: an address in a link must not make a reader's browser ask anybody else.
 */
export async function fetchEvidence(address, { href }, onProgress) {
  const url = new URL(address, href);
  if (url.origin !== new URL(href).origin) throw new Error("its address is of another host");
  const answer = await fetch(url, { cache: "no-store", credentials: "omit" });
  if (!answer.ok) throw new Error(`${url.pathname} answers ${answer.status}`);
  const length = Number(answer.headers.get("content-length")) || null;
  const parts = [];
  let read = 0;
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    read += value.length;
    onProgress?.({ read, of: length });
  }
  return { blob: new Blob(parts), name: `From this host, ${url.pathname}${url.search}` };
}

/** What a file is, by its content. What is neither of the others goes to the verifier, which says what it is. */
async function kindOf(file) {
  if (file.size > LOOKED_AT_BYTES) return "evidence";
  const text = (await file.text()).trimStart();
  if (!text.startsWith("{")) return isHead(text) ? "checkpoint" : "evidence";
  if (isConsistency(text)) return "consistency";
  if (/^\{[^{]*"certificate"\s*:\s*"dragons\.certificate\//.test(text) || text.includes('"dragons.certificate/v1"')) return "certificate";
  return /"policy"\s*:/.test(text) && /"charter"\s*:/.test(text) && !text.startsWith('{"pack"') ? "trust" : "evidence";
}

/** The text of a file with all that it has, also a byte order mark: what is verified are the bytes that were given. */
async function exactText(file) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await file.arrayBuffer());
}

/** Whether a text is one checkpoint, and no proof file, which ends with one. */
function isHead(text) {
  return !text.startsWith("c2sp.org/") && text.split(/\r?\n\r?\n\u2014 /).length === 2;
}

/** Whether a proof is one between the sizes of two checkpoints. */
function fits(proof, heads) {
  if (proof === null || heads.length !== 2) return false;
  const sizes = heads.map(({ text }) => sizeOf(text)).sort((one, other) => one - other);
  const { old, new: newer } = JSON.parse(proof.text);
  return (old.size ?? old) === sizes[0] && (newer.size ?? newer) === sizes[1];
}

/** The size that a checkpoint names. */
function sizeOf(text) {
  return Number(text.split("\n", 2)[1]);
}

/** The sizes of two checkpoints in one text, the smaller one first. */
export function sizesIn(text) {
  const sizes = [...text.matchAll(/^[^\n]+\n(\d+)\n[^\n]+\n(?:[^\n]+\n)*\n\u2014 /gm)].map(([, size]) => Number(size));
  return sizes.sort((one, other) => one - other);
}

function isConsistency(text) {
  try {
    const { old, new: newer, hashes } = JSON.parse(text);
    return Array.isArray(hashes) && old !== undefined && newer !== undefined;
  } catch {
    return false;
  }
}

function ofFile(file) {
  return { blob: file, name: file.name };
}
