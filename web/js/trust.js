// Whom the reader trusts. It comes from the reader, or from where the page says; never from evidence.

import { el, fill, hash, row } from "./dom.js";

const NONE = Object.freeze({ text: "", origin: "Nobody yet: without trust there is no verdict.", from: "nobody" });

/** Where a service or a host may put its own trust file: beside the page. */
const HOST_FILE = "trust.json";

/** What the lines of a policy are called, c2sp.org/tlog-policy. */
const LINES = { log: "Log", witness: "Witness", group: "Group", quorum: "Quorum" };

export class TrustPanel {
  #thread;
  #changed;
  #trust = NONE;
  #own = NONE;
  #fault = "";
  /** Counts what was given or asked for: only the last counts. */
  #turn = 0;
  /** From whom the trust is that is being read, or null. */
  #coming = null;
  #at = (id) => document.getElementById(`trust-${id}`);

  constructor(thread, changed) {
    this.#thread = thread;
    this.#changed = changed;
    this.#at("text").addEventListener("change", () => this.#edited());
    this.#at("file").addEventListener("change", (event) => this.#choose(event.target));
    this.#at("host").addEventListener("click", () => this.askHost());
    this.#at("back").addEventListener("click", () => this.leaveSamples());
    acceptDrops(document.getElementById("trust"), (file) => this.#takeFile(file));
    this.#show();
  }

  /** `{ text, origin }`. It never changes: another trust is another object. */
  get current() {
    return this.#trust;
  }

  isEmpty() {
    return this.#trust.text === "" && this.#coming === null;
  }

  isSound() {
    return this.#trust.text !== "" && this.#fault === "" && this.#coming === null;
  }

  /** Whether the reader has brought it, or is about to. */
  isOwn() {
    return (this.#coming ?? this.#trust.from) === "reader";
  }

  /** The samples' trust serves for samples alone. Says whether it is there. */
  takeSample(text) {
    const origin = "It came with this page, for its samples alone. It says nothing about any log of yours.";
    return this.#take("samples", () => ({ text, origin }));
  }

  /** Gives back what was there before a sample was tried. */
  async leaveSamples() {
    if ((this.#coming ?? this.#trust.from) === "samples") await this.#take(this.#own.from, () => this.#own);
  }

  /** Takes the trust file beside the page. The host that serves both could be the one that lies. */
  async askHost() {
    const origin = `From ${location.host || "the host"}, which also served this page. Compare the fingerprint with what you were given.`;
    await this.#take("host", async () => {
      const answer = await fetch(new URL(HOST_FILE, document.baseURI), { cache: "no-store" });
      if (!answer.ok) throw new Error(`this host has no trust file (${answer.status})`);
      return { text: await answer.text(), origin };
    });
  }

  async #choose(input) {
    const [file] = input.files;
    input.value = "";
    if (file) await this.#takeFile(file);
  }

  async #takeFile(file) {
    await this.#take("reader", async () => ({ text: await file.text(), origin: `From ${file.name}, which you chose.` }));
  }

  async #edited() {
    const text = this.#at("text").value.trim();
    if (text) await this.#take("reader", () => ({ text, origin: "Entered or edited by you, on this page." }));
    else await this.#take(NONE.from, () => NONE);
  }

  /**
   * Reads a trust and puts it in the place of the one that is there, unless another was given meanwhile. Says whether it is
   * there.
   */
  async #take(from, read) {
    this.#turn += 1;
    const turn = this.#turn;
    this.#coming = from;
    this.#changed(false);
    let taken = null;
    let fault;
    try {
      taken = await read();
      fault = taken.text === "" ? "" : await this.#check(taken.text);
    } catch (error) {
      fault = error.message;
    }
    if (turn !== this.#turn) return false;
    this.#coming = null;
    if (taken === null) this.#complain(fault);
    else this.#put(Object.freeze({ ...taken, from }), fault);
    this.#changed(taken !== null);
    return taken !== null && fault === "";
  }

  #put(trust, fault) {
    this.#trust = trust;
    this.#fault = fault;
    if (trust.from !== "samples") this.#own = trust;
    this.#show();
  }

  async #check(text) {
    try {
      await this.#thread.ask("checkTrust", { trust: text });
      return "";
    } catch (error) {
      return `This is not a trust file: ${error.message}`;
    }
  }

  #complain(fault) {
    this.#at("fault").textContent = fault;
  }

  #show() {
    const { text, origin, from } = this.#trust;
    this.#at("origin").textContent = origin;
    this.#at("origin").classList.toggle("is-theirs", from !== "reader");
    this.#at("text").value = text;
    this.#at("back").hidden = from !== "samples" || this.#own.text === "";
    this.#complain(this.#fault);
    fill(this.#at("facts"), ...(this.isSound() ? facts(text) : []));
  }
}

/** Lets files be dropped onto an element. */
export function acceptDrops(element, take) {
  const isFile = (event) => event.dataTransfer.types.includes("Files");
  const over = (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    element.classList.add("is-over");
  };
  element.addEventListener("dragenter", over);
  element.addEventListener("dragover", over);
  element.addEventListener("dragleave", () => element.classList.remove("is-over"));
  element.addEventListener("drop", (event) => {
    element.classList.remove("is-over");
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    event.stopPropagation();
    take(file);
  });
}

/** What a sound trust file says: the lines of its policy, and the fingerprint. */
function facts(text) {
  const { policy, charter } = JSON.parse(text);
  const lines = policy.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const rows = lines.flatMap((line) => {
    const [word, ...rest] = line.split(" ");
    return row(LINES[word] ?? word, el("code", {}, rest.join(" ")));
  });
  return [...row("Fingerprint", hash(charter, "the fingerprint")), ...rows];
}
