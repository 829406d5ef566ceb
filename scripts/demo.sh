#!/usr/bin/env bash
# The demo: sets up, starts a dev chain, deploys, infers, compares. A second run takes seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH" CARGO_INCREMENTAL=0

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

if [ ! -x target/release/lockstep ] || [ ! -x target/release/demo ]; then
  say "Lockstep demo: the first run compiles the node and its chain (about 6 minutes on 2 cores) and installs forge (1 minute)."
fi
say "1/4 setting up"
scripts/setup.sh
say "2/4 building (first time about 6 minutes)"
cargo build --release -p lockstep-cli -p lockstep-tests --bin lockstep --bin demo
say "3/4 importing nine models and compiling the contracts"
scripts/models.sh
forge build --quiet
say "4/4 the chain"
exec target/release/demo
