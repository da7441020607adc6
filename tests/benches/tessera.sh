#!/usr/bin/env bash
# The POSIX log of Tessera on this machine, under its own load generator: `make bench-tessera`.
#
# It is another log of the same kind. It checks no signature and no rule, and it answers without a proof. What it takes in a
# second, and what an entry costs it, is something to hold the figures of `make bench` against: run both in one go.
# Without Go, or without a network to fetch it by, this says so and ends well.
set -euo pipefail
version=v1.0.4
module=github.com/transparency-dev/tessera
seconds=${TESSERA_SECONDS:-20}
writers=${TESSERA_WRITERS:-512}
# About what a record of ours has.
leaf_bytes=${TESSERA_LEAF_BYTES:-900}
listen=127.0.0.1:2025
# A key that everybody knows, for a log that ends with this script.
public=bench.example/tessera+6cf5921f+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs
export LOG_PRIVATE_KEY=PRIVATE+KEY+bench.example/tessera+6cf5921f+AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH

skip() {
  echo "SKIPPED: Tessera: $1"
  exit 0
}

command -v go >/dev/null || skip 'there is no Go'
folder=$(mktemp -d)
log=
end() {
  [ -z "$log" ] || kill "$log" || true
  rm -rf "$folder"
}
trap end EXIT
GOBIN=$folder go install "$module/cmd/conformance/posix@$version" "$module/internal/hammer@$version" >"$folder/install" 2>&1 ||
  skip "it could not be fetched: $(tail -n 1 "$folder/install")"

"$folder/posix" --storage_dir="$folder/log" --listen="$listen" >"$folder/posix.out" 2>&1 &
log=$!
size() { curl -sf "http://$listen/checkpoint" | sed -n 2p; }
until size >/dev/null; do
  kill -0 "$log" 2>/dev/null || skip "it did not start: $(tail -n 1 "$folder/posix.out")"
  sleep 0.1
done
ticks() { sed 's/.*) //' "/proc/$log/stat" | awk '{ print $12 + $13 }'; }

before=$(size) worked=$(ticks) began=$(date +%s%N)
"$folder/hammer" --log_public_key="$public" --log_url="http://$listen/" --show_ui=false --max_read_ops=0 \
  --num_readers_random=0 --num_readers_full=0 --num_writers="$writers" --max_write_ops=1000000 --dup_chance=0 \
  --leaf_min_size="$leaf_bytes" --max_runtime="${seconds}s" >"$folder/hammer.out" 2>&1 || true
ended=$(date +%s%N) worked=$(($(ticks) - worked)) added=$(($(size) - before))
[ "$added" -gt 0 ] || skip "nothing was added: $(tail -n 1 "$folder/hammer.out")"
stored=$(du -sb "$folder/log" | cut -f1)
awk -v added="$added" -v ns="$((ended - began))" -v ticks="$worked" -v stored="$stored" -v leaf="$leaf_bytes" -v writers="$writers" \
  'BEGIN {
    printf "%-50s %9.0f/s   %d in %.2f s\n", "Tessera POSIX, adds by " writers " writers", added * 1e9 / ns, added, ns / 1e9
    printf "%-50s %9.1f µs\n", "  processor time of the log an entry", ticks * 1e4 / added
    printf "%-50s %9.0f\n", "  bytes on the disk beyond the leaf", stored / added - leaf
  }'
