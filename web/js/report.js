// The report as people read it: the verdict in words, every finding, the bench, the entries, every check.

import { subjectFacts, verdict } from "./answers.js";
import { Bench } from "./bench.js";
import { certificateActions } from "./certificate.js";
import { checks } from "./checks.js";
import { button, copyButton, download, el, fill } from "./dom.js";
import { findings } from "./findings.js";
import { growthPaths } from "./growth.js";
import { Keys } from "./keys.js";
import { Records } from "./records.js";
import { goals } from "./stories.js";

/** Shows what a verification came to. */
export function showReport(verdictInto, into, result) {
  const report = JSON.parse(result.report);
  const keys = new Keys(result.thread, result.run);
  const bench = new Bench(result, keys);
  const records = new Records(result, report, keys, bench);
  const open = (index) => records.open(index);
  fill(verdictInto, verdict(report, result), result.comparison.against(report, result));
  fill(
    into,
    certificateActions(report, result, keys),
    section("subject", "What the verdict is about", subjectFacts(report, result)),
    report.findings.length > 0 && findings(report, result, open),
    result.told.growth && section("growth", "How the newer tree grew out of the older", ...growthPaths(result.told.growth)),
    result.kind === "pack" && result.count > 0 && goals(result, report, open),
    result.count > 0 && bench.section,
    result.count > 0 && records.section,
    checks(report.checks, result.told),
    evidenceHead(result),
    raw(result.report),
  );
  keys.load(result.count).then(() => {
    if (!verdictInto.isConnected) return;
    keys.sayWho(verdictInto, report);
    if (result.count > 0) bench.begin(report);
  });
}

/** The checkpoint and the header, as they came: for whoever compares them with what others have. */
function evidenceHead({ head }) {
  if (head.length === 0) return null;
  const text = head.join("");
  const shown = el("pre", { class: "raw", tabindex: "0" }, text);
  return section("head", "What the evidence says about itself",
    el("p", {}, "As received, before anything was checked. Compare the checkpoint with one that others have."),
    el("details", {}, el("summary", {}, "Show the head of the file"),
      el("p", {}, copyButton(() => text, "Copy the head of the file", shown)), shown));
}

function raw(text) {
  const shown = el("pre", { class: "raw", tabindex: "0" }, text);
  const save = button("Save the report", () => download(text, "report.json", "application/json"));
  return section("raw", "The report itself",
    el("p", {}, "The same bytes as ", el("code", {}, "dragons verify --json"), " prints for this evidence and trust."),
    el("details", {}, el("summary", {}, "Show the report"),
      el("div", { class: "actions" }, copyButton(() => text, "Copy the report", shown), save), shown));
}

function section(id, heading, ...children) {
  return el("section", { id: `report-${id}`, "aria-labelledby": `report-${id}-title` },
    el("h2", { id: `report-${id}-title` }, heading), ...children);
}
