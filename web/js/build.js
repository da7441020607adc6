// What this page is: its version, its commit, and the digests of its parts. docs/verify-page.md says how to check them from
// outside, since a page that was changed would say here what it likes.

import { fill, hash, row } from "./dom.js";
import { commit, digestOfPart, isWhole, version } from "./parts.js";

export function showBuild() {
  fill(document.getElementById("build"),
    row("Version", version),
    row("Commit", commit),
    row("Verifier", hash(digestOfPart("wasm"), "the SHA-256 of the verifier")),
    row("Verifier of proof files", hash(digestOfPart("proofs"), "the SHA-256 of the verifier of proof files")),
    row("Script", hash(digestOfPart("script"), "the SHA-256 of the script")));
  document.getElementById("save-page").hidden = isWhole;
}
