#!/usr/bin/env bash
# Installs what the project needs besides Rust, Node and Python: npm packages, by the committed lock file.
set -euo pipefail
cd "$(dirname "$0")/.."

need() {
  command -v "$1" >/dev/null 2>&1 || { echo "setup: '$1' is missing: $2" >&2; exit 1; }
}
need cargo "install Rust 1.95 or later (rustup.rs)"
need node "install Node 20 or later"
need npm "it comes with Node"
need python3 "install Python 3"

# npm ci removes and rebuilds node_modules; skip it where the lock has not changed.
stamp=node_modules/.lockstep-lock
if ! cmp -s package-lock.json "$stamp" 2>/dev/null; then
  echo "setup: installing forge, cast, anvil and solc from npm (about 1 minute)"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
fi
# The npm packages begin forge, cast and anvil by a script that ends with status 0 whatever the program said: a failing test
# would pass. The programs themselves take its place.
for tool in forge cast anvil; do
  for program in node_modules/@foundry-rs/"$tool"-*/bin/"$tool"; do
    [ -x "$program" ] && ln -sf "../${program#node_modules/}" "node_modules/.bin/$tool"
  done
  if "node_modules/.bin/$tool" no-such-command >/dev/null 2>&1; then
    echo "setup: node_modules/.bin/$tool hides failures: it is not the program of @foundry-rs/$tool" >&2
    exit 1
  fi
done
if ! cargo nextest --version >/dev/null 2>&1 && [ "${1:-}" = "--tests" ]; then
  echo "setup: installing cargo-nextest (about 4 minutes, once)"
  cargo install cargo-nextest --locked --quiet
fi
