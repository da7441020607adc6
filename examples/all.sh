#!/usr/bin/env bash
# Runs every example. dragons and dragonsd have to be on the PATH; what an example needs beside them is said where it is
# missing, and that example is skipped.
set -euo pipefail
cd "$(dirname "$0")"
built="$(cd .. && pwd)/sdk/.build"
declare -a skipped=()

main() {
  [[ -n "${PYTHON:-}" || ! -x "$built/frameworks/bin/python" ]] || export PYTHON="$built/frameworks/bin/python"
  [[ -n "${TEMPORAL_CLI:-}" || ! -x "$built/temporal" ]] || export TEMPORAL_CLI="$built/temporal"
  example cron-job
  example python-daemon
  example claude-code
  example mcp-server
  if has_module langchain; then example langgraph-agent; fi
  if has_module temporalio && has_temporal; then example temporal-worker; fi
  echo
  ((${#skipped[@]} == 0)) || printf 'examples: SKIPPED: %s\n' "${skipped[@]}"
  echo 'examples: each that ran ended with its evidence verified'
}

example() {
  printf '\n== %s\n' "$1"
  bash "$1/run.sh"
}

has_module() {
  "${PYTHON:-python3}" -c "import $1" 2>/dev/null || skip "no Python with $1: make sdk has one"
}

has_temporal() {
  [[ -x "${TEMPORAL_CLI:-}" ]] || command -v temporal >/dev/null || skip 'no program temporal: make sdk-temporal builds one'
}

skip() {
  skipped+=("$1")
  return 1
}

main
