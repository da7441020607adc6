// The entries of the evidence, decoded, a page at a time: by agent, kind, signer, time, and from finding to finding.

import { announce, button, el, fill, hash, row } from "./dom.js";
import { count, time } from "./format.js";
import { pathOf } from "./path.js";

const SHOWN_AT_ONCE = 20;

/** What looks like a digest, a key or a signature is shown whole, and can be copied. */
const HASH = /^(sha256:[0-9a-f]{64}|[0-9a-f]{32}|[A-Za-z0-9+/]{42,}={0,2})$/;

/** The members of a record that name another one. */
const LINKS = ["prev", "before", "lease", "parents", "parent", "intent", "goal", "after", "previous", "replaces"];

const KINDS = ["charter", "manifest", "lease", "lease-renewal", "lease-revocation", "order", "heartbeat", "receipt", "transition",
  "refusal", "pulse", "observation"];

export class Records {
  /** The section that shows them. */
  section;

  #thread;
  #run;
  #count;
  #keys;
  #bench;
  #report;
  #hasPaths;
  #first = 0;
  #found;
  #list = el("ol", { class: "records" });
  #pager = el("div", { class: "pager" });

  constructor({ thread, run, count: number, kind }, report, keys, bench) {
    [this.#thread, this.#run, this.#count, this.#keys, this.#bench, this.#report] = [thread, run, number, keys, bench, report];
    this.#hasPaths = kind === "pack" && report.as_of.size !== null;
    this.#found = [...new Set(report.findings.map(({ index }) => index).filter((index) => index !== null))];
    this.section = el("section", { id: "report-records", "aria-labelledby": "report-records-title" },
      el("h2", { id: "report-records-title" }, count(number, "entry", "entries")),
      el("p", {}, note(report)), number > SHOWN_AT_ONCE / 4 && this.#filters(), this.#pager, this.#list);
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
    fill(this.#list, ...entries.map((entry, at) => this.#item(entry, first + at)));
    this.#showPager();
  }

  /** The form that narrows the list. */
  #filters() {
    const field = (name, label, input) => el("label", {}, el("span", {}, label), filled(input, { name }));
    const select = (name, label, options) => field(name, label,
      el("select", {}, el("option", { value: "" }, "any"), ...options.map(([value, text]) => el("option", { value }, text))));
    const signers = el("select", { name: "signer" }, el("option", { value: "" }, "anybody"));
    const form = el("form", { class: "filters", role: "search", "aria-label": "Find entries" },
      select("kind", "Kind", KINDS.map((kind) => [kind, kind])),
      field("agent", "Agent", el("input", { autocomplete: "off", spellcheck: "false" })),
      el("label", {}, el("span", {}, "Signed by"), signers),
      field("text", "Holds the text or hash", el("input", { autocomplete: "off", spellcheck: "false" })),
      field("since", "From (UTC)", el("input", { type: "datetime-local", step: "1" })),
      field("before", "Before (UTC)", el("input", { type: "datetime-local", step: "1" })),
      this.#found.length > 0 && el("label", { class: "choice" }, el("input", { type: "checkbox", name: "found" }), el("span", {}, "With findings only")),
      el("button", { type: "submit" }, "Find"), el("button", { type: "reset" }, "All"));
    signers.addEventListener("focus", () => {
      if (signers.options.length > 1) return;
      for (const keyid of this.#keys.signers) signers.append(el("option", { value: keyid }, this.#keys.name(keyid)));
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); this.#find(new FormData(form), 0); });
    form.addEventListener("reset", () => this.#show(0));
    return form;
  }

  async #find(data, from) {
    const at = (name) => (data.get(name) ? Date.parse(`${data.get(name)}Z`) : null);
    const filter = { kind: data.get("kind"), agent: data.get("agent").trim(), signer: data.get("signer"), text: data.get("text").trim(),
      since: at("since"), before: at("before"), indices: data.get("found") ? this.#found : null };
    const { found, more } = await this.#thread.ask("search", { run: this.#run, from, count: SHOWN_AT_ONCE, filter });
    fill(this.#list, ...found.map((entry) => this.#item(entry, entry.place)));
    const said = `${count(found.length, "entry", "entries")} found${more === null ? "" : " so far"}`;
    fill(this.#pager, el("span", {}, said), more !== null && button("Find more", () => this.#find(data, more)));
    announce(said);
  }

  #showPager() {
    if (this.#count <= SHOWN_AT_ONCE) return fill(this.#pager);
    const last = Math.min(this.#first + SHOWN_AT_ONCE, this.#count);
    const to = (place) => () => this.#show(Math.max(0, place));
    const back = button("Earlier", to(this.#first - SHOWN_AT_ONCE), this.#first === 0 ? { disabled: true } : {});
    const on = button("Later", to(last), last === this.#count ? { disabled: true } : {});
    const wanted = el("input", { type: "number", min: "0", step: "1", "aria-label": "Index of the entry to go to", placeholder: "index" });
    const go = button("Go", () => this.#go(wanted));
    wanted.addEventListener("keydown", (event) => { if (event.key === "Enter") go.click(); });
    return fill(this.#pager, back, on, el("span", {}, `${this.#first + 1} to ${last} of ${this.#count}`), wanted, go,
      this.#found.length > 0 && button("Next finding", () => this.#nextFinding()));
  }

  #go(wanted) {
    const isIndex = /^\d+$/.test(wanted.value);
    wanted.setAttribute("aria-invalid", String(!isIndex));
    if (isIndex) this.open(Number(wanted.value));
    else announce("An index is a whole number, such as 12");
  }

  #nextFinding() {
    const open = this.#list.querySelector("details[open]");
    const here = open ? Number(open.dataset.index) : -1;
    this.open(this.#found.find((index) => index > here) ?? this.#found[0]);
  }

  #item(entry, place) {
    if (entry.refused !== undefined) return unreadable(entry);
    const details = el("details", { "data-index": String(entry.index) }, summaryOf(entry));
    details.addEventListener("toggle", () => {
      if (details.childElementCount === 1) details.append(this.#body(entry, place));
    });
    return el("li", { class: this.#found.includes(entry.index) && "marked" }, details);
  }

  #body(entry, place) {
    const facts = el("dl", { class: "facts" },
      ...row("Record", hash(entry.record, "the record's hash")),
      ...row("Leaf hash", hash(entry.leaf_hash, "the leaf hash")),
      ...row("Received", `${time(entry.received_ms)} (${entry.received_ms})`),
      ...signatureRows(entry, this.#keys));
    return el("div", { class: "body" }, facts, el("h3", {}, "What it says"),
      tree(entry.payload, "value", (record) => this.#openRecord(record)), el("div", { class: "actions" },
        button("Put it on the bench", async () => {
          await this.#bench.show(place);
          this.#bench.section.querySelector("h2").focus();
          this.#bench.section.scrollIntoView({ block: "start" });
        })), this.#hasPaths && this.#pathButton(entry.index));
  }

  /** Goes to the record of a hash. */
  async #openRecord(record) {
    const { found } = await this.#thread.ask("search", { run: this.#run, from: 0, count: 1, filter: { record } });
    if (found.length > 0) this.open(found[0].index);
    else announce("That record is not in this evidence");
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

/** Who signed an entry. */
export function signatureRows({ envelope }, keys = null) {
  return envelope.signatures.flatMap(({ keyid, sig }) => [
    ...row("Signed by", keys?.shown(keyid) ?? hash(keyid, "the key's name")), ...row("Signature", hash(sig, "the signature"))]);
}

function note(report) {
  return report.verdict === "failed"
    ? "As they are in the evidence. There is a problem with it, so what they say may be false."
    : "Decoded as the verifier read them.";
}

function filled(input, attributes) {
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
  return input;
}

/** What the line of an entry says of it: whom it is about, what it does, and what came of it. */
const TOLD = ["agent", "phase", "title", "scope", "status", "verdict", "to", "code", "reason"];

function summaryOf({ index, kind, payload, received_ms: receivedMs }) {
  const about = TOLD.map((member) => payload[member]).filter((text) => typeof text === "string").join(" · ");
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

/** A value as nested lists. All of it is text. `open` goes to the record that a member names. */
export function tree(value, name = "value", open = null) {
  if (Array.isArray(value)) {
    return value.length === 0 ? "none" : el("ol", { class: "tree" }, ...value.map((item) => el("li", {}, tree(item, name, open))));
  }
  if (value === null) return "none";
  if (typeof value === "object") {
    const members = Object.entries(value);
    if (members.length === 0) return "none";
    return el("dl", { class: "facts tree" }, ...members.flatMap(([key, item]) => row(key, tree(item, key, open))));
  }
  if (typeof value === "number" && name.endsWith("_ms") && value > 1e12) return `${value} (${time(value)})`;
  if (open && LINKS.includes(name) && String(value).startsWith("sha256:")) {
    return el("span", { class: "linked" }, hash(value, name), button("Go to it", () => open(value), { class: "copy" }));
  }
  return HASH.test(value) ? hash(value, name) : String(value);
}
