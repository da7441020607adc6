// Evidence to try, which came with the page.

import { button, el, fill } from "./dom.js";

const FOLDER = new URL("samples/", document.baseURI);

/** Fetches all samples, and lists them. */
export async function loadSamples(good, broken, chosen) {
  const index = await (await get("index.json")).json();
  const files = new Map();
  for (const name of new Set(index.flatMap(({ evidence, trust }) => [evidence, trust]))) {
    files.set(name, get(name).then((answer) => answer.blob()));
  }
  for (const name of files.keys()) files.set(name, await files.get(name));
  const trusts = new Map();
  for (const { trust } of index) trusts.set(trust, await files.get(trust).text());
  const shown = (isGood) => index.filter(({ code }) => (code === null) === isGood).map((sample) => item({ ...sample, trust: trusts.get(sample.trust) }, files.get(sample.evidence), chosen));
  fill(good, ...shown(true));
  fill(broken, ...shown(false));
}

function item({ evidence, trust, title, shows }, blob, chosen) {
  const made = button("", () => {
    press(made);
    chosen({ trust, evidence: { blob, name: `Sample: ${title}`, isSample: true } });
  }, { "data-sample": evidence, "aria-pressed": "false" });
  fill(made, el("span", { class: "title" }, title), el("span", { class: "shows" }, shows));
  return el("li", {}, made);
}

function press(made) {
  for (const other of document.querySelectorAll(".sample-list button")) other.setAttribute("aria-pressed", "false");
  made.setAttribute("aria-pressed", "true");
}

async function get(name) {
  const answer = await fetch(new URL(name, FOLDER));
  if (!answer.ok) throw new Error(`the sample ${name} is missing (${answer.status})`);
  return answer;
}
