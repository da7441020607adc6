// The page: trust and evidence go in, the verifier's thread judges, the report is shown.

import { noVerdict } from "./answers.js";
import { Comparison, checkpointIn } from "./certificate.js";
import { announce, button, el, fill } from "./dom.js";
import { Progress } from "./progress.js";
import { showBuild } from "./build.js";
import { offerMending } from "./mending.js";
import { isWhole, sealedEvidence } from "./parts.js";
import { showReport } from "./report.js";
import { loadSamples } from "./samples.js";
import { openCase } from "./sealed.js";
import { EvidencePanel, addressIn, fetchEvidence, sizesIn } from "./source.js";
import { TrustPanel } from "./trust.js";
import { Cancelled, VerifierThread } from "./verifier.js";

const at = (id) => document.getElementById(id);

const thread = new VerifierThread();
const trust = new TrustPanel(thread, onTrust, onFingerprint);
const comparison = new Comparison(thread);
const evidence = new EvidencePanel(onEvidence, {
  trust: (file) => trust.takeFile(file),
  certificate: (file) => comparison.take(file),
  checkpoint: () => ownCheckpoint,
});
const progress = new Progress(() => running?.cancel());
let running = null;
/** The checkpoint of the evidence that was verified last, if it is the reader's own. */
let ownCheckpoint = null;

at("verify").addEventListener("click", verify);
addEventListener("hashchange", takeAddress);
addEventListener("beforeprint", openAnswers);
start();

/**
 * All that the page will ever need is fetched now, so that it works when the network is gone. What verifies proof files is
 * there first, and evidence by address does not wait for the rest.
 */
async function start() {
  at("ready").textContent = "Loading the verifier…";
  showBuild();
  try {
    await thread.ask("ready");
    if (isWhole) at("samples").hidden = true;
    else await loadSamples(at("samples-good"), at("samples-broken"), onSample);
    await takeCase();
    const taken = takeAddress();
    await thread.whole;
    sayReady();
    await taken;
  } catch (error) {
    at("ready").textContent = `The page is not complete: ${error.message}. Load it again.`;
    return;
  }
  document.documentElement.dataset.ready = "true";
}

function sayReady() {
  at("ready").classList.add("is-there");
  if (document.documentElement.dataset.sealed) at("ready").textContent = "The evidence is in this file, and so is the verifier. Nothing is sent anywhere.";
  else if (isWhole) at("ready").textContent = "Everything is in this file. It needs no network.";
  else at("ready").textContent = "Everything is loaded. From here on the page needs no network.";
}

/** A sealed case brings its evidence, and waits for the fingerprint. */
async function takeCase() {
  const sealed = sealedEvidence();
  if (sealed === null) return;
  evidence.given = await openCase(sealed);
  at("fingerprint").focus();
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
  progress.start("Fetching");
  try {
    const given = await fetchEvidence(address, location, (read) => { if (evidence.isStill(turn)) progress.show(read); });
    if (!evidence.isStill(turn)) return;
    if (!trust.isOwn()) await trust.askHost();
    if (evidence.isStill(turn)) evidence.take(given);
  } catch (error) {
    if (evidence.isStill(turn)) evidence.refuse(error.message);
  } finally {
    if (evidence.isStill(turn) && running === null) progress.end();
  }
}

/** The trust has changed, which no verdict outlives; or another one is being read, which may still come to nothing. */
function onTrust(hasChanged) {
  if (hasChanged) clear("The trust has changed. Verify again.");
  else at("verify").disabled = !canVerify();
}

/**
 * A fingerprint was typed. If the reader has no trust of their own, the charter that the evidence brings is compared with
 * it, and if it is the one, the evidence is verified.
 */
async function onFingerprint() {
  const { given } = evidence;
  if (given === null || trust.isOwnAndSound() || given.isSample) return;
  if (await trust.pin(given.blob)) {
    trust.say("is-good", "It matches. This is the log that you were told about.");
    if (evidence.given === given) verify();
  } else {
    trust.say("is-bad", "It does not match: the log of this evidence is another one, or a digit is wrong.");
  }
}

async function onEvidence(given) {
  clear();
  if (!given.isSample) await trust.leaveSamples();
  if (evidence.given !== given) return;
  clear();
  if (canVerify()) verify();
  else if (trust.isEmpty() && trust.typed !== null) onFingerprint();
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
  const { given } = evidence;
  const subject = Object.freeze({ given, trust: trust.current, nowMs, healed: given.healed });
  const run = thread.verify({ blob: given.blob, trust: subject.trust.text, nowMs }, (read) => {
    if (running === run) progress.show(read);
  });
  running = run;
  evidence.sayGiven();
  progress.start("Verifying", given.blob.size);
  try {
    const result = await run.answer;
    if (running !== run) return;
    await show({ ...result, subject, thread });
  } catch (error) {
    if (running !== run) return;
    fill(at("verdict"), noVerdict(error instanceof Cancelled ? "You cancelled it." : error.message));
  }
  if (running === run) finish();
}

async function show(result) {
  const fingerprint = await thread.ask("checkTrust", { trust: result.subject.trust.text });
  showReport(at("verdict"), at("report"), { ...result, fingerprint, comparison });
  if (result.told.altered) offerMending(at("verdict"), result, (mended) => evidence.take(mended));
  ownCheckpoint = checkpointOf(result);
  if (!isWhole && canFetchProof(result)) offerProof(result);
  else if (!isWhole && canFetchAll(result)) offerAll();
  at("report").hidden = false;
}

/** What is incomplete because entries are missing is completed by the whole log, if this host is the one that has it. */
function canFetchAll({ kind, told, subject }) {
  const lacks = told.answers.some(({ id, answer }) => id === "allowed" && answer === "not-checked");
  return lacks && told.is_evidence && kind !== "checkpoints" && subject.trust.from !== "samples" && location.pathname.endsWith("/verify/");
}

/** A later checkpoint can be compared with the one in the evidence that is there. */
function checkpointOf({ kind, head, subject }) {
  if (subject.given.isSample || !["pack", "proof"].includes(kind)) return null;
  const text = checkpointIn(head, kind);
  return text && { text, name: `the checkpoint in ${subject.given.name}` };
}

/** Two checkpoints that lack their proof, where this host may have it. */
function canFetchProof({ kind, told, subject }) {
  const lacks = told.answers.some(({ id, answer }) => id === "consistent" && answer === "not-checked");
  return kind === "checkpoints" && lacks && subject.trust.from !== "samples" && location.pathname.endsWith("/verify/");
}

function offerProof({ head, subject }) {
  const [old, newer] = sizesIn(head.join(""));
  const act = button("Fetch the proof from this host and verify", async () => {
    const { given } = subject;
    const turn = evidence.expect("the consistency proof");
    clear();
    try {
      const { blob } = await fetchEvidence(`/v1/consistency?old=${old}&new=${newer}`, location);
      if (evidence.isStill(turn)) evidence.take({ blob: new Blob([given.blob, blob]), name: `${given.name}, with the proof of this host` });
    } catch (error) {
      if (evidence.isStill(turn)) evidence.refuse(error.message);
    }
  });
  at("verdict").querySelector(".verdict").append(el("p", { class: "completes" }, act));
}

function offerAll() {
  const link = el("a", { href: "#evidence=/v1/pack?from=0", class: "button" }, "Fetch the whole log from this host and verify it");
  at("verdict").querySelector(".verdict").append(el("p", { class: "completes" }, link));
}

function finish() {
  running = null;
  progress.end();
  const title = at("verdict-title");
  title.focus({ preventScroll: true });
  at("verdict").scrollIntoView({ block: "start" });
}

/** Takes the verdict away, and stops what would lead to one: whatever it was about is not what is there now. */
function clear(why) {
  running?.cancel();
  running = null;
  progress.end();
  at("report").hidden = true;
  fill(at("verdict"));
  fill(at("report"));
  at("verify").disabled = !canVerify();
  if (why && evidence.given) say(why);
}

/** Nobody can open on paper what belongs to an answer. */
function openAnswers() {
  for (const details of at("verdict").querySelectorAll(".answers details")) details.open = true;
}

function say(text) {
  evidence.say(text);
  announce(text);
}
