// Whom the reader trusts. It comes from the reader, or from where the page says; never from evidence.

import { el, fill, hash, row } from "./dom.js";

const NONE = { text: "", origin: "Nobody yet: without trust there is no verdict.", from: "nobody" };

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

  get text() {
    return this.#trust.text;
  }

  get origin() {
    return this.#trust.origin;
  }

  isEmpty() {
    return this.#trust.text === "";
  }

  isSound() {
    return !this.isEmpty() && this.#fault === "";
  }

  /** Whether the reader has brought it. */
  isOwn() {
    return this.#trust.from === "reader";
  }

  /** The samples' trust serves for samples alone. */
  takeSample(text) {
    const origin = "It came with this page, for its samples alone. It says nothing about any log of yours.";
    return this.#take({ text, origin, from: "samples" });
  }

  /** Gives back what was there before a sample was tried. */
  async leaveSamples() {
    if (this.#trust.from === "samples") await this.#take(this.#own);
  }

  /** Takes the trust file beside the page. The host that serves both could be the one that lies. */
  async askHost() {
    const origin = `From ${location.host || "the host"}, which also served this page. Compare the fingerprint with what you were given.`;
    try {
      const answer = await fetch(new URL(HOST_FILE, document.baseURI), { cache: "no-store" });
      if (!answer.ok) throw new Error(`this host has no trust file (${answer.status})`);
      await this.#take({ text: await answer.text(), origin, from: "host" });
    } catch (error) {
      this.#complain(error.message);
    }
  }

  async #choose(input) {
    const [file] = input.files;
    input.value = "";
    if (file) await this.#takeFile(file);
  }

  async #takeFile(file) {
    await this.#take({ text: await file.text(), origin: `From ${file.name}, which you chose.`, from: "reader" });
  }

  async #edited() {
    const text = this.#at("text").value.trim();
    const origin = text ? "Entered or edited by you, on this page." : NONE.origin;
    await this.#take({ text, origin, from: text ? "reader" : "nobody" });
  }

  async #take(trust) {
    this.#trust = trust;
    if (trust.from !== "samples") this.#own = trust;
    this.#fault = trust.text === "" ? "" : await this.#check(trust.text);
    if (this.#trust !== trust) return;
    this.#show();
    this.#changed();
  }

  async #check(text) {
    try {
      await this.#thread.ask("checkTrust", { trust: text });
      return "";
    } catch (error) {
      return `This is no trust file: ${error.message}`;
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
    this.#at("back").hidden = from !== "samples" || this.#own === NONE;
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
