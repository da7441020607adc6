// The verdict: one sentence in plain words, then the six questions with their answers. The answers are the verifier's.

import { el, hash, row } from "./dom.js";
import { count, time } from "./format.js";

const REPLIES = { yes: "Yes", no: "No", "not-checked": "Not checked" };

/** What a sound report comes to if the trust is what the host says of itself. */
const BY_THE_HOST = {
  title: "Consistent with this host",
  means: "The evidence is consistent with what this host says about itself. Only a fingerprint or a trust file from somewhere else can tell whether that is the log that you mean.",
};

/** The verdict, with the evidence and the trust that it belongs to: as they were when the verification began. */
export function verdict(report, result) {
  const { told, subject } = result;
  const isByHost = subject.trust.from === "host" && report.verdict === "verified";
  const { title, means } = isByHost ? BY_THE_HOST : told;
  const tone = isByHost ? "incomplete" : told.is_evidence ? report.verdict : "none";
  return el("div", { class: `verdict is-${tone}`, "data-verdict": report.verdict, "data-by-host": isByHost && "true" },
    el("h2", { id: "verdict-title", tabindex: "-1" }, title),
    el("p", { class: "means" }, means),
    ...told.because.map((why) => el("p", { class: "because" }, why)),
    subject.healed && el("p", { class: "because healed" }, `You had the file repaired first: ${subject.healed}. The verdict is about the repaired copy.`),
    told.is_evidence && answerList(told.answers));
}

/** Shows that there is no verdict, and why. */
export function noVerdict(why) {
  return el("div", { class: "verdict is-none", "data-verdict": "none" },
    el("h2", { id: "verdict-title", tabindex: "-1" }, "No verdict"),
    el("p", { class: "means" }, "The verification did not reach its end, so there is nothing to say about this evidence."),
    el("p", { class: "because" }, why));
}

/** The questions, one a line. */
export function answerList(answers) {
  return el("ol", { class: "answers" }, ...answers.map(({ id, answer, asked, why, next }) =>
    el("li", { class: `is-${answer}`, "data-answer": id, "data-reply": answer },
      el("span", { class: "asked" }, asked),
      el("span", { class: "reply" }, REPLIES[answer]),
      el("span", { class: "why" }, why, next && el("span", { class: "next" }, ` ${next}`)))));
}

/** What the verdict is about. */
export function subjectFacts(report, { subject, digest, trustDigest, fingerprint }) {
  const { given, trust, nowMs } = subject;
  const { as_of: asOf, summary } = report;
  const kinds = Object.entries(summary.records).map(([kind, number]) => `${number} ${kind}`).join(", ");
  const facts = [
    row("Evidence", given.name),
    row("Its SHA-256", hash(digest, "the SHA-256 of the evidence")),
    row("Trust", trust.origin),
    row("Its SHA-256", hash(trustDigest, "the SHA-256 of the trust")),
    fingerprint && row("Fingerprint", el("span", { class: "digits" }, fingerprint)),
    asOf.size !== null && row("Speaks of", `a log of ${count(asOf.size, "entry", "entries")}`),
    asOf.judged_to !== null && row("Without a hole", `the first ${count(asOf.judged_to, "entry", "entries")}`),
    asOf.received_ms !== null && row("Newest entry", `${time(asOf.received_ms)}, by the log's own clock`),
    row("Witnessed", witnessed(report)),
    kinds !== "" && row("Records", `${kinds}; ${count(summary.agents, "agent")}`),
    row("Found", `${count(summary.problems, "problem")}, ${count(summary.breaches, "breach", "breaches")}, ${summary.late} late`),
    nowMs !== null && row("Judged at", `${time(nowMs)}, by this device`),
  ];
  return el("dl", { class: "facts" }, ...facts.filter(Boolean).flat());
}

function witnessed({ as_of: asOf, checks: list }) {
  if (asOf.witnessed_ms !== null) return time(asOf.witnessed_ms);
  return list.find(({ id }) => id === "witnesses")?.detail ?? "not checked";
}
