// Keeps a page up to date. When the log says something about what the page shows, the page is fetched anew and its parts
// are put in the place of the old ones. Without this script a page is as it was when it was loaded.

// Entries come in groups; a reader does not need each of them at once.
const PAUSE_MS = 400;

/** How often the service is asked whether it still answers: twice in a pulse of the log, in reasonable bounds. */
const ASKED_MS = Math.min(15_000, Math.max(1_000, Number(document.body.dataset.pulse) / 2));

const address = document.body.dataset.events;
const title = document.title;
let source = null;
let timer = null;
let turn = 0;
let asking = null;
/** When the service was last heard. */
let heardMs = Date.now();

setTitle();
showLocal();
if (address) {
  follow();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) rest();
    else if (!source) { follow(); refresh(); }
  });
  addEventListener("pagehide", rest);
}

function follow() {
  source = new EventSource(address);
  source.addEventListener("open", heard);
  source.addEventListener("error", doubt);
  asking = setInterval(ask, ASKED_MS);
  for (const name of ["entry", "transition"]) source.addEventListener(name, soon);
}

/** Nobody looks: the service need not tell. */
function rest() {
  source?.close();
  source = null;
  clearInterval(asking);
  say("");
}

/** Asks the service whether it answers. A stream that is silent says nothing: a stopped service keeps it open. */
async function ask() {
  try {
    const answer = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(ASKED_MS) });
    if (answer.ok) heard();
    else doubt();
  } catch {
    doubt();
  }
}

function heard() {
  heardMs = Date.now();
  showStale(null);
  if (source?.readyState === EventSource.OPEN) say("Live.");
}

/** The page says since when it knows nothing. */
function doubt() {
  say("");
  if (source) showStale(new Date(heardMs));
}

function showStale(since) {
  const shown = document.getElementById("stale");
  if (since === null) {
    shown?.remove();
    setTitle();
    return;
  }
  const text = `The service does not answer. This page knows nothing since ${since.toLocaleTimeString()} (${since.toISOString().slice(11, 19)} UTC).`;
  const made = shown ?? document.createElement("p");
  made.id = "stale";
  made.className = "stale";
  made.setAttribute("role", "alert");
  if (made.textContent !== text) made.textContent = text;
  if (!shown) document.querySelector("main").prepend(made);
  document.title = `No answer · ${title}`;
}

/** The tab says how many agents need somebody. */
function setTitle() {
  const needing = [...document.querySelectorAll("[data-needing]")].reduce((sum, one) => sum + Number(one.dataset.needing), 0);
  document.title = needing > 0 ? `(${needing}) ${title}` : title;
}

/** Beside each time in UTC the time where the reader is, as a tooltip. */
function showLocal() {
  for (const time of document.querySelectorAll("time")) time.title = `${new Date(time.dateTime).toLocaleString()} where you are`;
}

function soon() {
  timer ??= setTimeout(refresh, PAUSE_MS);
}

async function refresh() {
  // From here on an entry is news again; the newest answer is the one that is shown.
  timer = null;
  turn += 1;
  const mine = turn;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    const text = await answer.text();
    if (answer.ok && mine === turn) take(new DOMParser().parseFromString(text, "text/html"));
  } catch {
    doubt();
  }
}

/** Puts the parts of a page in the place of those shown, with what the reader had opened, scrolled and focused. */
function take(page) {
  const focused = document.activeElement;
  for (const part of page.querySelectorAll("[data-part]")) {
    const shown = document.getElementById(part.id);
    if (!shown || shown.innerHTML === part.innerHTML) continue;
    const kept = keep(shown);
    shown.replaceWith(document.adoptNode(part));
    restore(part, kept);
  }
  if (!focused.isConnected) refocus(focused);
  heard();
  showLocal();
}

function keep(part) {
  return {
    open: new Map([...part.querySelectorAll("details[id]")].map((one) => [one.id, one.open])),
    left: new Map([...part.querySelectorAll(".scroll[id]")].map((one) => [one.id, one.scrollLeft])),
  };
}

function restore(part, { open, left }) {
  for (const one of part.querySelectorAll("details[id]")) one.open = open.get(one.id) ?? one.open;
  for (const one of part.querySelectorAll(".scroll[id]")) one.scrollLeft = left.get(one.id) ?? 0;
}

/** The focus goes to what stands for the element that had it. */
function refocus(element) {
  const href = element.getAttribute("href");
  const same = element.id ? document.getElementById(element.id)
    : href && [...document.links].find((link) => link.getAttribute("href") === href);
  const details = element.parentElement?.id;
  const summary = element.tagName === "SUMMARY" && details && document.querySelector(`#${CSS.escape(details)} > summary`);
  (same || summary || null)?.focus({ preventScroll: true });
}

function say(text) {
  const live = document.querySelector(".live");
  if (live) live.textContent = text;
  document.documentElement.dataset.live = String(text !== "");
}
