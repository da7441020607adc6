// The entries of the evidence, decoded, a page at a time.

import { announce, button, el, fill, hash, row } from "./dom.js";
import { count, time } from "./format.js";
import { pathOf } from "./path.js";

const SHOWN_AT_ONCE = 20;

/** What looks like a digest, a key or a signature is shown whole, and can be copied. */
const HASH = /^(sha256:[0-9a-f]{64}|[0-9a-f]{32}|[A-Za-z0-9+/]{42,}={0,2})$/;

export class Records {
  /** The section that shows them. */
  section;

  #thread;
  #run;
  #count;
  #hasPaths;
  #first = 0;
  #marked;
  #list = el("ol", { class: "records" });
  #pager = el("div", { class: "pager" });

  constructor({ thread, run, count: number, kind }, report) {
    this.#thread = thread;
    this.#run = run;
    this.#count = number;
    const isIncluded = report.checks.some(({ id, status }) => id === "inclusion" && status === "pass");
    this.#hasPaths = kind === "pack" && isIncluded;
    this.#marked = new Set(report.findings.map(({ index }) => index));
    this.section = el("section", { id: "report-records", "aria-labelledby": "report-records-title" },
      el("h2", { id: "report-records-title" }, count(number, "entry", "entries")),
      el("p", {}, note(report)), this.#pager, this.#list);
    if (number > 0) this.#show(0);
  }

  /** Goes to the entry of an index, opens it, and puts the focus there. */
  async open(index) {
    const place = await this.#thread.ask("place", { run: this.#run, index });
    if (place === null) {
      announce(`Entry ${index} is not in this evidence`);
      return;
    }
    await this.#show(place - (place % SHOWN_AT_ONCE));
    const details = this.#list.children[place % SHOWN_AT_ONCE].querySelector("details");
    details.open = true;
    const summary = details.querySelector("summary");
    summary.focus();
    summary.scrollIntoView({ block: "start" });
  }

  async #show(first) {
    const entries = await this.#thread.ask("entries", { run: this.#run, from: first, count: SHOWN_AT_ONCE });
    this.#first = first;
    fill(this.#list, ...entries.map((entry) => this.#item(entry)));
    this.#showPager();
  }

  #showPager() {
    if (this.#count <= SHOWN_AT_ONCE) return;
    const last = Math.min(this.#first + SHOWN_AT_ONCE, this.#count);
    const to = (place) => () => this.#show(Math.max(0, place));
    const back = button("Earlier", to(this.#first - SHOWN_AT_ONCE), this.#first === 0 ? { disabled: true } : {});
    const on = button("Later", to(last), last === this.#count ? { disabled: true } : {});
    const wanted = el("input", { inputmode: "numeric", "aria-label": "Index of the entry to go to", placeholder: "index" });
    const go = button("Go", () => this.open(Number(wanted.value)));
    wanted.addEventListener("keydown", (event) => { if (event.key === "Enter") go.click(); });
    fill(this.#pager, back, on, el("span", {}, `${this.#first + 1} to ${last} of ${this.#count}`), wanted, go);
  }

  #item(entry) {
    if (entry.refused !== undefined) return unreadable(entry);
    const details = el("details", { "data-index": String(entry.index) }, summaryOf(entry));
    details.addEventListener("toggle", () => {
      if (details.childElementCount === 1) details.append(this.#body(entry));
    });
    return el("li", { class: this.#marked.has(entry.index) && "marked" }, details);
  }

  #body(entry) {
    const facts = el("dl", { class: "facts" },
      ...row("Record", hash(entry.record, "the record's hash")),
      ...row("Leaf hash", hash(entry.leaf_hash, "the leaf hash")),
      ...row("Received", `${time(entry.received_ms)} (${entry.received_ms})`),
      ...entry.envelope.signatures.flatMap(({ keyid, sig }) => [
        ...row("Signed by key", hash(keyid, "the key's name")), ...row("Signature", hash(sig, "the signature"))]));
    return el("div", { class: "body" }, facts, el("h3", {}, "What it says"), tree(entry.payload),
      this.#hasPaths && this.#pathButton(entry.index));
  }

  #pathButton(index) {
    const place = el("div", {});
    place.append(button("Show its path to the root", async () => {
      const trace = await this.#thread.ask("path", { run: this.#run, index });
      const title = el("h3", { tabindex: "-1" }, `From entry ${index} to the root`);
      fill(place, title, pathOf(trace));
      title.focus();
    }));
    return place;
  }
}

function note(report) {
  return report.verdict === "failed"
    ? "As they stand in the evidence. There is a problem with it: what they say may be false."
    : "Decoded as the verifier read them.";
}

function summaryOf({ index, kind, payload, received_ms: receivedMs }) {
  const about = [payload.agent, payload.phase, payload.to].filter((text) => typeof text === "string").join(" · ");
  return el("summary", {},
    el("span", { class: "index" }, String(index)), " ",
    el("span", { class: "kind" }, kind), " ",
    el("span", {}, about), " ",
    el("span", { class: "when" }, time(receivedMs)));
}

function unreadable({ refused, text }) {
  return el("li", {}, el("details", {},
    el("summary", {}, el("span", { class: "kind" }, "Cannot be read"), el("span", {}, refused)),
    el("pre", { class: "raw", tabindex: "0" }, text)));
}

/** A value as nested lists. All of it is text. */
function tree(value, name = "value") {
  if (Array.isArray(value)) {
    return value.length === 0 ? "none" : el("ol", { class: "tree" }, ...value.map((item) => el("li", {}, tree(item, name))));
  }
  if (value === null) return "none";
  if (typeof value === "object") {
    const members = Object.entries(value);
    if (members.length === 0) return "none";
    return el("dl", { class: "facts tree" }, ...members.flatMap(([key, item]) => row(key, tree(item, key))));
  }
  if (typeof value === "number" && name.endsWith("_ms") && value > 1e12) return `${value} (${time(value)})`;
  return HASH.test(value) ? hash(value, name) : String(value);
}
