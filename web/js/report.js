// The report as people read it: the verdict in words, every check, every finding, the path, the records.

import { checks } from "./checks.js";
import { button, copyButton, el, fill, hash, row } from "./dom.js";
import { findings } from "./findings.js";
import { count, time } from "./format.js";
import { pathOf } from "./path.js";
import { Records } from "./records.js";

/** Shows what a verification came to. */
export function showReport(into, result) {
  const report = JSON.parse(result.report);
  const records = new Records(result, report);
  fill(
    into,
    verdict(report, result),
    findings(report, result, (index) => records.open(index)),
    checks(report.checks, result.told),
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

/** The verdict, and the two that it belongs to: as they were when the verification began. */
function verdict(report, { told, ...result }) {
  return el("section", { class: `verdict is-${report.verdict}`, "data-verdict": report.verdict },
    title(told.title),
    el("p", { class: "means" }, told.means),
    ...told.because.map((why) => el("p", { class: "because" }, why)),
    el("dl", { class: "facts" }, ...facts(report, result)));
}

function facts(report, { subject, digest, trustDigest }) {
  const { given, trust, nowMs } = subject;
  const { as_of: asOf, summary } = report;
  const kinds = Object.entries(summary.records).map(([kind, number]) => `${number} ${kind}`).join(", ");
  return [
    row("Evidence", given.name),
    row("Its hash", hash(digest, "the hash of the evidence")),
    row("Trust", trust.origin),
    row("Its hash", hash(trustDigest, "the hash of the trust")),
    asOf.size !== null && row("Speaks of", `a log of ${count(asOf.size, "entry", "entries")}`),
    asOf.judged_to !== null && row("Shown without a hole", `the first ${asOf.judged_to} of its entries`),
    asOf.received_ms !== null && row("Newest entry here", `${time(asOf.received_ms)}, by the log's own word`),
    row("Witnessed", witnessed(report)),
    kinds !== "" && row("Records", `${kinds}; ${count(summary.agents, "agent")}`),
    row("Found", `${count(summary.problems, "problem")}, ${count(summary.breaches, "breach", "breaches")}, ${summary.late} late`),
    nowMs !== null && row("Judged at", `${time(nowMs)}, by this device`),
  ].filter(Boolean).flat();
}

function witnessed({ as_of: asOf, checks: list }) {
  if (asOf.witnessed_ms !== null) return time(asOf.witnessed_ms);
  return list.find(({ id }) => id === "witnesses")?.detail ?? "not checked";
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
