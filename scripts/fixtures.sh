#!/usr/bin/env bash
# Writes contracts/test/models: the wrapper and the fixture of every committed model, by `lockstep bind`. Run it after a
# committed model, or what bind writes, has changed on purpose. Needs target/models (scripts/models.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
lockstep=${LOCKSTEP_BIN:-target/release/lockstep}
for model in target/models/*.lsm; do
  name=$(basename "$model" .lsm)
  library=$(sed -E 's/(^|_)([a-z])/\U\2/g' <<<"$name")
  [ -d "tests/models/$name" ] && "$lockstep" bind "$model" -o "contracts/test/models/$library.sol"
done
