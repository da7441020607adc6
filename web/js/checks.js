// The checks of a report, in its order: what each came to, what it means, and what it does not show. The sentences are the
// verifier's.

import { el } from "./dom.js";

const NAMES = {
  form: "Form",
  checkpoint: "Checkpoint",
  witnesses: "Witnesses",
  inclusion: "Inclusion",
  consistency: "Consistency",
  leaves: "Leaves",
  signatures: "Signatures",
  chains: "Chains",
  authority: "Authority",
  liveness: "Liveness",
  outcomes: "Outcomes",
  disclosures: "Disclosures",
  freshness: "Freshness",
};

/** The section of the checks: those of the report, each with what the verifier says of it. */
export function checks(list, told) {
  const sentences = new Map(told.checks.map((check) => [check.id, check]));
  return el("section", { id: "report-checks", "aria-labelledby": "report-checks-title" },
    el("h2", { id: "report-checks-title" }, "What was checked"),
    el("ol", { class: "checks" }, ...list.map((one) => check(one, sentences.get(one.id)))));
}

function check({ id, status, detail }, { came_to: cameTo, means, open }) {
  return el("li", { class: `is-${status}`, "data-check": id, "data-status": status },
    el("span", { class: "status" }, cameTo),
    el("div", {},
      el("h3", {}, NAMES[id] ?? id),
      el("p", { class: "detail" }, detail),
      el("p", { class: "means" }, means),
      el("p", { class: "not" }, `Even then it does not show ${open}.`)));
}
