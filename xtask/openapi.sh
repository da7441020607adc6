#!/usr/bin/env bash
# Has schemathesis, from PyPI, try what the service's description of its interface allows and forbids:
# tests/tests/openapi.rs. It is kept in tests/.build between two runs. Where it cannot be installed, this says so
# and ends with 0.
#
# Options are in the environment:
#   PYTHON         a Python of 3.10 or later (python3)
#   SCHEMATHESIS   its program `st`, if it is installed already
set -euo pipefail
cd "$(dirname "$0")/.."

readonly version=4.32.5
readonly folder="$PWD/tests/.build/schemathesis"

main() {
  if [[ -z "${SCHEMATHESIS:-}" ]]; then
    install_schemathesis || {
      echo "SKIPPED: schemathesis $version cannot be installed: it needs PyPI, and a Python of 3.10 or later with venv that PYTHON names"
      return
    }
    export SCHEMATHESIS="$folder/bin/st"
  fi
  ${CARGO:-cargo} test --locked --workspace --features tests/schemathesis --test openapi
}

install_schemathesis() {
  local python="${PYTHON:-python3}" wanted
  wanted="$("$python" --version) schemathesis $version" || return
  if [[ "$(cat "$folder/.wanted" 2>/dev/null || true)" != "$wanted" ]]; then
    rm -rf "$folder"
    "$python" -m venv "$folder" || return
    "$folder/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" || return
    echo "$wanted" >"$folder/.wanted"
  fi
}

main
