// The verifier's own thread: it reads the evidence as a stream, and answers questions about what it has read.
//
// Each message in is `{ id, ask, ... }`; each answer `{ id, answer }` or `{ id, error }`, and while evidence is
// read `{ id, progress }`. One piece of evidence is held at a time, under the number of the run that verified it: whoever asks
// about another is told so.

import init, { Intake, checkTrust, codeSentence, digestOf, entryOfLine, entryOfProof } from "../verifier/verifier.js";
import { Evidence } from "./evidence.js";

/** How long the verifier works before it looks for messages and tells how far it is. */
const TURN_MS = 40;

/** How much is verified between two looks at the clock. */
const PIECE_BYTES = 32 * 1024;

const loaded = init({ module_or_path: new URL("../verifier/verifier_bg.wasm", import.meta.url) });
const cancelled = new Set();
let held = null;

const ANSWERS = {
  ready: () => true,
  cancel: ({ run }) => { cancelled.add(run); },
  checkTrust: ({ trust }) => checkTrust(trust),
  sentences: ({ codes }) => Object.fromEntries(codes.map((code) => [code, codeSentence(code) ?? ""])),
  verify,
  entries,
  place,
  path: ({ run, index }) => JSON.parse(of(run).intake.path(index)),
};

addEventListener("message", async ({ data }) => {
  const { id, ask } = data;
  try {
    await loaded;
    const answer = await ANSWERS[ask](data);
    postMessage({ id, answer });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error), isCancelled: error instanceof Cancelled });
  }
});

class Cancelled extends Error {}

/** Verifies a file under a trust: both are this message's own, so nothing that happens meanwhile can change them. */
async function verify({ id, blob, trust, nowMs }) {
  held?.intake.free();
  held = null;
  const intake = new Intake(trust, nowMs);
  try {
    const evidence = await Evidence.of(blob);
    await read(evidence, intake, id);
    const report = finish(evidence, intake);
    const outline = await evidence.outline();
    if (cancelled.has(id)) throw new Cancelled("cancelled");
    held?.intake.free();
    held = { run: id, evidence, intake };
    const told = JSON.parse(intake.told());
    return { run: id, report, told, digest: intake.digest(), trustDigest: digestOf(trust), ...outline };
  } catch (error) {
    intake.free();
    throw error;
  } finally {
    cancelled.delete(id);
  }
}

/** Reads to the end, also where the report is settled before it: the digest is that of the whole file. */
async function read(evidence, intake, id) {
  let turnEnds = performance.now() + TURN_MS;
  for await (const chunk of evidence.chunks()) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      evidence.take(intake.push(chunk.subarray(at, at + PIECE_BYTES)));
      if (performance.now() >= turnEnds) {
        postMessage({ id, progress: { read: evidence.bytesRead, of: evidence.bytesInAll } });
        await turn();
        if (cancelled.has(id)) throw new Cancelled("cancelled");
        turnEnds = performance.now() + TURN_MS;
      }
    }
  }
}

function finish(evidence, intake) {
  const end = intake.finish();
  evidence.take(end.plain());
  const report = end.report();
  end.free();
  return report;
}

/** What a run has verified, as long as no other has taken its place. */
function of(run) {
  if (held?.run !== run) throw new Error("other evidence has taken its place");
  return held;
}

/** Some entries, decoded; what cannot be decoded is its text and the reason. */
async function entries({ run, from, count }) {
  return Promise.all((await of(run).evidence.leaves(from, count)).map(decoded));
}

function decoded({ kind, bytes }) {
  try {
    return JSON.parse(kind === "pack" ? entryOfLine(bytes) : entryOfProof(bytes));
  } catch (error) {
    return { refused: String(error?.message ?? error), text: new TextDecoder().decode(bytes) };
  }
}

/** Where the entry of an index stands among those held: indices ascend. */
async function place({ run, index }) {
  let [low, high] = [0, of(run).evidence.count];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [entry] = await entries({ run, from: middle, count: 1 });
    if (entry.index === index) return middle;
    if (!(entry.index < index)) high = middle;
    else low = middle + 1;
  }
  return null;
}

/** Lets messages in. */
function turn() {
  return new Promise((resume) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); resume(); };
    port2.postMessage(null);
  });
}
