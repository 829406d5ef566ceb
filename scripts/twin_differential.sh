#!/usr/bin/env bash
# Compares the Solidity twin with the precompile on random graphs and calls, byte for byte: first in one EVM state with and
# without the precompile (precompile/tests/twin.rs), then the same calls under forge (contracts/test/twin/TwinFuzz.t.sol).
#
#   scripts/twin_differential.sh [CALLS]      10000 calls without an argument; other graphs with TWIN_SEED=N
set -euo pipefail
cd "$(dirname "$0")/.."

calls=${1:-10000}
cases=target/twin-cases
rm -rf "$cases" && mkdir -p "$cases"
began=$(date +%s)
TWIN_CALLS="$calls" TWIN_OUT="$PWD/$cases" cargo test ${TWIN_PROFILE:-} -p lockstep-precompile --test twin -- --nocapture | grep "calls compared"
echo "in one EVM state: $(($(date +%s) - began)) s"
began=$(date +%s)
# Without a bound on gas: all calls together are far above what one test may use.
if ! TWIN_CASES="$cases" node_modules/.bin/forge test --match-path contracts/test/twin/TwinFuzz.t.sol \
  --gas-limit 9000000000000000000 -vvvv > "$cases/forge.log" || ! grep -q "^\[PASS\]" "$cases/forge.log"; then
  cut -c1-500 "$cases/forge.log" | tail -40
  exit 1
fi
grep "Compared" "$cases/forge.log"
echo "under forge: $(($(date +%s) - began)) s, no difference"
