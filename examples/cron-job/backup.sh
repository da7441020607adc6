#!/bin/sh
# The job, as it was before: it packs a directory, and knows nothing of Dragons.
set -eu
tar -cf "$2" -C "$1" .
echo "packed $(tar -tf "$2" | grep -vc '/$') files"
