// The programs of this workspace, as the sources at hand make them.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Builds both programs, unless they are built, and gives their folder. */
export function build() {
  execFileSync("cargo", ["build", "--quiet", "--locked", "--bins"], { cwd: ROOT, stdio: "inherit" });
  const metadata = execFileSync("cargo", ["metadata", "--no-deps", "--format-version", "1"], { cwd: ROOT, maxBuffer: 1 << 26 });
  return join(JSON.parse(metadata).target_directory, "debug");
}
