// Goals as stories: who wanted what, what was done for it under whose authority, what was refused, what came of it. As
// `dragons replay` tells them, from the same library.

import { announce, button, el, fill, hash } from "./dom.js";
import { count, time } from "./format.js";

/** How many goals are shown at once. */
const SHOWN_AT_ONCE = 20;

/** The page tells the stories of at most this many entries by itself; beyond that, the reader asks for them. */
const TOLD_AT_ONCE = 2000;

/** The section of the goals. `open` goes to the entry of an index. */
export function goals({ thread, run, count: entries }, report, open) {
  const into = el("div", { class: "stories" });
  const hear = async () => {
    tell.disabled = true;
    const told = await thread.ask("stories", { run });
    tell.hidden = true;
    if (told.length === 0) fill(into, el("p", {}, "No goal begins in this evidence."));
    else show(into, told, SHOWN_AT_ONCE, open);
    return told;
  };
  const tell = button("Tell the story of each goal", async () => announce(`${count((await hear()).length, "goal", "goals")} told`));
  if (entries <= TOLD_AT_ONCE) hear();
  return el("section", { id: "report-goals", "aria-labelledby": "report-goals-title" },
    el("h2", { id: "report-goals-title", tabindex: "-1" }, "Goals"),
    el("p", {}, report.verdict === "failed"
      ? "As the entries tell them. There is a problem with the evidence, so the stories may be false."
      : "From goal to action to outcome, as the entries tell it. What an agent says about its own work is its claim, and not proved."),
    el("div", { class: "actions" }, tell), into);
}

function show(into, told, shown, open) {
  fill(into, el("ol", { class: "tales" }, ...told.slice(0, shown).map((story) => el("li", {}, tale(story, open)))),
    told.length > shown && button(`Show more, ${told.length - shown} left`, () => show(into, told, shown + SHOWN_AT_ONCE, open)));
}

function tale(story, open) {
  const end = story.outcomes.find(({ agent }) => agent === story.agent);
  return el("details", {},
    el("summary", {},
      el("span", { class: "kind" }, end ? end.verdict : "no outcome"), " ",
      el("span", {}, `${story.agent}: ${story.title}`), " ",
      el("span", { class: "when" }, time(story.received_ms))),
    el("div", { class: "body" },
      el("ol", { class: "tale" },
        step(story, `${story.requester || "Nobody named"} asked ${story.agent} for it`, under(story.authority), open),
        ...steps(story).map(({ at, text, more }) => step(at, text, more, open)))));
}

/** What happened, in the order of the log. */
function steps(story) {
  const actions = story.actions.flatMap((action) => [
    { at: action, text: `${action.agent} announced ${action.scope} with ${action.tool}`, more: under(action.authority) },
    action.result && { at: action.result, text: `${action.scope}: ${action.result.status}`, more: `after ${action.result.duration_ms} ms, by its own account` },
    !action.result && { at: { index: action.index }, text: `${action.scope}: no result was logged`, more: "" },
  ].filter(Boolean));
  const refusals = story.refusals.map((refusal) => ({ at: refusal, text: refusal.is_claim
    ? `Control claims that it refused ${refusal.agent} ${refusal.scope ?? refusal.kind}: ${refusal.code}`
    : `${refusal.agent} was refused ${refusal.scope ?? refusal.kind}: ${refusal.code}`, more: "" }));
  const outcomes = story.outcomes.map((outcome) => ({ at: outcome,
    text: `${outcome.agent} calls the outcome ${outcome.verdict}`, more: outcome.checks.map(({ name }) => name).join(", ") }));
  return [...actions, ...refusals, ...outcomes].toSorted((one, other) => one.at.index - other.at.index);
}

function step({ index, received_ms: receivedMs }, text, more, open) {
  return el("li", {}, button(`Entry ${index}`, () => open(index), { class: "copy" }), " ",
    el("span", {}, text), more && el("span", { class: "soft" }, " ", more),
    receivedMs !== undefined && el("span", { class: "when" }, ` ${time(receivedMs)}`));
}

function under({ epoch, lease, version }) {
  const parts = [lease ? ["under lease ", hash(lease, "the lease")] : ["without a lease"], [`, epoch ${epoch}`], version && [`, version ${version}`]];
  return el("span", {}, ...parts.filter(Boolean).flat());
}
