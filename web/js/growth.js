// How the newer of two trees grew out of the older: from what both of them have, one way leads to the older root and one to the
// newer. The steps are the verifier's; no hash is computed here.

import { el, hash } from "./dom.js";
import { count } from "./format.js";
import { drawing, end, join, leadsAway } from "./path.js";

/** What both ways begin with. */
const SHARED = "what both trees have";

/** The two ways, each in words and as a picture. */
export function growthPaths({ old, new: newer, seed, seed_is_root: isRoot, to_old: toOld, to_new: toNew }) {
  const start = isRoot
    ? "The whole older tree is a part of the newer one, so both ways begin with the older root, which its checkpoint names."
    : "Both ways begin with the hash of the last part that both trees have. It comes with the proof.";
  return [
    el("p", {}, "The hashes of the proof have to lead to both roots that the log signed. In the pictures, the boxes beside the way come with "
      + "the proof, and the boxes on the way are computed."),
    el("p", {}, start, " ", hash(seed, SHARED)),
    way("older", old, seed, toOld),
    way("newer", newer, seed, toNew),
  ];
}

function way(name, { size, root }, seed, joins) {
  const trace = [{ hash: seed }, ...joins];
  const isAway = leadsAway(trace, { root });
  return el("section", { class: `growth path ${isAway ? "is-off" : "is-on"}`, "data-way": name, "aria-label": `The way to the ${name} root` },
    el("div", {},
      el("h3", {}, `To the ${name} root, of ${count(size, "entry", "entries")}`),
      joins.length > 0 ? el("ol", {}, ...joins.map((step, at) => join(step, { isRoot: at === joins.length - 1, isOff: isAway })))
        : el("p", {}, "There is nothing to compute."),
      end(trace, { root })),
    drawing(trace, { root }, () => isAway, SHARED));
}
