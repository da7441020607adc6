// Elements from words: text only ever becomes a text node, so nothing in evidence can become markup.

/** How long a browser may take to begin with saving. */
const KEPT_MS = 1000;

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children. A text becomes a text node; what is null or false is left out. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for drawings. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Puts children in the place of those that an element has. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(isThere));
}

/** A button that does something. */
export function button(label, action, attributes = {}) {
  const made = el("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", action);
  return made;
}

/** A term and what it is, for a description list. */
export function row(term, ...description) {
  return [el("dt", {}, term), el("dd", {}, ...description)];
}

/** A hash, whole, with a button that copies it. `what` says which, to those who hear the button only. */
export function hash(value, what) {
  const code = el("code", { class: "hash-text" }, value);
  return el("span", { class: "hash" }, code, copyButton(() => value, `Copy ${what}`, code));
}

/** A button that copies a text. Where the clipboard is out of reach, the text is selected instead. */
export function copyButton(text, label, shown) {
  const made = button("Copy", async () => {
    made.textContent = await copy(text(), shown);
    announce(`${label}: ${made.textContent.toLowerCase()}`);
  }, { class: "copy", "aria-label": label });
  made.addEventListener("blur", () => { made.textContent = "Copy"; });
  return made;
}

/** Saves a text as a file. */
export function download(text, name, type) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}

/** Says something to those who listen. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    if (!shown) return "Not copied";
    getSelection().selectAllChildren(shown);
    return "Selected";
  }
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (isThere(value)) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter(isThere));
  return element;
}

function isThere(value) {
  return value !== null && value !== undefined && value !== false;
}
