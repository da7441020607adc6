// The report as people read it: the verdict in words, every check, every finding, the path, the records.

import { checks } from "./checks.js";
import { button, copyButton, el, fill, row } from "./dom.js";
import { findings } from "./findings.js";
import { count, time } from "./format.js";
import { pathOf } from "./path.js";
import { Records } from "./records.js";

const WORDS = {
  verified: { title: "Verified", means: "Nothing here is wrong, and everything that your trust asks for was checked." },
  failed: { title: "Failed", means: "There is at least one problem. Do not rely on this evidence." },
  incomplete: { title: "Incomplete", means: "Nothing here was found to be wrong, but what is here is not enough to decide." },
};

const PROOF_LIMIT = "A proof of one record shows that it was logged. It never shows that it was allowed.";

/** Shows what a verification came to. */
export function showReport(into, result) {
  const report = JSON.parse(result.report);
  const records = new Records(result, report);
  fill(
    into,
    verdict(report, result),
    findings(report, result.thread, (index) => records.open(index)),
    checks(report.checks),
    report.trace && section("path", "From the entry to the root", pathOf(report.trace, report)),
    result.count > 0 && records.section,
    evidenceHead(result),
    raw(result.report),
  );
}

/** Shows that there is no verdict, and why. */
export function showNothing(into, why) {
  const box = el("section", { class: "verdict is-none", "data-verdict": "none" },
    title("No verdict"),
    el("p", { class: "means" }, "This was not judged to its end, so there is nothing to say about it."),
    el("p", { class: "detail" }, why));
  fill(into, box);
}

function verdict(report, { given, kind, trust, nowMs }) {
  const { title: word, means } = WORDS[report.verdict];
  const { summary } = report;
  return el("section", { class: `verdict is-${report.verdict}`, "data-verdict": report.verdict },
    title(word),
    el("p", { class: "means" }, means),
    because(report.findings),
    kind === "proof" && report.verdict === "verified" && el("p", {}, PROOF_LIMIT),
    summary.breaches > 0 && el("p", { class: "breaches" }, breaches(summary.breaches)),
    el("dl", { class: "facts" }, ...facts(report, given, trust, nowMs)));
}

/** The first problem, in the verifier's words. */
function because(findings) {
  const problem = findings.find((finding) => finding.class === "problem");
  return problem && el("p", { class: "because" }, "Because: ", el("code", {}, problem.code), `, ${problem.detail}.`);
}

function breaches(number) {
  return `The records show ${count(number, "breach", "breaches")}: somebody acted out of bounds, and the log says so. `
    + "A breach does not make the evidence unreliable.";
}

function facts(report, given, trust, nowMs) {
  const { as_of: asOf, summary } = report;
  const kinds = Object.entries(summary.records).map(([kind, number]) => `${number} ${kind}`).join(", ");
  return [
    row("Evidence", given.name),
    row("Trust", trust),
    asOf.size !== null && row("Speaks of", `a log of ${count(asOf.size, "entry", "entries")}`),
    asOf.received_ms !== null && row("Last entry", `${time(asOf.received_ms)}, by the log's own word`),
    row("Witnessed", asOf.witnessed_ms === null ? "by nobody that your trust names" : time(asOf.witnessed_ms)),
    kinds !== "" && row("Records", `${kinds}; ${count(summary.agents, "agent")}`),
    row("Found", `${count(summary.problems, "problem")}, ${count(summary.breaches, "breach", "breaches")}, ${summary.late} late`),
    nowMs !== null && row("Judged at", `${time(nowMs)}, by this device`),
  ].filter(Boolean).flat();
}

/** The checkpoint and the header, as they came: for whoever compares them with what others have. */
function evidenceHead({ head }) {
  if (head.length === 0) return null;
  const text = head.join("");
  const shown = el("pre", { class: "raw", tabindex: "0" }, text);
  return section("head", "What the evidence says of itself",
    el("p", {}, "As it came, before anything was checked: compare the checkpoint with one that others have."),
    el("details", {}, el("summary", {}, "Show the head of the file"),
      el("p", {}, copyButton(() => text, "Copy the head of the file", shown)), shown));
}

function raw(text) {
  const shown = el("pre", { class: "raw", tabindex: "0" }, text);
  const save = button("Save it", () => download(text));
  return section("raw", "The report itself",
    el("p", {}, "The same bytes as ", el("code", {}, "dragons verify --json"), " prints for this evidence and trust."),
    el("details", {}, el("summary", {}, "Show the report"),
      el("div", { class: "actions" }, copyButton(() => text, "Copy the report", shown), save), shown));
}

function download(text) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: "report.json" });
  link.click();
  URL.revokeObjectURL(link.href);
}

function title(word) {
  return el("h2", { id: "verdict-title", tabindex: "-1" }, word);
}

function section(id, heading, ...children) {
  return el("section", { id: `report-${id}`, "aria-labelledby": `report-${id}-title` },
    el("h2", { id: `report-${id}-title` }, heading), ...children);
}
