#!/bin/sh
# Checks that every relative link in the documents of this repository leads to a file. It knows nothing of Dragons.
set -eu

links=0
broken=0
for document in *.md docs/*.md; do
  # One target a line: what stands between `](` and `)`, without an anchor.
  targets=$(grep -o '](\([^)#:]*\)[)#]' "$document" | sed 's/^](//; s/[)#]$//' || true)
  for target in $targets; do
    links=$((links + 1))
    if [ ! -e "$(dirname "$document")/$target" ]; then
      echo "$document: $target is not there"
      broken=$((broken + 1))
    fi
  done
done
echo "$links links, $broken broken"
[ "$broken" -eq 0 ]
