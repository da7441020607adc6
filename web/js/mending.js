// Evidence that a program altered on its way: mended only if the reader says so, and then always named as mended.

import { button, el } from "./dom.js";

const LF = 10;
const CR = 13;
const BOM = [0xef, 0xbb, 0xbf];

const WAYS = {
  bom: {
    found: "The file begins with a byte order mark that an editor or a mail program added.",
    ask: "Verify a copy without the byte order mark",
    done: "the byte order mark at its start was removed",
    mend: async (blob) => new Blob([withoutBom(new Uint8Array(await blob.arrayBuffer()))]),
  },
  crlf: {
    found: "The lines of the file end in CR LF. Mail programs and editors do that to text files.",
    ask: "Verify a copy with LF at the ends of lines",
    done: "CR LF at the ends of lines became LF",
    mend: async (blob) => new Blob([withoutCr(new Uint8Array(await blob.arrayBuffer()))]),
  },
  newline: {
    found: "The last line of the file has lost its end. Copying text does that.",
    ask: "Verify a copy with the last line ended",
    done: "the end of the last line was put back",
    mend: (blob) => new Blob([blob, "\n"]),
  },
};

/** Offers to mend what the verifier named, and to verify the copy. */
export function offerMending(verdict, { told, subject }, verify) {
  const { found, ask, done, mend } = WAYS[told.altered];
  const { given } = subject;
  const act = button(ask, async () => {
    const healed = [given.healed, done].filter(Boolean).join("; ");
    verify({ blob: await mend(given.blob), name: `${given.name}, repaired by you`, healed });
  }, { class: "primary" });
  verdict.querySelector(".verdict").append(el("div", { class: "mending" }, el("p", {}, found,
    " The verdict on the original file does not change. The copy gets its own verdict."), act));
}

/** Without one in front, or in front of a line: checkpoints from two files are one behind the other. */
function withoutBom(bytes) {
  const isBom = (at) => (at === 0 || bytes[at - 1] === LF) && BOM.every((byte, offset) => bytes[at + offset] === byte);
  const isKept = (_, at) => ![0, 1, 2].some((back) => isBom(at - back));
  return bytes.filter(isKept);
}

function withoutCr(bytes) {
  const isKept = (byte, at) => byte !== CR || bytes[at + 1] !== LF;
  return bytes.filter(isKept);
}
