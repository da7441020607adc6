// The fingerprint of a charter, worked out from docs/formats.md and not by the program under test.

import { createHash } from "node:crypto";

/** Eight groups of four digits, of the hash of a record. */
export function fingerprintOf(record) {
  const hash = Buffer.from(record.replace("sha256:", ""), "hex");
  const digest = createHash("sha256").update("dragons/fingerprint/v1\0charter\0").update(hash).digest();
  const groups = Array.from({ length: 8 }, (_, at) => digest.readUInt32BE(at * 4) % 10_000);
  return groups.map((group) => String(group).padStart(4, "0")).join(" ");
}
