#!/usr/bin/env bash
# Everything that must hold. CI runs this on a clean clone.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-always} CARGO_INCREMENTAL=0
export PATH="$PWD/node_modules/.bin:$PATH"

began=$SECONDS
step() { printf '\n== %s (%d s)\n' "$1" "$((SECONDS - began))"; }

step "setup"
scripts/setup.sh --tests
step "formatting"
cargo fmt --all -- --check
step "build"
cargo build --release --workspace --all-targets
step "clippy, warnings denied"
cargo clippy --release --workspace --all-targets -- -D warnings
step "rustdoc, warnings denied"
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --quiet
step "models"
scripts/models.sh
step "Solidity: build, formatting, lint, predeploys"
forge build
forge fmt --check
forge lint
scripts/build_predeploys.sh --check
step "Solidity: tests (without the binary, then with it)"
forge test --no-match-path 'contracts/test/{native,fork,rpc}/*'
forge test --match-path 'contracts/test/native/*'
step "Solidity: gas snapshot, NatSpec, slither, coverage, compilers, package"
scripts/solidity_gates.sh fast
step "Rust: tests, end to end included"
cargo nextest run --release --workspace --no-fail-fast
step "other processors (aarch64 and wasm32), and fuzz targets, bounded: side by side"
targets=(scripts/targets.sh)
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  if [ "${CI:-}" = true ]; then
    echo "CI needs root and apt for scripts/targets.sh" >&2
    exit 1
  fi
  targets=(echo "skipped: scripts/targets.sh installs cross compilers by apt, as root")
fi
log=$(mktemp)
"${targets[@]}" >"$log" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null || true; rm -f "$log"' EXIT
scripts/fuzz.sh
held=0
wait "$beside" || held=$?
cat "$log"
[ "$held" = 0 ] || exit "$held"
step "done"
