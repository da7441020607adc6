#!/usr/bin/env bash
# A first look: a log, this repository as an agent, three programs under a lease, and the evidence of it, checked.
#
# `make demo` builds the programs and calls this. Each command is shown as one would type it. Each call begins anew:
# a log that goes on after an hour of silence says so when it is verified, which is right and no first look. What can
# be set:
#
#   DEMO_DIR     the folder of the log, the keys and the evidence   [demo, in cargo's target folder]
#   DEMO_LISTEN  where the service listens                          [127.0.0.1:0, a port that is free]
#   DEMO_BIN     the folder of dragons and dragonsd                 [debug, in cargo's target folder]
set -euo pipefail
cd "$(dirname "$0")/.."
# Nobody's settings but those of this file.
unset "${!DRAGONS@}"

readonly agent=dragons-repository
readonly listen="${DEMO_LISTEN:-127.0.0.1:0}"

main() {
  find_folders
  claim_folder
  make_log
  start_service
  register_agent
  grant_lease
  run_programs
  check_evidence
  stay_up
}

find_folders() {
  local target
  target="$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')"
  folder="${DEMO_DIR:-$target/demo}"
  PATH="${DEMO_BIN:-$target/debug}:$PATH"
  command -v dragonsd dragons >/dev/null || stop_with 'the programs are not built: make demo builds them'
  mkdir -p "$folder"
  # Shown and typed more easily where it is short.
  folder="$(realpath --relative-base=. "$folder")"
  log="$folder/log"
  trust="$log/trust.json"
  operator="$log/keys/operator.pem"
  agent_key="$folder/agent.pem"
  earlier="$folder/earlier.checkpoint"
  page="$folder/page"
  # The agent's journal, which would otherwise lie among those of its user.
  XDG_STATE_HOME="$(realpath "$folder")/state"
  export XDG_STATE_HOME
}

# What a demo before has left goes away, and nothing of anybody else.
claim_folder() {
  local claim="$folder/a-demo-lies-here"
  if [[ ! -e "$claim" && -n "$(ls -A "$folder")" ]]; then
    stop_with "$folder holds other files: name an empty folder with DEMO_DIR"
  fi
  exec {in_use}>"$claim"
  flock --nonblock "$in_use" ||
    stop_with "another demo uses $folder: end it with Ctrl-C, or name another folder: make demo DEMO_DIR=…"
  rm -rf "$log" "$page" "$XDG_STATE_HOME" "$agent_key"
}

make_log() {
  title 'A log: its keys, its charter at index 0, and trust.json, by which anybody can verify it'
  show dragonsd init --data "$log" --origin example.com/demo
}

# The page lies beside the evidence, so that the service offers both.
start_service() {
  title 'The service, on its embedded store'
  mkdir -p "$page"
  [[ ! -e web/dist/index.html ]] || cp -R web/dist/. "$page"
  local line command=(dragonsd serve --data "$log" --listen "$listen" --metrics 127.0.0.1:0 --web "$page")
  shown "${command[@]}"
  exec {said}< <(exec "${command[@]}" 2>"$folder/dragonsd.log" {in_use}>&-)
  service="$!"
  trap clean_up EXIT
  read -r line <&"$said" || service_failed
  echo "$line"
  export DRAGONS_SERVER="${line#listening on }"
  shown export DRAGONS_SERVER="$DRAGONS_SERVER"
}

service_failed() {
  tail -n 5 "$folder/dragonsd.log" >&2
  stop_with "the service did not start on $listen. If the port is in use, leave DEMO_LISTEN out and a free one is taken"
}

register_agent() {
  title 'This very repository becomes an agent: agent.toml says what belongs to it'
  if [[ -n "$(git status --porcelain 2>/dev/null || true)" ]]; then
    echo 'Note: the working tree has changes. The version is what lies here now, and no commit.'
  fi
  show dragons keygen --name "$agent" --out "$agent_key"
  show dragons manifest register . --key "$operator" --agent-key "$agent_key" --trust "$trust"
}

grant_lease() {
  title 'Authority for an hour: it may run two programs and read, but not write'
  show dragons lease grant "$agent" --allow run:wc run:sh 'read:**' --for 1h --purpose 'a first look' --key "$operator" --trust "$trust"
  # That nothing has changed since is a part of the evidence.
  dragons checkpoint --trust "$trust" >"$earlier"
}

run_programs() {
  title 'A program that knows nothing of this'
  run 'count the lines of the documents' wc -l README.md ARCHITECTURE.md SECURITY.md
  title 'A real check: it fails if a link in the documents leads nowhere'
  run 'check the links of the documents' sh demo/links.sh
  title 'A program that asks for leave before each thing it does, and is refused one'
  run 'count the lines of the cores' sh demo/census.sh
}

run() {
  local goal="$1"
  shift
  show dragons run --agent "$agent" --goal "$goal" --key "$agent_key" --trust "$trust" -- "$@"
}

check_evidence() {
  local pack="$page/evidence.pack.jsonl" opened="$folder/opened.jsonl"
  title 'The evidence: the whole log, with the values behind what the runs committed to'
  cp "$XDG_STATE_HOME"/dragons/*/"$agent"/disclosures.jsonl "$opened"
  show dragons export --out "$pack" --trust "$trust" --disclose "$opened" --earlier "$earlier"
  title 'Verified: no network, and no trust in the service'
  show dragons verify "$pack" --trust "$trust"
  title 'Replayed: what was done, for which goal, and by whose authority'
  show dragons replay "$pack" --trust "$trust"
}

# Until Ctrl-C. At a terminal it is read as a key: as a signal it would reach make as well, which would call it a
# failure.
stay_up() {
  title 'The log and the agent in your browser'
  echo "$DRAGONS_SERVER/"
  echo "$DRAGONS_SERVER/agents/$agent"
  title 'The same evidence, verified there: one click away'
  if [[ -e "$page/index.html" ]]; then
    echo "$DRAGONS_SERVER/verify/#evidence=evidence.pack.jsonl"
  else
    echo 'The page is not built: make web builds it.'
  fi
  echo
  echo 'The service stays up until Ctrl-C.'
  trap 'finish' INT TERM HUP
  if [[ -t 0 ]]; then
    wait_for_key
  else
    wait "$service" || true
  fi
  [[ -d "/proc/$service" ]] || stop_with "the service has ended, see $folder/dragonsd.log"
  finish
}

# By `head`, since the `read` of bash would turn signals on again. It gives up after a second without a key.
wait_for_key() {
  local key=''
  terminal="$(stty -g)"
  stty -isig -icanon -echo min 0 time 10
  while [[ -d "/proc/$service" && "$key" != $'\003' ]]; do
    key="$(head -c 1)"
  done
}

finish() {
  kill "$service"
  wait "$service" || stop_with "the service did not end well, see $folder/dragonsd.log"
  title "Ended. What was shown lies in $folder until the next demo."
  exit 0
}

# However this ends: no service is left, and the terminal is as it was.
# shellcheck disable=SC2317  # A trap calls it.
clean_up() {
  [[ -z "${terminal:-}" ]] || stty "$terminal"
  if kill "$service" 2>/dev/null; then
    wait "$service" || true
  fi
}

# A command as one would type it, then what it does.
show() {
  shown "$@"
  "$@"
}

shown() {
  local word line=''
  for word; do
    [[ "$word" =~ ^[][A-Za-z0-9_./:=@,+-]+$ ]] || word="'$word'"
    line+=" $word"
  done
  echo "\$$line"
}

title() {
  if [[ -t 1 && -z "${NO_COLOR:-}" ]]; then
    printf '\n\033[1m%s\033[0m\n' "$1"
  else
    printf '\n%s\n' "$1"
  fi
}

stop_with() {
  printf 'demo: %s\n' "$1" >&2
  exit 1
}

main
