// Verifies a list of evidence with the verifier that the page has, and prints a line of reports for each: at once,
// then in chunks of each size. The list is a file, `[{"evidence":<path>,"trust":<text>,"chunks":[<bytes>, …]}, …]`.

import { readFile } from "node:fs/promises";

import { DIST } from "./host.mjs";

const { default: init, verify, Verifier } = await import(new URL("verifier/verifier.js", DIST));
await init({ module_or_path: await readFile(new URL("verifier/verifier_bg.wasm", DIST)) });

for (const { evidence, trust, chunks } of JSON.parse(await readFile(process.argv[2]))) {
  const bytes = await readFile(evidence);
  const reports = [verify(bytes, trust, null), ...chunks.map((size) => inChunks(bytes, trust, size))];
  console.log(JSON.stringify(reports));
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
