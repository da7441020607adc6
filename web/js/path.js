// The way from an entry to the root, as the verifier took it: as text first, then drawn. Nothing is computed here.

import { el, hash, row, svg } from "./dom.js";

/** The drawing, in its own units: the path goes up in the middle, siblings stand beside it. */
const DRAWING = { width: 340, step: 74, top: 34, bottom: 44, box: [104, 30], middle: 170, aside: 110 };

/** How much of a hash fits into a box. */
const SHORT = 10;

/** The steps of a trace in words, and their picture. */
export function pathOf(trace) {
  const [leaf, ...joins] = trace;
  const words = el("ol", {}, first(leaf, joins.length === 0), ...joins.map((step, at) => join(step, at === joins.length - 1)));
  return el("div", { class: "path", "data-steps": String(trace.length) }, words, drawing(leaf, joins));
}

function first({ hash: value }, isRoot) {
  return el("li", {},
    el("p", {}, "The bytes of the entry are hashed, with a zero byte in front."),
    el("dl", { class: "facts" }, ...row(isRoot ? "The root" : "Leaf hash", hash(value, "the leaf hash"))));
}

function join({ level, left, right, sibling, hash: value }, isRoot) {
  const other = sibling === "left" ? "right" : "left";
  return el("li", {},
    el("p", {}, `Level ${level}: the proof gives the ${sibling} hash, the ${other} one is ours. `
      + "Both are hashed together, with a one byte in front."),
    el("dl", { class: "facts" },
      ...row("Left", hash(left, `the left hash of level ${level}`)),
      ...row("Right", hash(right, `the right hash of level ${level}`)),
      ...row(isRoot ? "The root" : "Gives", hash(value, isRoot ? "the root" : `the hash of level ${level}`))),
    isRoot && el("p", {}, "This is the root that the log has signed."));
}

function drawing(leaf, joins) {
  const { width, step, top, bottom } = DRAWING;
  const height = top + bottom + joins.length * step;
  const y = (level) => top + (joins.length - level) * step;
  const description = `The path as a picture: ${joins.length} joins from the entry at the bottom to the root at the top.`;
  return svg("svg", { class: "drawing", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description },
    ...joins.flatMap((join, at) => lines(join, y(at), y(at + 1))),
    ...joins.map((join, at) => sibling(join, y(at))),
    node(DRAWING.middle, y(0), leaf.hash, "on"),
    label(y(0) + DRAWING.box[1], joins.length === 0 ? "the entry, and the root" : "the entry"),
    ...joins.map((join, at) => node(DRAWING.middle, y(at + 1), join.hash, "on")),
    joins.length > 0 && label(y(joins.length) - DRAWING.box[1] / 2 - 6, "the root"));
}

function lines(join, below, above) {
  const { middle, box: [, tall] } = DRAWING;
  const [from, to] = [below - tall / 2, above + tall / 2];
  return [
    svg("line", { x1: aside(join), y1: from, x2: middle, y2: to }),
    svg("line", { class: "on", x1: middle, y1: from, x2: middle, y2: to }),
  ];
}

function sibling(join, y) {
  return node(aside(join), y, join.sibling === "left" ? join.left : join.right, "beside");
}

function aside({ sibling: side }) {
  return DRAWING.middle + (side === "left" ? -DRAWING.aside : DRAWING.aside);
}

function node(x, y, value, kind) {
  const [wide, tall] = DRAWING.box;
  return svg("g", { class: kind },
    svg("rect", { x: x - wide / 2, y: y - tall / 2, width: wide, height: tall, rx: 3 }),
    svg("text", { x, y: y + 4 }, `${value.slice(0, SHORT)}…`));
}

function label(y, text) {
  return svg("text", { class: "role", x: DRAWING.middle, y }, text);
}
