// A certificate: what was verified, by which trust, what came out and what was not checked, on one sheet of paper and as
// JSON that carries its own digest. Brought with its evidence, it says whether the same comes out again.

import { answerList } from "./answers.js";
import { button, download, el, fill, row } from "./dom.js";
import { count, time } from "./format.js";
import { digestOfPart, version } from "./parts.js";

const FORMAT = "dragons.certificate/v1";

/** How to do it again without this page. */
const COMMAND = "dragons verify EVIDENCE --trust trust.json";

/** What a repeat does not compare: when and with what it was made, and what its age was then. */
const OF_ITS_TIME = ["made_ms", "verifier", "digest"];

/** The buttons that make one. */
export function certificateActions(report, result, keys) {
  const make = (use) => async () => use(await certificateOf(report, result));
  return el("section", { id: "report-certificate", "aria-labelledby": "report-certificate-title" },
    el("h2", { id: "report-certificate-title" }, "On paper"),
    el("p", {}, "A certificate says on one page what was verified, by which trust, what came out and what was not checked. "
      + "Anybody can give this page the certificate and the evidence, and see whether the result is the same."),
    el("div", { class: "actions" },
      button("Print the certificate", make((it) => printSheet(it, report, keys)), { class: "primary" }),
      button("Save it as a page", make((it) => download(pageOf(it, report), "certificate.html", "text/html"))),
      button("Save it as JSON", make((it) => download(canonical(it), "certificate.json", "application/json")))));
}

/** The members of a certificate. The report in it is the one without a clock, which always comes out the same. */
async function certificateOf(report, { thread, part, subject, told, digest, trustDigest, fingerprint, reportDigest, head, kind, bytes }) {
  const { given, trust, nowMs } = subject;
  const timeless = nowMs === null ? reportDigest
    : (await thread.ask("reportDigest", { blob: given.blob, trust: trust.text }));
  const certificate = {
    certificate: FORMAT,
    made_ms: Date.now(),
    verifier: { version, wasm: digestOfPart(part) },
    evidence: { sha256: digest, bytes: given.blob.size ?? bytes, kind: told.is_evidence ? kind : "none" },
    trust: { sha256: trustDigest, fingerprint, from: trust.from === "host" ? "host" : "own" },
    checkpoint: checkpointIn(head, kind),
    answers: told.answers.map(({ id, answer, why }) => ({ id, answer, why })),
    report: timeless,
    command: COMMAND,
  };
  return { ...certificate, digest: await thread.ask("digest", { text: canonical(certificate) }) };
}

/** The checkpoint of the evidence, as it came; null if there is none. */
export function checkpointIn(head, kind) {
  if (kind === "proof") return head[0].slice(head[0].indexOf("\n\n") + 2);
  for (const line of head) {
    if (line.startsWith('{"checkpoint":')) return JSON.parse(line).checkpoint;
  }
  return null;
}

/** RFC 8785: members in the order of their names, no space. There are only texts, whole numbers and what holds them. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}

/** The sheet itself. */
function sheet(certificate, report) {
  const { answers, verifier, evidence, trust, made_ms: madeMs } = certificate;
  const asked = new Map(report.checks.filter(({ status }) => status === "skipped").map(({ id, detail }) => [id, detail]));
  const told = answers.map((answer) => ({ ...answer, asked: QUESTIONS[answer.id], next: "" }));
  const open = [...asked].map(([id, detail]) => `${id} (${detail})`).join("; ");
  return el("div", { class: "sheet" },
    el("p", { class: "over" }, "Dragons · verification of evidence"),
    el("h1", {}, "Certificate"),
    answerList(told),
    el("dl", { class: "facts" },
      ...row("Evidence", el("code", {}, evidence.sha256), ` (${count(evidence.bytes, "byte")}, ${evidence.kind})`),
      ...row("Trust", el("code", {}, trust.sha256), trust.from === "host" ? " from the host that was asked" : " from the person who verified"),
      ...row("Fingerprint", el("span", { class: "digits" }, trust.fingerprint)),
      ...row("Not checked", open === "" ? "nothing was left out" : open),
      ...row("Made", `${time(madeMs)}, by the clock of the device`),
      ...row("Verifier", `version ${verifier.version}, `, el("code", {}, verifier.wasm)),
      ...row("Report", el("code", {}, certificate.report)),
      ...row("To repeat", el("code", {}, certificate.command)),
      ...row("Certificate", el("code", {}, certificate.digest))),
    certificate.checkpoint !== null && el("pre", { class: "checkpoint" }, certificate.checkpoint),
    el("div", { class: "signing" }, el("span", {}, "Place and date"), el("span", {}, "Name"), el("span", {}, "Signature")));
}

const QUESTIONS = {
  logged: "Is it in the log, unchanged?",
  signed: "Is it signed by those who had to sign it?",
  allowed: "Were they allowed to do it?",
  complete: "Is everything here?",
  consistent: "Has everybody seen the same log?",
  fresh: "Is it recent?",
};

function printSheet(certificate, report) {
  const place = document.getElementById("certificate");
  fill(place, sheet(certificate, report));
  place.hidden = false;
  document.documentElement.dataset.print = "certificate";
  const over = () => {
    delete document.documentElement.dataset.print;
    place.hidden = true;
  };
  addEventListener("afterprint", over, { once: true });
  print();
}

/** The sheet as a page of its own, with the JSON below it. */
function pageOf(certificate, report) {
  const page = document.implementation.createHTMLDocument("Certificate");
  const style = page.createElement("style");
  style.textContent = rules();
  page.head.append(style);
  page.documentElement.lang = "en";
  page.body.append(page.adoptNode(sheet(certificate, report)), page.adoptNode(el("details", { class: "json" },
    el("summary", {}, "The certificate as JSON"), el("pre", {}, canonical(certificate)))));
  return `<!doctype html>\n${new XMLSerializer().serializeToString(page)}`;
}

/** The rules for paper and sheet, from the page's own style. */
function rules() {
  const all = [...document.styleSheets].flatMap((style) => [...style.cssRules]);
  const kept = all.filter(({ selectorText = "" }) => /^(:root|\*|html|\.sheet|\.answers|\.facts|\.digits)/.test(selectorText));
  return `${kept.map(({ cssText }) => cssText).join("\n")}\nbody { margin: 2rem auto; max-width: 48rem; padding: 0 1rem; }`;
}

/** A certificate that was brought, to be compared with what comes out now. */
export class Comparison {
  #thread;
  #brought = null;

  constructor(thread) {
    this.#thread = thread;
  }

  /** Takes a certificate; it is compared with the next verdict. */
  async take(file) {
    try {
      this.#brought = { name: file.name, certificate: JSON.parse(await file.text()) };
    } catch (error) {
      this.#brought = { name: file.name, fault: error.message };
    }
  }

  /** A place that says, as soon as it is known, whether the certificate holds; nothing if none was brought. */
  against(report, result) {
    if (this.#brought === null) return null;
    const place = el("div", { class: "comparison", role: "status", "data-comparison": "pending" });
    this.#compare(report, result).then((faults) => {
      const same = faults.length === 0;
      place.dataset.comparison = same ? "same" : "differs";
      fill(place, el("h3", {}, same ? "The certificate's result is the same" : "The certificate's result is not the same"),
        el("p", {}, `${this.#brought.name}: ${same ? "its digest is right, and evidence, trust, answers and report are those of now." : faults.join("; ")}`));
    });
    return place;
  }

  async #compare(report, result) {
    const { certificate: brought, fault } = this.#brought;
    if (fault) return [`it cannot be read: ${fault}`];
    const { digest, ...rest } = brought;
    const own = await this.#thread.ask("digest", { text: canonical(rest) });
    const faults = own === digest ? [] : ["its digest does not match its content: somebody changed it"];
    const [was, is] = [brought, await certificateOf(report, result)].map(lasting);
    for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
      if (canonical(was[name] ?? null) !== canonical(is[name] ?? null)) faults.push(`${name} is another`);
    }
    return faults;
  }
}

function lasting(certificate) {
  const kept = Object.entries(certificate).filter(([name]) => !OF_ITS_TIME.includes(name));
  const { answers = [], ...rest } = Object.fromEntries(kept);
  return { ...rest, answers: answers.filter(({ id }) => id !== "fresh") };
}
