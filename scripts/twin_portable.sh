#!/usr/bin/env bash
# The twin for chains before osaka: its sources with portable/LeadingZeros.sol, compiled for an older fork and tested there.
#
#   scripts/twin_portable.sh [FORK]        shanghai, the oldest, without an argument
set -euo pipefail
cd "$(dirname "$0")/.."

fork=${1:-shanghai}
copy=target/twin-$fork
mkdir -p "$copy/contracts/test" && rm -rf "$copy/contracts/src" "$copy/contracts/test/"*
cp -r contracts/src "$copy/contracts/src"
cp -r contracts/test/twin contracts/test/utils "$copy/contracts/test/"
# Tests of the registry copy by an opcode that older forks lack.
rm "$copy"/contracts/test/utils/{MerkleReference,RegistryTest}.sol
mkdir -p "$copy/contracts/test/native" "$copy/scripts"
cp contracts/test/native/models.json "$copy/contracts/test/native/"
cp contracts/predeploys.json contracts/twin.json "$copy/contracts/"
cp foundry.toml "$copy/"
cp scripts/solc "$copy/scripts/"
ln -sfn "$PWD/node_modules" "$copy/node_modules"
cp contracts/src/twin/portable/LeadingZeros.sol "$copy/contracts/src/twin/LeadingZeros.sol"
rm -r "$copy/contracts/src/twin/portable" "$copy/contracts/src/test-kit"
# What the other fork's EVM does not run: the build for genesis has CLZ.
rm "$copy/contracts/test/twin/TwinAnswers.t.sol" "$copy/contracts/test/twin/TwinFuzz.t.sol"
cd "$copy"
node_modules/.bin/forge test --evm-version "$fork" -vvvv | grep "emit Gas\|PASS\|FAIL\|Error\|tests passed"
