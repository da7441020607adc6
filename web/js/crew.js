// Helpers of the worker that verifies: where the browser has cores, they check the signatures of a long pack beside it. It
// judges whatever they find, in the order of the file, and without them it does their work itself.

/** A shorter file is verified before helpers have begun. */
const MIN_BYTES = 1024 * 1024;

/** More helpers than these find nothing to do: the one who judges is then the slowest. */
const MAX_HELPERS = 8;

/** How many pieces each may have at hand. */
const PIECES_EACH = 3;

export class Crew {
  /** The text of this very script: from a disk, a worker starts only what it has made an address for itself. */
  script;

  #helpers = [];
  #shifts = new Map();

  get size() {
    return this.#helpers.length;
  }

  /** Helps to verify a file of so many bytes, if that is worth it; `compiled` is the verifier that the helpers run. */
  join(run, intake, size, compiled) {
    const cores = navigator.hardwareConcurrency ?? 1;
    if (size < MIN_BYTES || cores < 2) return null;
    try {
      while (this.size < Math.min(cores, MAX_HELPERS)) this.#helpers.push(this.#start(compiled));
    } catch {
      return null;
    }
    intake.invite();
    const shift = new Shift(this, run, intake);
    this.#shifts.set(run, shift);
    return shift;
  }

  /** A run has ended. */
  leave(run) {
    this.#shifts.delete(run);
  }

  /** Asks the helper that has the least to do. */
  ask(message, transfer) {
    const helper = this.#helpers.reduce((one, other) => (other.atHand < one.atHand ? other : one));
    helper.atHand += 1;
    helper.worker.postMessage(message, transfer);
  }

  tell(message) {
    for (const { worker } of this.#helpers) worker.postMessage(message);
  }

  #start(compiled) {
    // The same script helps if it is told so.
    const address = URL.createObjectURL(new Blob([this.script], { type: "text/javascript" }));
    const helper = { worker: new Worker(address), atHand: 0 };
    helper.worker.addEventListener("message", ({ data }) => this.#receive(helper, data));
    helper.worker.addEventListener("error", () => this.#lose());
    helper.worker.postMessage({ assist: compiled });
    return helper;
  }

  #receive(helper, { fault, run, ...answer }) {
    if (fault) return this.#lose();
    helper.atHand -= 1;
    return this.#shifts.get(run)?.take(answer);
  }

  /** Where one fails, all are let go: who judges does the work. */
  #lose() {
    for (const { worker } of this.#helpers) worker.terminate();
    this.#helpers = [];
    for (const shift of this.#shifts.values()) shift.wake();
  }
}

/** The help for one run. */
class Shift {
  #crew;
  #run;
  #intake;
  #hasBegun = false;
  #wake = () => {};

  constructor(crew, run, intake) {
    this.#crew = crew;
    this.#run = run;
    this.#intake = intake;
  }

  /** Hands out what there is, and waits as long as the helpers have enough. */
  work() {
    return this.#workUpTo(this.#crew.size * PIECES_EACH);
  }

  /** Waits for all that was handed out. */
  end() {
    return this.#workUpTo(0);
  }

  take({ number, found, keys }) {
    if (keys.length > 0) this.#crew.tell({ learn: keys });
    this.#intake.takeFound(number, found);
    this.wake();
  }

  wake() {
    this.#wake();
  }

  async #workUpTo(most) {
    this.#handOut();
    while (this.#crew.size > 0 && this.#intake.ahead() > most) {
      await new Promise((resolve) => { this.#wake = resolve; });
    }
  }

  #handOut() {
    if (!this.#hasBegun) {
      const keys = this.#intake.likelyKeys();
      if (keys === undefined) return;
      this.#hasBegun = true;
      this.#crew.tell({ begin: keys });
    }
    while (this.#crew.size > 0) {
      const piece = this.#intake.handOut();
      if (piece === undefined) return;
      const [number, lines] = [piece.number, piece.lines()];
      piece.free();
      this.#crew.ask({ run: this.#run, number, lines }, [lines.buffer]);
    }
  }
}

/** The helper's side. `load` gives the class of helpers. */
export async function help(load) {
  const early = [];
  let take = (message) => early.push(message);
  addEventListener("message", ({ data }) => take(data));
  try {
    const Helper = await load();
    let helper = new Helper();
    take = ({ begin, learn, ...piece }) => {
      if (begin) {
        helper.free();
        helper = new Helper();
      }
      if (begin ?? learn) helper.learn(begin ?? learn);
      else post(helper, piece);
    };
    early.splice(0).forEach((message) => take(message));
  } catch (error) {
    postMessage({ fault: String(error) });
  }
}

function post(helper, { run, number, lines }) {
  const read = helper.read(lines);
  const [found, keys] = [read.found(), read.keys()];
  read.free();
  postMessage({ run, number, found, keys }, [found.buffer]);
}
