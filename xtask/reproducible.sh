#!/usr/bin/env bash
# Builds the verifier's page twice from the files that git tracks, in two folders with different names and with different target
# folders, and compares every byte that comes out.
set -euo pipefail

root=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for place in one a/much/longer/place; do
  mkdir -p "$work/$place"
  git -C "$root" archive HEAD | tar -x -C "$work/$place"
  CARGO_TARGET_DIR="$work/target-${place//\//-}" \
    cargo run --quiet --locked --manifest-path "$work/$place/Cargo.toml" -p xtask --features web -- web
done
diff -r "$work/one/web/dist" "$work/a/much/longer/place/web/dist"
cat "$work/one/web/dist/SHA256SUMS"
echo 'both are the same, byte for byte'
