#!/usr/bin/env bash
# Starts the daemon as a service, gives it three entries of which one is not allowed, and ends it.
source "$(dirname "$0")/../log.sh"
export PYTHONPATH="$repository/sdk/python/src"
begin
become bookkeeper "$here" run:python3 'write:ledger/**' --deny write:ledger/payroll

mkdir "$folder/inbox" "$folder/ledger"
exec {lines}< <(
  exec dragons run --service --agent bookkeeper --dir . --key "$key" --trust "$trust" --goal 'keep the books' \
    -- python3 daemon.py "$folder/inbox" "$folder/ledger" 2>"$folder/run.log"
)
speaker="$!"
for entry in 'rent 700' 'payroll 9000' 'rent 50'; do
  echo "$entry" >"$folder/letter"
  mv "$folder/letter" "$folder/inbox/${entry// /-}.txt"
  read -r line <&"$lines"
  echo "$line"
done
[[ "$line" == 'rent: 750' && ! -e "$folder/ledger/payroll" ]]
leave
verify
