#!/usr/bin/env bash
# Installs what building and testing Dragons need beside Rust. With the word
# `build`, only what building does.
#
# On Debian and Ubuntu missing packages are installed by apt, as root or by a
# sudo that asks for no password. Where neither is possible the line to run is
# printed and the exit status is 2. Nothing is ever skipped: a check that did
# not run looks too much like one that passed.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly wasm=wasm32-unknown-unknown

main() {
  local wanted="${1:-all}"
  local -a missing=()
  mapfile -t missing < <(
    missing_to_build
    [[ "$wanted" == build ]] || missing_to_test
  )
  if ((${#missing[@]} > 0)); then
    install_packages "${missing[@]}"
  fi
  install_wasm_target
  [[ "$wanted" == build ]] || install_node_modules
}

# One name a line. What is there by another way than Debian's package counts.
missing_to_build() {
  have make || echo make
  have g++ || echo g++
  have git || echo git
  # Optional for a build by hand; without it a cold RocksDB takes 11 minutes.
  have ccache || echo ccache
  # bindgen reads RocksDB's C header with it.
  have_libclang || echo libclang-dev
}

missing_to_test() {
  # The Go programs of tests/interop, and the library they check us with.
  have go || echo golang-go
  [[ -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ]] || echo golang-golang-x-mod-dev
  # The black-box tests fail a sync, watch what is called when, and sign with
  # a key that is not ours.
  have strace || echo strace
  have openssl || echo openssl
  # The second verifier of tests/python, and the client in Python.
  have_cryptography || echo python3-cryptography
  # The verifier's page is tried in a real browser.
  have node || echo nodejs
  have npm || echo npm
  have_browser || echo chromium
  [[ -n "${FIREFOX:-}" ]] || have firefox-esr || echo firefox-esr
  # A browser without a font draws nothing.
  compgen -G '/usr/share/fonts/*/*' >/dev/null || echo fonts-dejavu-core
}

have() {
  command -v "$1" >/dev/null
}

have_browser() {
  [[ -n "${CHROMIUM:-}" ]] || have chromium || have google-chrome
}

have_libclang() {
  [[ -n "${LIBCLANG_PATH:-}" ]] && return 0
  compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' >/dev/null &&
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null
}

# For the python3 that comes first or for Debian's: the test takes either.
have_cryptography() {
  python3 -c 'import cryptography' 2>/dev/null ||
    /usr/bin/python3 -c 'import cryptography' 2>/dev/null
}

install_packages() {
  local -a root=()
  if ((EUID != 0)); then
    root=(sudo -n)
    if ! have sudo || ! sudo -n true 2>/dev/null; then
      stop_with "sudo apt-get install -y --no-install-recommends $*"
    fi
  fi
  if ! have apt-get; then
    stop_with "(your package manager's line for: $*)"
  fi
  echo "setup: installing $*" >&2
  "${root[@]}" apt-get -qq update </dev/null
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends "$@" </dev/null
}

# The verifier is compiled for the browser together with the standard library.
install_wasm_target() {
  if [[ ! -d "$(rustc --print target-libdir --target "$wasm")" ]]; then
    have rustup && rustup target add "$wasm" || stop_with "rustup target add $wasm"
  fi
  if [[ ! -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ]]; then
    have rustup && rustup component add rust-src || stop_with 'rustup component add rust-src'
  fi
}

# What drives the browser, and what compiles TypeScript, in the versions that the lock files name.
install_node_modules() {
  local folder
  for folder in tests/browser sdk/typescript; do
    if [[ "$folder/package-lock.json" -nt "$folder/node_modules/.package-lock.json" ]]; then
      npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error >&2 ||
        stop_with "npm ci --prefix $folder"
    fi
  done
}

stop_with() {
  printf 'setup: something is missing that cannot be installed from here. Run this, then try again:\n  %s\n' "$1" >&2
  exit 2
}

main "$@"
