// The evidence that the reader brings: a file, a text, or an address beside the page.

import { bytes } from "./format.js";
import { acceptDrops } from "./trust.js";

/** The name under which the address in the fragment stands. */
const ADDRESS = "evidence";

export class EvidencePanel {
  /** `{ blob, name }`, or null. It never changes: other evidence is another object. */
  given = null;

  #taken;
  /** Counts what was given or asked for: only the last counts. */
  #turn = 0;
  #at = (id) => document.getElementById(id);

  constructor(taken) {
    this.#taken = taken;
    this.#at("evidence-file").addEventListener("change", (event) => this.#choose(event.target));
    this.#at("paste-take").addEventListener("click", () => this.#takeText(this.#at("paste-text").value));
    acceptDrops(this.#at("drop"), (file) => this.take(ofFile(file)));
    addEventListener("paste", (event) => this.#onPaste(event));
    // A file that misses its place would otherwise replace the page.
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
  }

  /** Takes evidence, and says so. */
  take(given) {
    this.#turn += 1;
    this.given = Object.freeze(given);
    this.say(`${given.name}, ${bytes(given.blob.size)}.`);
    this.#taken(this.given);
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
    const [file] = input.files;
    input.value = "";
    if (file) this.take(ofFile(file));
  }

  #takeText(text) {
    if (text !== "") this.take({ blob: new Blob([text]), name: "Text that you pasted" });
  }

  #onPaste(event) {
    if (event.target.closest?.("textarea, input")) return;
    const [file] = event.clipboardData.files;
    if (file) this.take(ofFile(file));
    else this.#takeText(event.clipboardData.getData("text/plain"));
  }
}

/** What the fragment names, or null. */
export function addressIn({ hash }) {
  return new URLSearchParams(hash.slice(1)).get(ADDRESS);
}

/**
 * Fetches evidence from an address.
 *
 * Only from the origin of the page: an address in a link must not make a reader's browser ask anybody else.
 */
export async function fetchEvidence(address, { href }) {
  const url = new URL(address, href);
  if (url.origin !== new URL(href).origin) throw new Error("its address is of another host");
  const answer = await fetch(url, { cache: "no-store", credentials: "omit" });
  if (!answer.ok) throw new Error(`${url.pathname} answers ${answer.status}`);
  return { blob: await answer.blob(), name: `From this host, ${url.pathname}${url.search}` };
}

function ofFile(file) {
  return { blob: file, name: file.name };
}
