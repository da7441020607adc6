#!/usr/bin/env bash
# A first look: a log, this repository as an agent, three programs under a lease, and the evidence of it, checked.
#
# `make demo` builds the programs and calls this. It shows each command as one would type it. Each call starts again:
# a log that goes on after an hour of silence says so when it is verified, which would be right but confusing here.
# Settings:
#
#   DEMO_DIR     the folder of the log, the keys and the evidence   [demo, in cargo's target folder]
#   DEMO_LISTEN  where the service listens                          [127.0.0.1:0, a free port]
#   DEMO_BIN     the folder of dragons and dragonsd                 [debug, in cargo's target folder]
set -euo pipefail
cd "$(dirname "$0")/.."
# Ignore the user's own settings.
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
  # A short path is easier to read and type.
  folder="$(realpath --relative-base=. "$folder")"
  log="$folder/log"
  trust="$log/trust.json"
  operator="$log/keys/operator.pem"
  agent_key="$folder/agent.pem"
  earlier="$folder/earlier.checkpoint"
  page="$folder/page"
  # The agent's journal, which would otherwise be among the user's own.
  XDG_STATE_HOME="$(realpath "$folder")/state"
  export XDG_STATE_HOME
}

# Removes what an earlier demo has left, and nothing else.
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
  title 'A log: its keys, its charter at index 0, and trust.json, with which anybody can verify it'
  show dragonsd init --data "$log" --origin example.com/demo
}

# The page is beside the evidence, so that the service serves both.
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
  stop_with "the service did not start on $listen. If the port is in use, leave DEMO_LISTEN out to get a free one"
}

register_agent() {
  title 'This repository becomes an agent: agent.toml says what belongs to it'
  if [[ -n "$(git status --porcelain 2>/dev/null || true)" ]]; then
    echo 'Note: the working tree has changes. The version is the files as they are now, not a commit.'
  fi
  show dragons keygen --name "$agent" --out "$agent_key"
  show dragons manifest register . --key "$operator" --agent-key "$agent_key" --trust "$trust"
}

grant_lease() {
  title 'A lease for an hour: the agent may run two programs and read, but not write'
  show dragons lease grant "$agent" --allow run:wc run:sh 'read:**' --for 1h --purpose 'a first look' --key "$operator" --trust "$trust"
  # The evidence shows that nothing before this has changed.
  dragons checkpoint --trust "$trust" >"$earlier"
}

run_programs() {
  title 'A program that knows nothing about this'
  run 'count the lines of the documents' wc -l README.md ARCHITECTURE.md SECURITY.md
  title 'A real check: it fails if a link in the documents is broken'
  run 'check the links of the documents' sh demo/links.sh
  title 'A program that asks for permission before each action, and is refused one'
  run 'count the lines of the cores' sh demo/census.sh
}

run() {
  local goal="$1"
  shift
  show dragons run --agent "$agent" --goal "$goal" --key "$agent_key" --trust "$trust" -- "$@"
}

check_evidence() {
  local pack="$page/evidence.pack.jsonl" opened="$folder/opened.jsonl"
  title 'The evidence: the whole log, with the values to which the runs committed'
  cp "$XDG_STATE_HOME"/dragons/*/"$agent"/disclosures.jsonl "$opened"
  show dragons export --out "$pack" --trust "$trust" --disclose "$opened" --earlier "$earlier"
  title 'Verified: no network, and no trust in the service'
  show dragons verify "$pack" --trust "$trust"
  title 'Replayed: what was done, for which goal, and by whose authority'
  show dragons replay "$pack" --trust "$trust"
}

# Waits for Ctrl-C. At a terminal it reads a key: a signal would also reach make, which would report a failure.
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

# Uses `head`, since bash's `read` would turn signals on again. It gives up after a second without a key.
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
  wait "$service" || stop_with "the service did not stop cleanly, see $folder/dragonsd.log"
  title "Ended. Everything shown is in $folder until the next demo."
  exit 0
}

# However this ends, it stops the service and restores the terminal.
# shellcheck disable=SC2317  # A trap calls it.
clean_up() {
  [[ -z "${terminal:-}" ]] || stty "$terminal"
  if kill "$service" 2>/dev/null; then
    wait "$service" || true
  fi
}

# Shows a command as one would type it, then runs it.
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
