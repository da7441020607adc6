// The verifier's own thread: it reads the evidence as a stream, and answers questions about what it has read.
//
// Each message in is `{ id, ask, ... }`; each answer `{ id, answer }` or `{ id, error }`, and while evidence is
// read `{ id, progress }`. One piece of evidence is held at a time, under the number of the run that verified it: whoever asks
// about another is told so.

import initProofs, { Intake as ProofIntake, checkTrust, codeSentence, digestOf, entryOfProof, fingerprintOfCharter, fingerprintOfKey, pathFrom } from "../verifier/proofs.js";
import initPacks, { Helper, Intake as PackIntake, Stories, entryOfLine, trustOfCharter } from "../verifier/verifier.js";
import { Crew, help } from "./crew.js";
import { Evidence, LEAF_START, readAll, startsAsGzip, startsAsPack } from "./evidence.js";

/** How long the verifier works before it looks for messages and tells how far it is. */
const TURN_MS = 40;

/** Where a keyid stands in the digest of a key: its first 16 bytes. */
const KEYID = { from: "sha256:".length, to: "sha256:".length + 32 };

/** The longest head that a charter is looked for behind. */
const MAX_HEAD_CHARACTERS = 32 * 1024 * 1024;

/** How much is verified between two looks at the clock. */
const PIECE_BYTES = 32 * 1024;

/** How many entries are heard between two looks for messages. */
const HEARD_AT_ONCE = 256;

const text = new TextEncoder();
/** The two modules: proof files need the first alone. */
const proofs = module(initProofs);
const packs = module(initPacks);
const crew = new Crew();
const cancelled = new Set();
let held = null;

const ANSWERS = {
  ready: () => true,
  whole: async () => { await packs.loaded; return true; },
  cancel: ({ run }) => { cancelled.add(run); },
  checkTrust: ({ trust }) => { checkTrust(trust); return fingerprintOfCharter(JSON.parse(trust).charter); },
  pin: async ({ blob, fingerprint }) => {
    await packs.loaded;
    return trustOfCharter(await firstEntry(blob), fingerprint);
  },
  fingerprints: ({ keys }) => keys.map((key) => fingerprintOfKey(key)),
  keyids: ({ keys }) => keys.map((key) => digestOf(Uint8Array.from(atob(key), (byte) => byte.charCodeAt(0))).slice(KEYID.from, KEYID.to)),
  digest: ({ text: given }) => digestOf(text.encode(given)),
  sentences: ({ codes }) => Object.fromEntries(codes.map((code) => [code, codeSentence(code) ?? ""])),
  verify,
  entries,
  place,
  search,
  reportDigest,
  stories,
  bytes: ({ run, place: at }) => of(run).evidence.leaves(at, 1).then(([{ bytes }]) => new TextDecoder().decode(bytes)),
  path: ({ run, index }) => JSON.parse(of(run).intake.path(index)),
  pathFrom: ({ leaf, index, size, hashes }) => JSON.parse(pathFrom(leaf, index, size, hashes)),
};

addEventListener("message", async ({ data }) => {
  const { id, ask, load, wasm, script, assist } = data;
  if (assist) {
    help(() => initPacks({ module_or_path: assist }).then(() => Helper));
    return;
  }
  if (load) {
    crew.script ??= script;
    (load === "proofs" ? proofs : packs).load(wasm);
    return;
  }
  if (id === undefined) return;
  try {
    await proofs.loaded;
    const answer = await ANSWERS[ask](data);
    postMessage({ id, answer });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error), isCancelled: error instanceof Cancelled,
      isSuperseded: error instanceof Superseded });
  }
});

/** A module that is loaded once its bytes are here; compiled once, whoever runs it. */
function module(init) {
  let load;
  const compiled = new Promise((resolve) => { load = (bytes) => resolve(WebAssembly.compile(bytes)); });
  return { load: (bytes) => load(bytes), compiled, loaded: compiled.then((wasm) => init({ module_or_path: wasm })) };
}

/** What verifies this file, and the part of the page that it is: packs, and what is gzipped, take the module that verifies everything. */
async function intakeOf(blob, trust, nowMs) {
  if (!(await startsAsPack(blob)) && !(await startsAsGzip(blob))) return { intake: new ProofIntake(trust, nowMs), part: "proofs" };
  await packs.loaded;
  return { intake: new PackIntake(trust, nowMs), part: "wasm" };
}

class Cancelled extends Error {}

/** Verifies a file under a trust: both are this message's own, so nothing that happens meanwhile can change them. */
async function verify({ id, blob, trust, nowMs }) {
  held?.intake.free();
  held = null;
  const { intake, part } = await intakeOf(blob, trust, nowMs);
  try {
    const evidence = await Evidence.of(blob);
    const shift = part === "wasm" ? crew.join(id, intake, blob.size, await packs.compiled) : null;
    await read(evidence, intake, id, shift);
    const report = finish(evidence, intake);
    const outline = await evidence.outline();
    if (cancelled.has(id)) throw new Cancelled("cancelled");
    held?.intake.free();
    held = { run: id, evidence, intake };
    const told = JSON.parse(intake.told());
    const digests = { digest: intake.digest(), trustDigest: digestOf(text.encode(trust)), reportDigest: digestOf(text.encode(report)) };
    return { run: id, part, report, told, ...digests, ...outline };
  } catch (error) {
    intake.free();
    throw error;
  } finally {
    crew.leave(id);
    cancelled.delete(id);
  }
}

/** The digest of the report that comes out without a clock. What is held stays held. */
async function reportDigest({ id, blob, trust }) {
  const { intake } = await intakeOf(blob, trust, null);
  const evidence = await Evidence.of(blob);
  await read(evidence, intake, id);
  const report = finish(evidence, intake);
  intake.free();
  return digestOf(text.encode(report));
}

/** Reads to the end, also where the report is settled before it: the digest is that of the whole file. */
async function read(evidence, intake, id, shift = null) {
  let turnEnds = performance.now() + TURN_MS;
  for await (const chunk of evidence.chunks()) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      evidence.take(intake.push(chunk.subarray(at, at + PIECE_BYTES)));
      if (shift !== null) await shift.work();
      if (performance.now() >= turnEnds) {
        postMessage({ id, progress: { read: evidence.bytesRead, of: evidence.bytesInAll } });
        await turn();
        if (cancelled.has(id)) throw new Cancelled("cancelled");
        turnEnds = performance.now() + TURN_MS;
      }
    }
  }
  await shift?.end();
}

function finish(evidence, intake) {
  const end = intake.finish();
  evidence.take(end.plain());
  const report = end.report();
  end.free();
  return report;
}

/** Other evidence has taken the place of what was asked about. */
class Superseded extends Error {}

/** What a run has verified, as long as no other has taken its place. */
function of(run) {
  if (held?.run !== run) throw new Superseded("other evidence has taken its place");
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

/** The entries that pass a filter, in their order; `more` says from where to go on. */
async function search({ run, from, count, filter }) {
  const found = [];
  const { evidence } = of(run);
  let at = from;
  for (; at < evidence.count && found.length < count; at += 1) {
    const [entry] = await entries({ run, from: at, count: 1 });
    if (passes(entry, filter)) found.push({ ...entry, place: at });
    if (at % 256 === 255) await turn();
  }
  return { found, more: at < evidence.count ? at : null };
}

/** The goals that the entries tell of, by the library that `dragons replay` tells them by. */
async function stories({ run }) {
  const { evidence } = of(run);
  const told = new Stories();
  try {
    for (let from = 0; from < evidence.count; from += HEARD_AT_ONCE) {
      for (const { bytes } of await of(run).evidence.leaves(from, HEARD_AT_ONCE)) told.hear(bytes);
      await turn();
    }
    return JSON.parse(told.told());
  } finally {
    told.free();
  }
}

function passes(entry, { agent, kind, signer, record, indices, text: wanted, before, since }) {
  if (entry.refused !== undefined) return false;
  const { payload, envelope, index, received_ms: receivedMs } = entry;
  return (!record || entry.record === record)
    && (!agent || payload.agent === agent)
    && (!kind || entry.kind === kind)
    && (!signer || envelope.signatures.some(({ keyid }) => keyid === signer))
    && (!indices || indices.includes(index))
    && (!since || receivedMs >= since) && (!before || receivedMs < before)
    && (!wanted || entry.record.includes(wanted) || JSON.stringify(payload).includes(wanted));
}

/** The first line of a pack that holds an entry: the charter, in a pack that begins with the log. */
async function firstEntry(blob) {
  let held = "";
  const stream = (await startsAsGzip(blob)) ? blob.stream().pipeThrough(new DecompressionStream("gzip")) : blob.stream();
  for await (const chunk of readAll(stream.pipeThrough(new TextDecoderStream()))) {
    held += chunk;
    const start = held.startsWith(LEAF_START) ? 0 : held.indexOf(`\n${LEAF_START}`) + 1;
    if (start > 0 && held.includes("\n", start)) return text.encode(held.slice(start, held.indexOf("\n", start) + 1));
    if (held.length > MAX_HEAD_CHARACTERS) break;
  }
  throw new Error("the log's first charter is not in this evidence");
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
