#!/usr/bin/env bash
# Keeps what runs have found: `fuzz/keep.sh TARGET…` reduces the corpus of each target
# to the inputs that reach something of their own, and packs them into corpora/, which
# is tracked. The same inputs give the same archive.
set -euo pipefail
cd "$(dirname "$0")/.."

main() {
  local target
  for target in "$@"; do
    keep "$target"
  done
}

keep() {
  local folder=fuzz
  [[ -e fuzz/fuzz_targets/$1.rs ]] || folder=fuzz/service
  cargo fuzz cmin --fuzz-dir "$folder" --sanitizer none --target-dir fuzz/target "$1"
  mkdir -p "$folder/corpora"
  tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
    --directory "$folder/corpus" "$1" | gzip -9n >"$folder/corpora/$1.tar.gz"
}

main "$@"
