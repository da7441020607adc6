// The page: trust and evidence go in, the verifier's thread judges, the report is shown.

import { announce, el, fill } from "./dom.js";
import { bytes } from "./format.js";
import { showNothing, showReport } from "./report.js";
import { loadSamples } from "./samples.js";
import { EvidencePanel, fromAddress } from "./source.js";
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

/** `#evidence=<address>`: evidence that lies beside the page, which takes the trust of the same host. */
async function takeAddress() {
  try {
    const given = await fromAddress(location);
    if (!given) return;
    if (!trust.isOwn()) await trust.askHost();
    evidence.take(given);
  } catch (error) {
    evidence.refuse(error.message);
  }
}

function onTrust() {
  clear("The trust has changed. Verify again.");
  at("verify").disabled = !canVerify();
}

function onEvidence(given) {
  clear();
  if (!given.isSample) trust.leaveSamples();
  at("verify").disabled = !canVerify();
  if (canVerify()) verify();
  else if (trust.isEmpty()) say("Say whom you trust, then verify.");
}

async function onSample(sample) {
  clear();
  await trust.takeSample(sample.trust);
  evidence.take(sample.evidence, { quietly: true });
  at("verify").disabled = !canVerify();
  verify();
}

function canVerify() {
  return evidence.given !== null && trust.isSound();
}

async function verify() {
  running?.cancel();
  const [given, text] = [evidence.given, trust.text];
  const nowMs = at("now").checked ? Date.now() : null;
  const run = thread.verify({ blob: given.blob, trust: text, nowMs }, showProgress);
  running = run;
  clear();
  showProgress({ read: 0, of: given.blob.size });
  at("run").hidden = false;
  try {
    const result = await run.answer;
    if (running !== run) return;
    showReport(at("report"), { ...result, given, trust: trust.origin, nowMs, thread });
  } catch (error) {
    if (running !== run) return;
    showNothing(at("report"), error instanceof Cancelled ? "You cancelled it." : error.message);
  } finally {
    if (running === run) finish();
  }
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

function clear(why) {
  at("report").hidden = true;
  fill(at("report"));
  if (why && evidence.given) say(why);
}

function say(text) {
  evidence.say(text);
  announce(text);
}
