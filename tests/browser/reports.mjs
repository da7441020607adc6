// Verifies a list of evidence with the verifiers that the page has, and prints a line of reports for each: at once, then in
// chunks of each size, and last with the module of proof files if it is none of the others. The list is a file, `[{"evidence":<path>,"trust":<text>,"chunks":[<bytes>, …]}, …]`.

import { readFile } from "node:fs/promises";

import { DIST } from "./host.mjs";

const { verify, Verifier } = await loaded("verifier");
const proofs = await loaded("proofs");

for (const { evidence, trust, chunks } of JSON.parse(await readFile(process.argv[2]))) {
  const bytes = await readFile(evidence);
  const reports = [verify(bytes, trust, null), ...chunks.map((size) => inChunks(bytes, trust, size))];
  if (!isForPacks(bytes)) reports.push(proofs.verify(bytes, trust));
  console.log(JSON.stringify(reports));
}

async function loaded(name) {
  const module = await import(new URL(`verifier/${name}.js`, DIST));
  await module.default({ module_or_path: await readFile(new URL(`verifier/${name}_bg.wasm`, DIST)) });
  return module;
}

function isForPacks(bytes) {
  return bytes.subarray(0, 8).toString() === '{"pack":' || (bytes[0] === 0x1f && bytes[1] === 0x8b);
}

function inChunks(bytes, trust, size) {
  const verifier = new Verifier(trust, null);
  for (let at = 0; at < bytes.length; at += size) {
    if (verifier.push(bytes.subarray(at, at + size))) break;
  }
  const report = verifier.finish();
  verifier.free();
  return report;
}
