// The way from an entry to the root, as the verifier took it: as text first, then drawn. It is drawn as well where it leads
// to another root than the one that the log signed. No hash is computed here.

import { el, hash, svg } from "./dom.js";

/** The drawing, in its own units: the path goes up in the middle, siblings stand beside it. */
const DRAWING = { width: 340, step: 74, top: 34, bottom: 44, box: [104, 30], middle: 170, aside: 110 };

/** How much of a hash fits into a box. */
const SHORT = 10;

/**
 * The steps of a trace in words, and their picture. `place` is `{ index, size, root }`, where they are known: then each step
 * has the entries that it covers, and a way that ends elsewhere is shown as such. `before` is the same way before somebody
 * changed the entry.
 */
export function pathOf(trace, place = null, before = null) {
  const [leaf, ...joins] = trace;
  const spans = place === null ? [] : spansOf(place.index, place.size);
  const isOff = (at) => (before === null ? leadsAway(trace, place) : trace[at].hash !== before[at]?.hash);
  const words = el("ol", {},
    first(leaf, joins.length === 0, isOff(0)),
    ...joins.map((step, at) => join(step, { isRoot: at === joins.length - 1, span: spans[at], place, isOff: isOff(at + 1) })));
  return el("div", { class: `path ${leadsAway(trace, place) ? "is-off" : "is-on"}`, "data-steps": String(trace.length) },
    el("div", {}, words, place?.root && end(trace, place)),
    drawing(trace, place, isOff));
}

/** Whether the way ends elsewhere than at the root that the log signed. */
export function leadsAway(trace, place) {
  return Boolean(place?.root) && trace.at(-1).hash !== place.root;
}

function first({ hash: value }, isRoot, isOff) {
  return el("li", { "data-part": "leaf", class: isOff && "off" },
    el("p", {}, "A zero byte and the bytes of the entry are hashed. This is computed."),
    el("dl", { class: "facts" }, ...hashRow(isRoot ? "The root" : "Leaf hash", value, "the leaf hash", true)),
    command("{ printf '\\000'; cat entry.json; } | sha256sum", value));
}

export function join({ level, left, right, sibling, hash: value }, { isRoot, span, place, isOff }) {
  const own = sibling === "left" ? "right" : "left";
  return el("li", { "data-part": `level-${level}`, class: isOff && "off" },
    el("p", {}, `Level ${level}: the ${sibling} hash comes with the evidence, and the ${own} hash is computed from the step before. `
      + "A one byte and both are hashed together."),
    span && el("p", { class: "soft" }, `It covers the entries ${span[0]} to ${span[1] - 1} of ${place.size}.`),
    el("dl", { class: "facts" },
      ...hashRow("Left", left, `the left hash of level ${level}`, own === "left"),
      ...hashRow("Right", right, `the right hash of level ${level}`, own === "right"),
      ...hashRow(isRoot ? "The root" : "Gives", value, isRoot ? "the root" : `the hash of level ${level}`, true)),
    command(`{ printf '\\001'; echo ${left} | base64 -d; echo ${right} | base64 -d; } | sha256sum`, value));
}

/** A hash that is computed here, or one that the evidence gives. */
function hashRow(term, value, what, isComputed) {
  return [el("dt", {}, term), el("dd", { class: isComputed ? "computed" : "given" }, hash(value, what))];
}

/** The step as a line for a shell, and what it prints. */
function command(line, value) {
  return el("details", { class: "command" }, el("summary", {}, "As a command"),
    el("pre", { class: "raw", tabindex: "0" }, `${line}\n${hexOf(value)}  -`));
}

export function end(trace, { root }) {
  return trace.at(-1).hash === root
    ? el("p", { class: "end is-good" }, "This is the root that the log signed.")
    : el("div", { class: "end is-bad" }, el("p", {}, "This is not the root that the log signed. The log signed this one:"),
      el("p", {}, el("code", {}, root)));
}

/** The entries that each join covers, from the first join up: RFC 6962 splits at the largest power of two. */
function spansOf(index, size) {
  const spans = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    spans.unshift([from, to]);
    let half = 1;
    while (half * 2 < to - from) half *= 2;
    if (index < from + half) to = from + half;
    else from += half;
  }
  return spans;
}

/** `start` says what the lowest box is. */
export function drawing(trace, place, isOff, start = "the entry") {
  const [leaf, ...joins] = trace;
  const { width, step, top, bottom } = DRAWING;
  const isAway = leadsAway(trace, place);
  const above = isAway ? step : 0;
  const height = top + bottom + joins.length * step + above;
  const y = (level) => top + above + (joins.length - level) * step;
  const description = `The path as a picture: ${joins.length} joins from ${start} at the bottom to the root at the top`
    + `${isAway ? ", which is not the root that the log signed" : ""}.`;
  const kind = (at) => (isOff(at) ? "off" : "on");
  return svg("svg", { class: "drawing", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description },
    ...joins.flatMap((join, at) => lines(join, y(at), y(at + 1), kind(at))),
    ...joins.map((join, at) => sibling(join, y(at))),
    node(DRAWING.middle, y(0), leaf.hash, kind(0), "leaf"),
    label(y(0) + DRAWING.box[1], joins.length === 0 ? `${start}, and the root` : start),
    ...joins.map((join, at) => node(DRAWING.middle, y(at + 1), join.hash, kind(at + 1), `level-${join.level}`)),
    isAway && node(DRAWING.middle, top, place.root, "signed"),
    isAway && label(top - DRAWING.box[1] / 2 - 6, "the root that the log signed"),
    isAway && label(top + DRAWING.box[1] + 6, "≠"),
    joins.length > 0 && !isAway && label(y(joins.length) - DRAWING.box[1] / 2 - 6, "the root"));
}

function lines(join, below, above, kind) {
  const { middle, box: [, tall] } = DRAWING;
  const [from, to] = [below - tall / 2, above + tall / 2];
  return [
    svg("line", { x1: aside(join), y1: from, x2: middle, y2: to }),
    svg("line", { class: kind, x1: middle, y1: from, x2: middle, y2: to }),
  ];
}

function sibling(join, y) {
  return node(aside(join), y, join.sibling === "left" ? join.left : join.right, "beside");
}

function aside({ sibling: side }) {
  return DRAWING.middle + (side === "left" ? -DRAWING.aside : DRAWING.aside);
}

function node(x, y, value, kind, part) {
  const [wide, tall] = DRAWING.box;
  return svg("g", { class: kind, "data-part": part },
    svg("rect", { x: x - wide / 2, y: y - tall / 2, width: wide, height: tall, rx: 3 }),
    svg("text", { x, y: y + 4 }, `${value.slice(0, SHORT)}…`));
}

function label(y, text) {
  return svg("text", { class: "role", x: DRAWING.middle, y }, text);
}

function hexOf(base64) {
  return [...atob(base64)].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
