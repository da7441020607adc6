#!/bin/sh
# Counts the lines of each crate of the two cores, and asks for permission before it reads one. In the end it would like
# to write the sum into a file, which it may not do.
set -eu

sum=0
for crate in tlog ledger; do
  dragons tell "{\"intent\":{\"scope\":\"read:$crate/src\"}}" >/dev/null
  lines=$(find "$crate/src" -name '*.rs' -exec cat {} + | wc -l)
  dragons tell "{\"result\":{\"outputs\":{\"lines\":\"$lines\"}}}" >/dev/null
  echo "$crate has $lines lines"
  sum=$((sum + lines))
done

if answer=$(dragons tell '{"intent":{"scope":"write:README.md"}}'); then
  echo 'The lease allows more than it should.'
  exit 1
fi
echo "$sum lines in all; to write that into README.md was refused:"
echo "$answer"
