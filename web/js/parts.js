// The parts of this page: inside it, or beside it under the names of their digests. Each is refused if it has another digest.

const LIST = JSON.parse(document.getElementById("parts").textContent);

/** The version of the page. */
export const version = LIST.version;

/** The commit of the page; `unknown` if it was not built from a clone. */
export const commit = LIST.commit;

/** Whether all parts are inside this one file. */
export const isWhole = LIST.worker.src === null;

/** The digest of a part, as reports write it. */
export function digestOfPart(name) {
  const bytes = atob(LIST[name].integrity.replace("sha256-", ""));
  return `sha256:${[...bytes].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("")}`;
}

/** The text of the worker. */
export async function workerText() {
  if (!isWhole) return (await beside("worker")).text();
  const text = document.getElementById("part-worker").textContent;
  await compare("worker", new TextEncoder().encode(text));
  return text;
}

/** The bytes of a verifier: `proofs`, or `wasm` for everything. */
export async function wasmBytes(name) {
  if (!isWhole) return (await beside(name)).arrayBuffer();
  const packed = bytesOf(document.getElementById(`part-${name}`).textContent);
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(plain).arrayBuffer();
  await compare(name, bytes);
  return bytes;
}

/** The evidence that a sealed case has inside, gzipped; null if this is not a case. */
export function sealedEvidence() {
  const element = document.getElementById("evidence");
  return element && new Blob([bytesOf(element.textContent)]);
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64.trim()), (byte) => byte.charCodeAt(0));
}

/** The browser compares the digest of what it fetches. */
async function beside(name) {
  const { src, integrity } = LIST[name];
  const answer = await fetch(new URL(src, document.baseURI), { integrity });
  if (!answer.ok) throw new Error(`${src} answers ${answer.status}`);
  return answer;
}

/** What is inside is compared here, where the browser offers a digest. */
async function compare(name, bytes) {
  if (!crypto.subtle) return;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const got = `sha256-${btoa(String.fromCharCode(...digest))}`;
  if (got !== LIST[name].integrity) throw new Error(`the ${name} in this file was changed`);
}
