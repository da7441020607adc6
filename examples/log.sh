# Sourced by each example: a log on this machine, an agent whose directory is the example's, and its evidence.
# shellcheck shell=bash
#
# dragons and dragonsd have to be on the PATH. Everything is made in a new folder, which is removed at the end; with
# EXAMPLE_DIR=FOLDER it is made there, and stays.
set -euo pipefail
cd "$(dirname "$0")"
unset "${!DRAGONS@}"
here="$PWD"
examples="$(cd .. && pwd)"
repository="$(cd ../.. && pwd)"

# A log, and a service that keeps it, until the example ends.
begin() {
  local line
  folder="${EXAMPLE_DIR:-$(mktemp -d)}"
  trust="$folder/log/trust.json"
  operator="$folder/log/keys/operator.pem"
  key="$folder/agent.pem"
  evidence="$folder/evidence.pack.jsonl"
  # The agent's journal and its socket, apart from those of this user.
  export XDG_STATE_HOME="$folder/state" XDG_RUNTIME_DIR="$folder/run" PYTHONDONTWRITEBYTECODE=1
  mkdir -p "$XDG_RUNTIME_DIR"
  trap clean_up EXIT
  dragonsd init --data "$folder/log" --origin example.com/examples >/dev/null
  exec {said}< <(exec dragonsd serve --data "$folder/log" --listen 127.0.0.1:0 --metrics 127.0.0.1:0 2>"$folder/dragonsd.log")
  service="$!"
  read -r line <&"$said"
  export DRAGONS_SERVER="${line#listening on }"
}

# The version of the agent that lies in a directory, registered, with a lease for these scopes.
become() {
  agent="$1"
  directory="$2"
  shift 2
  dragons keygen --name "$agent" --out "$key" >/dev/null
  dragons manifest register "$directory" --key "$operator" --agent-key "$key" --trust "$trust" >/dev/null
  dragons lease grant "$agent" --allow "$@" --for 1h --key "$operator" --trust "$trust" >/dev/null
}

# `dragons run` as this agent: a goal, then the command.
run() {
  local goal="$1"
  shift
  dragons run --agent "$agent" --dir "$directory" --key "$key" --trust "$trust" --goal "$goal" "$@"
}

# `dragons attend` as this agent, in the background, once it listens.
attend() {
  local line
  exec {attending}< <(exec dragons attend --agent "$agent" --dir "$directory" --key "$key" --trust "$trust" 2>"$folder/attend.log")
  speaker="$!"
  read -r line <&"$attending"
  export DRAGONS_SOCKET="${line#listening on }"
}

# Whoever attends says goodbye, so that the log does not wait for it.
leave() {
  kill "$speaker"
  wait "$speaker" || true
  speaker=''
}

# The evidence: exported, verified without the service, and told.
verify() {
  dragons export -o "$evidence" --trust "$trust" 2>/dev/null
  kill "$service"
  wait "$service" || true
  service=''
  dragons replay "$evidence" --trust "$trust"
  dragons verify "$evidence" --trust "$trust"
}

clean_up() {
  local code="$?"
  for process in "${speaker:-}" "${service:-}"; do
    if [[ -n "$process" ]] && kill "$process" 2>/dev/null; then
      wait "$process" || true
    fi
  done
  if [[ "$code" != 0 ]]; then
    tail -n 20 "$folder"/*.log >&2
  fi
  [[ -n "${EXAMPLE_DIR:-}" ]] || rm -rf "$folder"
  exit "$code"
}
