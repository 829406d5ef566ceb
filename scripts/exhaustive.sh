#!/usr/bin/env bash
# Shows that every elementary function is correctly rounded on all 2^32 inputs, and pow on hard and random ones.
# Takes about 15 minutes on two cores; functions may be named: scripts/exhaustive.sh exp sin
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo run --release --quiet -p lockstep-engine --example exhaustive -- --threads "$(nproc)" "$@"
