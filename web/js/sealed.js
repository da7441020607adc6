// A sealed case: this file has evidence inside, and no trust. It asks for the fingerprint first.

import { el, fill } from "./dom.js";
import { bytes } from "./format.js";

/** More than the longest header of a pack. */
const HEADER_BYTES = 64 * 1024;

/** Shows the page as a case, and gives its evidence. */
export async function openCase(gzipped) {
  const at = (id) => document.getElementById(id);
  document.documentElement.dataset.sealed = "true";
  document.title = "Evidence case · Dragons";
  at("heading").textContent = "Evidence case";
  at("lede").textContent = "This file holds evidence and the program that verifies it. It holds no trust: whoever made it could "
    + "have made up everything in it. Type the fingerprint that you were given by another channel to get a verdict.";
  fill(at("trust-title"), "Type the fingerprint that you were given");
  at("trust-lede").textContent = "It belongs to the log, and not to this file. If it came together with this file, it proves nothing: "
    + "ask somebody you know for it.";
  at("fingerprint-label").textContent = "Fingerprint, eight groups of four digits";
  fill(at("given-title"), "What is inside");
  at("drop").hidden = true;
  const blob = await unwrapped(gzipped);
  const header = await headerOf(blob);
  at("evidence-origin").textContent = `${header}, ${bytes(blob.size)}.`;
  at("trust-edit").before(el("p", { class: "soft" }, "With a trust file instead, choose it here."));
  return Object.freeze({ blob, name: "The evidence in this file" });
}

/** The evidence as it was before it was put into the file, so that its digest is the same. What does not unwrap stays as it is. */
async function unwrapped(gzipped) {
  try {
    return await new Response(gzipped.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  } catch {
    return gzipped;
  }
}

/** What the pack says it is, unverified. */
async function headerOf(blob) {
  try {
    const value = await blob.slice(0, HEADER_BYTES).text();
    const { origin, selection, count } = JSON.parse(value.slice(0, value.indexOf("\n")));
    return `According to itself, ${count} entries of ${origin}${named(selection)}`;
  } catch {
    return "Evidence of a kind that only the verifier can recognise";
  }
}

function named({ agent, goal, range }) {
  if (agent) return `, those about the agent ${agent}`;
  if (goal) return ", those of one goal";
  return `, from ${range.from} up to ${range.to}`;
}
