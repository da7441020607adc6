#!/usr/bin/env bash
# Runs fuzz targets for a bounded time each: `fuzz/run.sh SECONDS [TARGET…]`,
# all of them if none is named. Stops at the first that finds something; cargo-fuzz
# then leaves the input in artifacts and prints how to repeat it.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly seconds="${1:?how many seconds for each target}"
shift

main() {
  local -a targets=("$@")
  if ((${#targets[@]} == 0)); then
    mapfile -t targets < <(names)
  fi
  local target
  for target in "${targets[@]}"; do
    fuzz "$target"
  done
  echo "fuzz: ${#targets[@]} targets, $seconds seconds each, nothing found"
}

names() {
  local file
  for file in fuzz/fuzz_targets/*.rs fuzz/service/fuzz_targets/*.rs; do
    basename "$file" .rs
  done
}

# The crates forbid unsafe code, so an address sanitizer would find nothing here
# and halve the speed; without it the stable compiler suffices. The corpus that
# grows is not tracked; the seeds are, and what longer runs found (`fuzz/keep.sh`).
fuzz() {
  local folder=fuzz
  [[ -e fuzz/fuzz_targets/$1.rs ]] || folder=fuzz/service
  mkdir -p "$folder/corpus/$1" "$folder/seeds/$1"
  if [[ -e $folder/corpora/$1.tar.gz ]]; then
    tar --extract --skip-old-files --file "$folder/corpora/$1.tar.gz" --directory "$folder/corpus"
  fi
  cargo fuzz run --fuzz-dir "$folder" --sanitizer none --target-dir fuzz/target "$1" \
    "$folder/corpus/$1" "$folder/seeds/$1" -- \
    -max_total_time="$seconds" -max_len=65536 -timeout=10 -print_final_stats=1 -verbosity=0
}

main "$@"
