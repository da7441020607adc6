// A sealed case, put together here from the page in one file, as `dragons export --page` does it.

import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

import { DIST } from "./host.mjs";

const PLACE = "<!--evidence--><!--/evidence-->";

/** A case with this evidence. */
export async function sealed(evidence) {
  const page = await readFile(new URL("page.html", DIST), "utf8");
  if (!page.includes(PLACE)) throw new Error("the page has no place for evidence");
  const base64 = gzipSync(evidence).toString("base64");
  return page.replace(PLACE, () => `<!--evidence--><script type="application/octet-stream" id="evidence">${base64}</script><!--/evidence-->`);
}
