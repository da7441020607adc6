#!/usr/bin/env bash
# Builds the wheel and the tarball, installs them into fresh environments, and tests them there, with every framework
# that has an adapter. The frameworks come from PyPI and npm, and are kept in sdk/.build between two runs.
#
# What is missing is named and skipped; its name is in the last lines. Options are in the environment:
#   PYTHON         a Python of 3.10 or later for the frameworks (python3)
#   TEMPORAL_CLI   the program of a Temporal development server; `make sdk-temporal` builds one
set -euo pipefail
cd "$(dirname "$0")"

readonly build="$PWD/.build"
readonly docs="$PWD/../docs"
readonly python="${PYTHON:-python3}"
declare -a skipped=()

main() {
  mkdir -p "$build"
  frameworks_of_python
  build_wheel
  check_types
  test_wheel
  test_python_frameworks
  build_tarball
  test_tarball
  echo
  echo "sdk: $(basename "$wheel") and $(basename "$tarball") hold"
  ((${#skipped[@]} == 0)) || printf 'sdk: SKIPPED: %s\n' "${skipped[@]}"
}

title() {
  printf '\n== %s\n' "$1"
}

# The one environment that is kept, because it is large. Our own package is not a part of it.
frameworks_of_python() {
  local wanted
  wanted="$("$python" --version) $(sha256sum python/frameworks/requirements.txt)"
  if [[ "$(cat "$build/frameworks/.wanted" 2>/dev/null || true)" != "$wanted" ]]; then
    title 'The frameworks of Python'
    rm -rf "$build/frameworks"
    "$python" -m venv "$build/frameworks"
    "$build/frameworks/bin/pip" install --quiet --disable-pip-version-check -r python/frameworks/requirements.txt
    echo "$wanted" >"$build/frameworks/.wanted"
  fi
}

build_wheel() {
  title 'The wheel'
  rm -rf python/dist
  "$build/frameworks/bin/python" -m build --no-isolation python >"$build/wheel.log" 2>&1 || fail_with "$build/wheel.log"
  wheel="$(echo "$PWD"/python/dist/*.whl)"
  echo "$wheel"
}

check_types() {
  title 'mypy --strict'
  (cd python && "$build/frameworks/bin/mypy" --strict --cache-dir "$build/mypy" src tests frameworks)
}

# Only the wheel and the standard library, in a new environment; then from the archive itself in each Python that is here.
test_wheel() {
  local one
  title 'The wheel in a fresh environment'
  rm -rf "$build/fresh" "$build/python-tests"
  cp -r python/tests "$build/python-tests"
  "$python" -m venv "$build/fresh"
  "$build/fresh/bin/pip" install --quiet --disable-pip-version-check --no-index "$wheel"
  (cd "$build" && fresh/bin/python -m unittest discover -s python-tests)
  for minor in 9 10 11 12 13 14; do
    one="$(interpreter "3.$minor")"
    if [[ -n "$one" ]]; then
      echo "-- $("$one" --version)"
      (cd "$build" && PYTHONPATH="$wheel" "$one" -W error::SyntaxWarning -m unittest discover -s python-tests)
    elif [[ "$minor" == 9 || "$minor" == 11 || "$minor" == 12 ]]; then
      skipped+=("Python 3.$minor is not here")
    fi
  done
}

interpreter() {
  local one
  for one in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    if "$one" -c '' 2>/dev/null; then
      command -v "$one"
      return
    fi
  done
}

test_python_frameworks() {
  local test
  title 'The adapters of Python'
  "$build/frameworks/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$wheel"
  if [[ -z "${TEMPORAL_CLI:-}" && -x "$build/temporal" ]]; then
    export TEMPORAL_CLI="$build/temporal"
  fi
  [[ -n "${TEMPORAL_CLI:-}" ]] || skipped+=('the Temporal adapter: no server; make sdk-temporal builds one')
  for test in python/frameworks/test_*.py; do
    test="$(basename "$test" .py)"
    echo "-- $test"
    (cd python/frameworks && PYTHONPATH=../tests "$build/frameworks/bin/python" -W ignore -m unittest "$test")
  done
}

build_tarball() {
  title 'The tarball'
  rm -rf typescript/dist "$build"/*.tgz
  npm ci --prefix typescript --loglevel=error >&2
  npm run --silent --prefix typescript build
  (cd typescript && npm pack --silent --pack-destination "$build" >/dev/null)
  tarball="$(echo "$build"/*.tgz)"
  echo "$tarball"
}

test_tarball() {
  local fresh="$build/fresh-node"
  title 'The tarball in a fresh environment, with the AI SDK'
  rm -rf "$fresh"
  mkdir "$fresh"
  cp typescript/frameworks/package.json "$fresh"
  cp -r typescript/tests "$fresh/tests"
  cp typescript/frameworks/*.mjs typescript/frameworks/*.ts "$fresh/tests"
  npm install --prefix "$fresh" --loglevel=error --no-audit --no-fund "$tarball" >&2
  (cd "$fresh" && DRAGONS_DOCS="$docs" node --test --test-reporter=spec tests/*.test.mjs)
  (cd "$fresh" && npx tsc --strict --noEmit --skipLibCheck --module nodenext --target es2022 tests/types.ts)
  echo 'tsc --strict: the types fit'
}

fail_with() {
  cat "$1" >&2
  exit 1
}

main
