// The checks of a report, in its order: what each came to, what it means, and what it does not prove.

import { el } from "./dom.js";

const STATUS = { pass: "holds", fail: "does not hold", skipped: "not checked" };

const MEANINGS = {
  form: {
    name: "Form",
    means: "The file reads, byte for byte, as the kind of evidence that it says it is.",
    not: "that anything in it is true.",
  },
  checkpoint: {
    name: "Checkpoint",
    means: "The log that your trust names signed this size and this root.",
    not: "that the log shows everybody the same tree; witnesses are there for that.",
  },
  witnesses: {
    name: "Witnesses",
    means: "As many witnesses as your trust asks for have seen this very tree grow out of the ones before.",
    not: "what is in the tree: a witness sees a size and a root, and no records.",
  },
  inclusion: {
    name: "Inclusion",
    means: "The entries, hashed and joined as the proof says, give the signed root: they are in the log, in these places, unchanged.",
    not: "that they were allowed, nor that what they say is so.",
  },
  consistency: {
    name: "Consistency",
    means: "The tree goes on from an earlier one: nothing in that was removed or changed.",
    not: "anything about a tree that nobody brought here.",
  },
  leaves: {
    name: "Leaves",
    means: "Each entry is a record in its one permitted spelling, made for the log that your trust names by its charter.",
    not: "who made it.",
  },
  signatures: {
    name: "Signatures",
    means: "Each record is signed by keys that the charter leads to, step by step.",
    not: "that whoever held the key was allowed to sign this, or was not robbed of it.",
  },
  chains: {
    name: "Chains",
    means: "The records of each agent follow one upon the other, so one that was left out would show.",
    not: "what came after the last of them.",
  },
  authority: {
    name: "Authority",
    means: "What everybody did was allowed to them at that moment, by the charter, the manifests and the leases in force.",
    not: "that it was wise to allow it, nor what was done without logging it.",
  },
  liveness: {
    name: "Liveness",
    means: "Every change of an agent's state has its cause, and came when it was due.",
    not: "that an agent did anything useful while it lived.",
  },
  outcomes: {
    name: "Outcomes",
    means: "What was begun was ended, and what was accepted rests on a check.",
    not: "that the check itself was right.",
  },
  disclosures: {
    name: "Disclosures",
    means: "Values that are disclosed are those that were committed to when the record was made.",
    not: "anything about values that stay closed.",
  },
  freshness: {
    name: "Freshness",
    means: "The checkpoint is about as new as it should be, by the time that you gave.",
    not: "that nothing has been logged since.",
  },
};

/** The section of the checks. */
export function checks(list) {
  return el("section", { id: "report-checks", "aria-labelledby": "report-checks-title" },
    el("h2", { id: "report-checks-title" }, "What was checked"),
    el("ol", { class: "checks" }, ...list.map(check)));
}

function check({ id, status, detail }) {
  const { name, means, not } = MEANINGS[id] ?? { name: id };
  return el("li", { class: `is-${status}`, "data-check": id, "data-status": status },
    el("span", { class: "status" }, STATUS[status] ?? status),
    el("div", {},
      el("h3", {}, name),
      el("p", { class: "detail" }, detail),
      means && el("p", { class: "means" }, means),
      not && el("p", { class: "not" }, `It does not prove ${not}`)));
}
