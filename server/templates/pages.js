// Keeps a page up to date. When the log says something about what the page shows, the page is fetched anew and its parts
// are put in the place of the old ones. Without this script a page is as it was when it was loaded.

// Entries come in groups; a reader does not need each of them at once.
const PAUSE_MS = 400;

const address = document.body.dataset.events;
let source = null;
let timer = null;
let turn = 0;

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
  source.addEventListener("open", () => say("Live."));
  source.addEventListener("error", () => say(""));
  for (const name of ["entry", "transition"]) source.addEventListener(name, soon);
}

/** Nobody looks: the service need not tell. */
function rest() {
  source?.close();
  source = null;
  say("");
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
    // The stream says when the service is back.
    say("");
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
  if (source?.readyState === EventSource.OPEN) say("Live.");
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
