#!/usr/bin/env bash
# The sample report of docs/day-30.md: a fleet of the proving ground beside its watchdogs, the report of it, and its
# pictures. SAMPLE_DIR keeps the whole directory; docs/ gets the page and the pictures.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
work=${SAMPLE_DIR:-$(mktemp -d)}
rm -rf "$work/report"
$cargo run --locked -p report --example sample -- "$work" 30 8
files=("$work"/*.csv)
$cargo run --locked -p cli -- report --from 2025-11-24T00:00:00Z --to 2025-12-24T00:00:00Z \
  --map "$work/map.toml" --alerts "${files[@]}" --pack "$work/evidence.pack.jsonl" \
  --trust "$work/trust.json" -o "$work/report"
$cargo run --locked -p cli -- report check "$work/report" --trust "$work/trust.json"
mkdir -p docs/sample
cp "$work/report/report.html" docs/sample/day-30.html
node tests/browser/day-30.mjs docs/sample/day-30.html docs/images/day-30.png
[[ -n ${SAMPLE_DIR:-} ]] || rm -rf "$work"
