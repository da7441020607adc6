// The evidence bench: one entry as bytes, as what they mean, and as its way to the root. Pointing at one lights up the others.
// A byte can be changed, in a copy: the verifier follows the changed bytes at each key.

import { announce, button, el, fill } from "./dom.js";
import { count } from "./format.js";
import { leadsAway, pathOf } from "./path.js";
import { signatureRows, tree } from "./records.js";

export class Bench {
  section;

  #result;
  #head;
  #keys;
  #at = 0;
  #choice = el("select", { "aria-label": "Entry on the bench" });
  #bench = el("div", { class: "bench" });

  constructor(result, keys) {
    this.#result = result;
    this.#keys = keys;
    this.#head = headOf(result);
    this.#bench.addEventListener("pointerover", (event) => light(this.#bench, event.target));
    this.#bench.addEventListener("focusin", (event) => light(this.#bench, event.target));
    this.section = el("section", { id: "report-bench", "aria-labelledby": "report-bench-title" },
      el("h2", { id: "report-bench-title", tabindex: "-1" }, "From the bytes of an entry to the signed root"),
      el("p", {}, "The bytes that the log has, what they mean, and how they lead to the root.",
        el("span", { class: "how" }, " Point at a part, and the same part lights up in the other panes. To see another entry here, choose it in the list below.")),
      this.#bench);
  }

  /** Puts an entry there by itself: the first that something was found at, or the last. */
  async begin({ findings }) {
    const { thread, run, count: entries } = this.#result;
    const found = findings.find(({ index }) => index !== null);
    const place = found ? await thread.ask("place", { run, index: found.index }) : null;
    await this.show(place ?? entries - 1).catch(() => this.section.remove());
  }

  /** Puts the entry at a place of the evidence on the bench. */
  async show(place) {
    this.#at = place;
    const { thread, run } = this.#result;
    const [entry] = await thread.ask("entries", { run, from: place, count: 1 });
    const leaf = leafIn(await thread.ask("bytes", { run, place }));
    const index = entry.index ?? this.#head.index;
    const trace = await this.#trace(leaf, index);
    const where = this.#head.size === null ? null : { index, size: this.#head.size, root: this.#head.root };
    if (this.#at !== place) return;
    fill(this.#bench, ...this.#panes(entry, leaf, trace, where));
  }

  /** The verifier's steps; those of a file that leads elsewhere too. */
  async #trace(leaf, index) {
    const { thread, run, kind } = this.#result;
    try {
      if (kind === "pack") return await thread.ask("path", { run, index });
      return await this.#follow(leaf, this.#head.hashes);
    } catch (error) {
      return String(error.message);
    }
  }

  #follow(leaf, hashes) {
    const { index, size } = this.#head;
    return this.#result.thread.ask("pathFrom", { leaf: bytesOf(leaf), index, size, hashes: hashes.join(" ") });
  }

  #panes(entry, leaf, trace, where) {
    const hasTrace = typeof trace !== "string";
    const way = el("div", { class: "way" });
    fill(way, hasTrace ? pathOf(trace, where) : el("p", { class: "soft" }, `No path can be drawn: ${trace}.`));
    return [
      el("p", { class: "on-bench" }, `Entry ${entry.index ?? where?.index ?? ""}`,
        entry.kind && `, ${entry.kind}`, where && ` of ${count(where.size, "entry", "entries")}`),
      el("div", { class: "panes" },
        el("div", { class: "pane" }, el("h3", {}, "Bytes"), el("p", { class: "soft" }, "As the log has them. The signed part is underlined."), leafBytes(leaf)),
        el("div", { class: "pane" }, el("h3", {}, "Meaning"), meaning(entry, this.#keys))),
      hasTrace && where && this.#alteration(leaf, trace, where, way),
      el("h3", {}, "Path"), way,
    ];
  }

  /** A frame in which a copy of the bytes can be changed. */
  #alteration(leaf, trace, where, way) {
    const text = el("textarea", { rows: "6", spellcheck: "false", "aria-label": "A copy of the entry's bytes, to be changed", id: "altered-bytes" });
    const said = el("p", { class: "said", role: "status" });
    const frame = el("div", { class: "altered", hidden: true }, el("p", { class: "by" }, "Altered by you: this is a copy, not the evidence."), text, said);
    const siblings = trace.slice(1).map(({ sibling, left, right }) => (sibling === "left" ? left : right));
    const follow = async () => {
      const changed = text.value;
      const steps = await this.#result.thread.ask("pathFrom", { leaf: bytesOf(changed), index: where.index, size: where.size, hashes: siblings.join(" ") });
      if (text.value !== changed) return;
      fill(way, pathOf(steps, where, trace));
      const isOff = leadsAway(steps, where);
      frame.classList.toggle("is-off", isOff);
      said.textContent = isOff
        ? `Fails. From the leaf hash on every step differs, and the last is not the root that the log signed.${differs(leaf, changed)}`
        : "Holds. These are the bytes that the log has.";
    };
    text.addEventListener("input", follow);
    const toggle = button("Change a byte", () => {
      frame.hidden = false;
      toggle.hidden = true;
      repair.hidden = false;
      text.value = leaf;
      follow();
      text.focus();
    });
    const repair = button("Repair", () => {
      frame.hidden = true;
      repair.hidden = true;
      toggle.hidden = false;
      fill(way, pathOf(trace, where));
      announce("The bytes are those of the evidence again");
      toggle.focus();
    }, { hidden: true });
    return el("div", { class: "alteration" }, frame, el("div", { class: "actions" }, toggle, repair));
  }
}

function differs(leaf, changed) {
  let at = 0;
  while (at < leaf.length && leaf[at] === changed[at]) at += 1;
  return leaf === changed ? "" : ` The first changed byte is number ${at}.`;
}

/** Lights up whatever has the same part, and the leaf hash, which all bytes go into. */
function light(bench, target) {
  const part = target.closest?.("[data-part]")?.dataset.part;
  const isOfLeaf = part && !/^(leaf|level-)/.test(part);
  for (const one of bench.querySelectorAll("[data-part]")) {
    const own = one.dataset.part;
    one.classList.toggle("lit", own === part || (isOfLeaf && own === "leaf"));
  }
}

/** The text of the leaf in a line of a pack or in a proof file. */
function leafIn(text) {
  if (text.startsWith("{")) return JSON.parse(text).leaf;
  const extra = /^extra (\S+)$/m.exec(text);
  return new TextDecoder().decode(Uint8Array.from(atob(extra[1]), (byte) => byte.charCodeAt(0)));
}

/** What the head of the evidence says: size and root of its checkpoint, and of a proof file its index and hashes. */
function headOf({ head, kind }) {
  const none = { size: null, root: null, index: null, hashes: [] };
  try {
    if (kind === "proof") {
      const [proof, note] = [head[0].slice(0, head[0].indexOf("\n\n")), head[0].slice(head[0].indexOf("\n\n") + 2)];
      const lines = proof.split("\n").filter((line) => !/^(c2sp\.org|extra )/.test(line));
      return { ...rootIn(note), index: Number(lines[0].slice("index ".length)), hashes: lines.slice(1) };
    }
    const line = head.find((one) => one.startsWith('{"checkpoint":'));
    return { ...none, ...rootIn(JSON.parse(line).checkpoint) };
  } catch {
    return none;
  }
}

function rootIn(note) {
  const [, size, root] = note.split("\n");
  return { size: Number(size), root };
}

/** The leaf, cut where its parts begin and end. */
function leafBytes(leaf) {
  const cuts = /("received_ms":)(\d+)|("payloadType":)("[^"]*")|("payload":)("[^"]*")|("keyid":)("[^"]*")|("sig":)("[^"]*")/g;
  const spans = [];
  let at = 0;
  for (const found of leaf.matchAll(cuts)) {
    const [name, value] = found.slice(1).filter((text) => text !== undefined);
    const from = found.index + name.length;
    spans.push(leaf.slice(at, from), el("span", { "data-part": PARTS[name], tabindex: "0" }, value));
    at = from + value.length;
  }
  spans.push(leaf.slice(at));
  return el("pre", { class: "bytes", tabindex: "0" }, ...spans);
}

const PARTS = { '"received_ms":': "received", '"payloadType":': "kind", '"payload":': "payload", '"keyid":': "signature", '"sig":': "signature" };

function meaning(entry, keys) {
  if (entry.refused !== undefined) return el("p", {}, `The entry cannot be read: ${entry.refused}.`);
  return el("div", { class: "meaning" },
    el("dl", { class: "facts", "data-part": "received" }, el("dt", {}, "Received"), el("dd", {}, String(entry.received_ms))),
    el("dl", { class: "facts", "data-part": "kind" }, el("dt", {}, "Kind"), el("dd", {}, entry.kind)),
    el("div", { "data-part": "payload" }, tree(entry.payload)),
    el("dl", { class: "facts", "data-part": "signature" }, ...signatureRows(entry, keys)));
}

function bytesOf(text) {
  return new TextEncoder().encode(text);
}
