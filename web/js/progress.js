// How far a long piece of work is: in a bar that stays in sight, in the title of the page, and spoken at each quarter.

import { announce, el, fill } from "./dom.js";
import { bytes } from "./format.js";

/** Before this the rate says little. */
const SETTLES_MS = 700;

export class Progress {
  #at = (id) => document.getElementById(`run${id}`);
  #title = document.title;
  #what = "";
  #began = 0;
  #quarter = 0;

  constructor(cancel) {
    this.#at("-cancel").addEventListener("click", cancel);
  }

  /** Begins work of so many bytes, if they are known. */
  start(what, of = null) {
    this.#what = what;
    this.#began = performance.now();
    this.#quarter = 0;
    this.#at("-title").textContent = what;
    this.#at("-cancel").hidden = what !== "Verifying";
    this.#at("").hidden = false;
    this.show({ read: 0, of });
  }

  show({ read, of }) {
    const bar = this.#at("-bar");
    bar.max = Math.max(of ?? 1, 1);
    if (of === null) bar.removeAttribute("value");
    else bar.value = read;
    const percent = of ? Math.floor((read / of) * 100) : null;
    fill(this.#at("-text"), el("span", {}, this.#told(read, of)));
    document.title = percent === null ? `${this.#what} · ${this.#title}` : `${percent} % · ${this.#title}`;
    const quarter = Math.floor((percent ?? 0) / 25);
    if (quarter > this.#quarter && quarter < 4) announce(`${quarter * 25} percent`);
    this.#quarter = quarter;
  }

  end() {
    this.#at("").hidden = true;
    document.title = this.#title;
  }

  #told(read, of) {
    const spent = performance.now() - this.#began;
    const known = of === null ? bytes(read) : `${bytes(read)} of ${bytes(of)}`;
    if (spent < SETTLES_MS || read === 0) return known;
    const rate = read / (spent / 1000);
    const left = of === null ? "" : `, about ${Math.max(1, Math.ceil((of - read) / rate))} s left`;
    return `${known}, ${bytes(Math.round(rate))} a second${left}`;
  }
}
