// What was found, each with the code, the party at fault, and the way to its record.

import { announce, button, el } from "./dom.js";
import { count } from "./format.js";

/** So many are shown at once; a broken pack can have a thousand. */
const SHOWN_AT_ONCE = 25;

const CLASSES = { problem: "Problem", breach: "Breach", late: "Late" };

/** The section of the findings. `open` shows the record of an index. */
export function findings({ findings: list }, { thread, told }, open) {
  const shown = el("ol", { class: "findings" });
  const rest = button("", () => more());
  const sentences = thread.ask("sentences", { codes: [...new Set(list.map(({ code }) => code))] });
  const more = () => {
    const from = shown.childElementCount;
    shown.append(...list.slice(from, from + SHOWN_AT_ONCE).map((finding) => item(finding, { sentences, told }, open)));
    const left = list.length - shown.childElementCount;
    rest.hidden = left === 0;
    rest.textContent = `Show more, ${left} are left`;
    if (from > 0) announce(`${count(shown.childElementCount, "finding")} shown`);
  };
  more();
  return el("section", { id: "report-findings", "aria-labelledby": "report-findings-title" },
    el("h2", { id: "report-findings-title" }, "What was found"),
    list.length === 0 ? el("p", {}, "Nothing.") : shown,
    rest);
}

function item({ code, class: kind, by, index, agent, detail }, { sentences, told }, open) {
  const sentence = el("p", { class: "sentence" });
  sentences.then((all) => { sentence.textContent = all[code]; });
  const places = [agent !== null && `agent ${agent}`, `by ${told.parties[by] ?? by}`].filter(Boolean).join(", ");
  return el("li", { class: `is-${kind}`, "data-code": code, "data-by": by },
    el("p", {}, el("span", { class: "class" }, CLASSES[kind] ?? kind), " ", el("code", {}, code), `, ${places}`),
    sentence,
    el("p", { class: "detail" }, detail),
    index !== null && el("p", {}, button(`Go to entry ${index}`, () => open(index))));
}
