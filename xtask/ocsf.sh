#!/usr/bin/env bash
# Holds the events of a report to the schemas of OCSF 1.8, as PyPI's ocsf-json-schema 1.2 embeds them. Where that is not
# installed, it says so and ends with 0: it is a check for whoever has it, and no part of `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
if ! "$python" -c 'import ocsf_json_schema, jsonschema' 2>/dev/null; then
  echo 'SKIPPED: python3 -m pip install ocsf-json-schema==1.2.0 jsonschema, or name a Python that has them in PYTHON'
  exit 0
fi
cargo=${CARGO:-cargo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
$cargo run --locked -p report --example sample -- "$work" 3 20
$cargo run --locked -p cli -- report --from 2025-11-24T00:00:00Z --to 2025-11-28T00:00:00Z \
  --map "$work/map.toml" --pack "$work/evidence.pack.jsonl" --trust "$work/trust.json" -o "$work/report" >/dev/null
"$python" xtask/ocsf.py "$work/report/events.ocsf.jsonl"
