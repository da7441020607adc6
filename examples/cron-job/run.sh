#!/usr/bin/env bash
# What cron does in one night, and then the evidence.
source "$(dirname "$0")/../log.sh"
begin
become nightly-backup "$here" run:sh

mkdir "$folder/books"
echo 'rent 700' >"$folder/books/november"
# The line of the crontab, from here on:
run 'back up the books' -- sh backup.sh "$folder/books" "$folder/books.tar"
# A night on which it fails is in the log as well, and cron gets its exit status as ever.
if run 'back up the books' -- sh backup.sh "$folder/nowhere" "$folder/books.tar"; then
  echo 'The second night should have failed.' >&2
  exit 1
fi
verify
