// The page: trust and evidence go in, the verifier's thread judges, the report is shown.

import { announce, el, fill } from "./dom.js";
import { bytes } from "./format.js";
import { showNothing, showReport } from "./report.js";
import { loadSamples } from "./samples.js";
import { EvidencePanel, addressIn, fetchEvidence } from "./source.js";
import { TrustPanel } from "./trust.js";
import { Cancelled, VerifierThread } from "./verifier.js";

const at = (id) => document.getElementById(id);

const thread = new VerifierThread();
const trust = new TrustPanel(thread, onTrust);
const evidence = new EvidencePanel(onEvidence);
let running = null;

at("verify").addEventListener("click", verify);
at("run-cancel").addEventListener("click", () => running?.cancel());
addEventListener("hashchange", takeAddress);
start();

/** All that the page will ever need is fetched now, so that it works when the network is gone. */
async function start() {
  try {
    await thread.ask("ready");
    await loadSamples(at("samples-good"), at("samples-broken"), onSample);
    at("ready").textContent = "All is loaded. From here on it works without a network.";
    at("ready").classList.add("is-there");
  } catch (error) {
    at("ready").textContent = `The page did not load whole: ${error.message}. Load it again.`;
    return;
  }
  document.documentElement.dataset.ready = "true";
  await takeAddress();
}

/**
 * `#evidence=<address>`: evidence that lies beside the page, which takes the trust of the same host. What was asked for last
 * counts, whatever comes first.
 */
async function takeAddress() {
  const address = addressIn(location);
  if (address === null) return;
  const turn = evidence.expect(address);
  clear();
  try {
    const given = await fetchEvidence(address, location);
    if (!evidence.isStill(turn)) return;
    if (!trust.isOwn()) await trust.askHost();
    if (evidence.isStill(turn)) evidence.take(given);
  } catch (error) {
    if (evidence.isStill(turn)) evidence.refuse(error.message);
  }
}

/** The trust has changed, which no verdict outlives; or another one is being read, which may still come to nothing. */
function onTrust(hasChanged) {
  if (hasChanged) clear("The trust has changed. Verify again.");
  else at("verify").disabled = !canVerify();
}

async function onEvidence(given) {
  clear();
  if (!given.isSample) await trust.leaveSamples();
  if (evidence.given !== given) return;
  clear();
  if (canVerify()) verify();
  else if (trust.isEmpty()) say("Say whom you trust, then verify.");
}

async function onSample(sample) {
  const turn = evidence.expect(sample.evidence.name);
  clear();
  const isTaken = await trust.takeSample(sample.trust);
  if (isTaken && evidence.isStill(turn)) evidence.take(sample.evidence);
}

function canVerify() {
  return evidence.given !== null && trust.isSound();
}

/** One evidence and one trust, frozen before anything is read: the verdict belongs to these two, and names them. */
async function verify() {
  clear();
  const nowMs = at("now").checked ? Date.now() : null;
  const subject = Object.freeze({ given: evidence.given, trust: trust.current, nowMs });
  const run = thread.verify({ blob: subject.given.blob, trust: subject.trust.text, nowMs }, (progress) => {
    if (running === run) showProgress(progress);
  });
  running = run;
  showProgress({ read: 0, of: subject.given.blob.size });
  at("run").hidden = false;
  try {
    const result = await run.answer;
    if (running !== run) return;
    showReport(at("report"), { ...result, subject, thread });
  } catch (error) {
    if (running !== run) return;
    showNothing(at("report"), error instanceof Cancelled ? "You cancelled it." : error.message);
  }
  finish();
}

function finish() {
  running = null;
  at("run").hidden = true;
  at("report").hidden = false;
  const title = at("verdict-title");
  title.focus();
  title.scrollIntoView({ block: "start" });
}

function showProgress({ read, of }) {
  at("run-bar").max = Math.max(of, 1);
  at("run-bar").value = read;
  fill(at("run-text"), el("span", {}, `${bytes(read)} of ${bytes(of)} read`));
}

/** Takes the verdict away, and stops what would lead to one: whatever it was about is not what is there now. */
function clear(why) {
  running?.cancel();
  running = null;
  at("run").hidden = true;
  at("report").hidden = true;
  fill(at("report"));
  at("verify").disabled = !canVerify();
  if (why && evidence.given) say(why);
}

function say(text) {
  evidence.say(text);
  announce(text);
}
