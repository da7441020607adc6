// The page's side of the verifier's thread: questions are promises.

import { wasmBytes, workerText } from "./parts.js";

/** The answer to a run that was cancelled. */
export class Cancelled extends Error {}

export class VerifierThread {
  #worker;
  #asked = new Map();
  #next = 1;

  constructor() {
    this.#worker = this.#start();
    this.#worker.catch(() => {});
  }

  /** Whether everything is loaded: what verifies proof files comes first, and questions about packs wait for the rest. */
  get whole() {
    return this.ask("whole");
  }

  /** Asks once; the answer comes, or an error. */
  ask(ask, details = {}) {
    return this.#send({ ask, ...details }).answer;
  }

  /** Verifies a blob. `onProgress` hears how many bytes of it were read. */
  verify(details, onProgress) {
    const { id, answer } = this.#send({ ask: "verify", ...details }, onProgress);
    return { answer, cancel: () => this.ask("cancel", { run: id }) };
  }

  async #start() {
    const [text, wasm] = await Promise.all([workerText(), wasmBytes("proofs")]);
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const worker = new Worker(address);
    worker.addEventListener("message", ({ data }) => this.#receive(data));
    worker.addEventListener("error", (event) => this.#stop(event.message || "it could not be loaded"));
    worker.postMessage({ load: "proofs", wasm, script: text });
    wasmBytes("wasm").then((bytes) => worker.postMessage({ load: "packs", wasm: bytes }), (error) => this.#stop(error.message));
    return worker;
  }

  #send(message, onProgress) {
    const id = this.#next;
    this.#next += 1;
    const answer = new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject, onProgress }));
    this.#worker.then((worker) => worker.postMessage({ id, ...message }), (error) => this.#stop(error.message));
    return { id, answer };
  }

  #receive({ id, answer, error, isCancelled, isSuperseded, progress }) {
    const asked = this.#asked.get(id);
    if (!asked) return;
    if (progress) {
      asked.onProgress?.(progress);
      return;
    }
    this.#asked.delete(id);
    // Whoever asked about evidence that is gone has nothing left to show: it is never answered.
    if (isSuperseded) return;
    if (error === undefined) asked.resolve(answer);
    else asked.reject(isCancelled ? new Cancelled(error) : new Error(error));
  }

  #stop(why) {
    for (const { reject } of this.#asked.values()) reject(new Error(`the verifier stopped: ${why}`));
    this.#asked.clear();
  }
}
