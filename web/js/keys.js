// The names of keys: a charter names those of people and services, a manifest that of an agent. Where the verifier has
// checked the signatures, the names are the charter's word; otherwise they are what the evidence says.

import { el } from "./dom.js";

/** A pack brings its authority records early; so many entries are looked through. */
const LOOKED_THROUGH = 5000;

export class Keys {
  #thread;
  #run;
  #names = new Map();
  #signers = new Map();

  constructor(thread, run) {
    this.#thread = thread;
    this.#run = run;
  }

  /** Reads the names from charters and manifests, and who signed how much. */
  async load(count) {
    for (let from = 0; from < Math.min(count, LOOKED_THROUGH); from += 200) {
      const entries = await this.#thread.ask("entries", { run: this.#run, from, count: 200 });
      for (const entry of entries) if (entry.refused === undefined) await this.#take(entry);
    }
  }

  /** A key as people read it: its name if it has one, the digits beside. */
  shown(keyid) {
    const known = this.#names.get(keyid);
    return el("span", { class: "key" }, known && el("span", { class: "key-name" }, known.name, " "), el("code", {}, keyid));
  }

  /** The name of a key, or its digits. */
  name(keyid) {
    return this.#names.get(keyid)?.name ?? keyid;
  }

  /** All keys that signed something here, by how much. */
  get signers() {
    return [...this.#signers].sort(([, one], [, other]) => other - one).map(([keyid]) => keyid);
  }

  /** Says behind the answer about signatures who signed: name, role, fingerprint. */
  async sayWho(verdict, report) {
    const answer = verdict.querySelector('[data-answer="signed"] .why');
    if (!answer || this.#signers.size === 0) return;
    const isChecked = report.checks.some(({ id, status }) => id === "signatures" && status === "pass");
    const known = this.signers.filter((keyid) => this.#names.has(keyid));
    const prints = await this.#thread.ask("fingerprints", { keys: known.map((keyid) => this.#names.get(keyid).key) });
    const rows = known.map((keyid, at) => {
      const { name, roles } = this.#names.get(keyid);
      return el("li", {}, el("b", {}, name), `, ${roles.join(" and ")}, `, el("span", { class: "digits" }, prints[at]),
        ` signed ${this.#signers.get(keyid)}`);
    });
    if (rows.length === 0) return;
    const lead = isChecked ? "Who signed, by the charter and the manifests" : "Who signed, by what the evidence says";
    answer.append(el("details", { class: "who" }, el("summary", {}, lead), el("ul", {}, ...rows)));
  }

  async #take({ kind, payload, envelope }) {
    for (const { keyid } of envelope.signatures) this.#signers.set(keyid, (this.#signers.get(keyid) ?? 0) + 1);
    const brought = kind === "charter" ? payload.keys
      : kind === "manifest" ? [{ key: payload.key, name: payload.agent, roles: ["agent"] }] : [];
    if (brought.length === 0) return;
    const ids = await this.#thread.ask("keyids", { keys: brought.map(({ key }) => key) });
    brought.forEach(({ key, name, roles }, at) => this.#names.set(ids[at], { key, name, roles }));
  }
}
