// Whom the reader trusts. It comes from the reader, or from where the page says; never from evidence.

import { el, fill, hash, row } from "./dom.js";
import { isWhole } from "./parts.js";

const NONE = Object.freeze({ text: "", origin: "Nobody yet. Without trust there is no verdict.", from: "nobody" });

/** What is typed or pasted as a fingerprint when it is whole: eight groups of four digits, or the hash of a charter. */
const WHOLE_FINGERPRINT = /^(\d{32}|sha256:[0-9a-f]{64})$/;

/** Where a service or a host may put its own trust file: beside the page. */
const HOST_FILE = "trust.json";

/** What stands below the field before anything is typed. */
const SAID = "Eight groups of four digits, from somebody you know: on paper, by phone, or in a contract.";

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
  /** The fingerprint of the trust that is there, in groups of digits. */
  #fingerprint = "";
  #at = (id) => document.getElementById(`trust-${id}`);
  #field = document.getElementById("fingerprint");

  constructor(thread, changed, fingerprintTyped) {
    this.#thread = thread;
    this.#changed = changed;
    this.#field.addEventListener("input", () => {
      group(this.#field);
      this.compare();
      if (this.typed !== null) fingerprintTyped();
    });
    this.#at("host").hidden = isWhole;
    this.#at("text").addEventListener("change", () => this.#edited());
    this.#at("file").addEventListener("change", (event) => this.#choose(event.target));
    this.#at("host").addEventListener("click", () => this.askHost());
    this.#at("back").addEventListener("click", () => this.#goBack());
    this.#show();
  }

  /** The fingerprint that the reader has typed, without spaces, once it is whole; null before. */
  get typed() {
    const typed = this.#field.value.trim();
    const bare = typed.startsWith("sha256:") ? typed : typed.replace(/[\s.,-]/g, "");
    return WHOLE_FINGERPRINT.test(bare) ? bare : null;
  }

  /** Sets what was typed beside the trust that is there. */
  compare() {
    const { typed } = this;
    if (this.#field.value.trim() === "") return this.say("", SAID);
    if (typed === null) return this.say("", "Not complete yet: eight groups of four digits.");
    if (this.#fingerprint === "") return this.say("", "There is nothing to compare it with yet: choose the evidence.");
    const own = JSON.parse(this.#trust.text).charter;
    if (typed === this.#fingerprint.replaceAll(" ", "") || typed === own) {
      return this.say("is-good", this.#trust.from === "host"
        ? "It matches the charter that this host names."
        : "It matches. This is the log that you were told about.");
    }
    return this.say("is-bad", "It does not match. This trust names another log.");
  }

  /** Says what the typed fingerprint has come to. */
  say(tone, text) {
    const said = document.getElementById("fingerprint-said");
    said.className = `said ${tone}`;
    said.textContent = text;
    this.#field.setAttribute("aria-invalid", String(tone === "is-bad"));
    this.#field.className = tone;
  }

  /**
   * Takes the trust that the typed fingerprint leads to: that in the charter which the evidence brings, if it has this
   * fingerprint. Says whether it is there.
   */
  async pin(blob) {
    const origin = "From the fingerprint that you typed. The charter in this evidence has it, and names the keys of the log.";
    const read = async () => ({ text: await this.#thread.ask("pin", { blob, fingerprint: this.typed }), origin });
    return this.#take("reader", read);
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

  /** Whether it is the reader's own, and sound. */
  isOwnAndSound() {
    return this.isOwn() && this.isSound();
  }

  /** Whether the reader has brought it, or is about to. */
  isOwn() {
    return (this.#coming ?? this.#trust.from) === "reader";
  }

  /** The samples' trust serves for samples alone. Says whether it is there. */
  takeSample(text) {
    const origin = "It came with this page, only for its samples. It says nothing about your own logs.";
    return this.#take("samples", () => ({ text, origin }));
  }

  /** Gives back what was there before a sample was tried. */
  async leaveSamples() {
    if ((this.#coming ?? this.#trust.from) === "samples") await this.#goBack();
  }

  async #goBack() {
    await this.#take(this.#own.from, () => this.#own);
  }

  /** Takes the trust file beside the page. The host that serves both could be the one that lies. */
  async askHost() {
    const origin = `From ${location.host}, which also served this page. What it says about itself proves little: type the fingerprint that you were given.`;
    await this.#take("host", async () => {
      const answer = await fetch(new URL(HOST_FILE, document.baseURI), { cache: "no-store" });
      if (!answer.ok) throw new Error(`this host has no trust file (${answer.status})`);
      return { text: await answer.text(), origin };
    });
  }

  async #choose(input) {
    const [file] = input.files;
    input.value = "";
    if (file) await this.takeFile(file);
  }

  /** Takes a trust file that the reader has brought. */
  async takeFile(file) {
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
    let fault = "";
    let fingerprint = "";
    try {
      taken = await read();
      if (taken.text !== "") [fault, fingerprint] = await this.#check(taken.text);
    } catch (error) {
      fault = error.message;
    }
    if (turn !== this.#turn) return false;
    this.#coming = null;
    if (taken !== null) this.#fingerprint = fingerprint;
    if (taken === null) this.#complain(fault);
    else this.#put(Object.freeze({ ...taken, from }), fault);
    this.#changed(taken !== null);
    return taken !== null && fault === "";
  }

  #put(trust, fault) {
    this.#trust = trust;
    this.#fault = fault;
    if (!isTheirs(trust.from)) this.#own = trust;
    this.#show();
  }

  async #check(text) {
    try {
      return ["", await this.#thread.ask("checkTrust", { trust: text })];
    } catch (error) {
      return [`This is not a trust file: ${error.message}`, ""];
    }
  }

  #complain(fault) {
    this.#at("fault").textContent = fault;
    this.#at("text").setAttribute("aria-invalid", String(fault !== ""));
  }

  #show() {
    const { text, origin, from } = this.#trust;
    this.#at("origin").textContent = origin;
    this.#at("origin").classList.toggle("is-theirs", from !== "reader");
    this.#at("text").value = text;
    this.#at("back").hidden = !isTheirs(from) || this.#own.text === "";
    this.#complain(this.#fault);
    fill(this.#at("facts"), ...(this.isSound() ? facts(text, this.#fingerprint) : []));
    this.compare();
  }
}

/** What the samples and the host bring does not take the place of the reader's own. */
function isTheirs(from) {
  return from === "samples" || from === "host";
}

/** Puts a space behind every four digits, as long as somebody types at the end. */
function group(field) {
  const { value, selectionEnd } = field;
  if (selectionEnd !== value.length || !/^[\d ]+$/.test(value)) return;
  const groups = value.replaceAll(" ", "").match(/\d{1,4}/g) ?? [];
  field.value = groups.join(" ") + (value.endsWith(" ") && groups.at(-1)?.length === 4 ? " " : "");
}

/** What a sound trust file says: the lines of its policy, and the fingerprint. */
function facts(text, fingerprint) {
  const { policy, charter } = JSON.parse(text);
  const lines = policy.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const rows = lines.flatMap((line) => {
    const [word, ...rest] = line.split(" ");
    return row(LINES[word] ?? word, el("code", {}, rest.join(" ")));
  });
  const digits = el("span", { class: "digits" }, fingerprint);
  return [...row("Fingerprint", digits), ...row("Charter", hash(charter, "the hash of the charter")), ...rows];
}
