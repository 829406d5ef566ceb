#!/usr/bin/env bash
# Builds contracts/predeploys.json: the runtime code that genesis places at 0x…0A11 (marker) and 0x…0A12 (registry).
# The node includes this file, so its bytes are part of the protocol.
#
#   scripts/build_predeploys.sh           writes the file
#   scripts/build_predeploys.sh --check   exits 1 if the file is not what the sources give
#
# The sources are compiled alone, by the compiler of package-lock.json and with the settings below (not foundry.toml's),
# so that nothing else in the project can change the code.
set -euo pipefail
cd "$(dirname "$0")/.."

file=contracts/predeploys.json
case "${1-}" in
  "") mode=write ;;
  --check) mode=check ;;
  *) echo "usage: scripts/build_predeploys.sh [--check]" >&2; exit 2 ;;
esac
[ -d node_modules/solc ] || { echo "the Solidity compiler is missing: run 'npm ci'" >&2; exit 1; }

built=$(node - <<'JS'
const fs = require("fs");
const { execFileSync } = require("child_process");

const names = ["IInference", "IModelRegistry", "ModelRegistry", "TwinMarker"];
const settings = {
  optimizer: { enabled: true, runs: 1000 },
  evmVersion: "osaka",
  viaIR: false,
  metadata: { bytecodeHash: "none", appendCBOR: false },
};
const input = {
  language: "Solidity",
  sources: Object.fromEntries(
    names.map((name) => [`contracts/src/${name}.sol`, { content: fs.readFileSync(`contracts/src/${name}.sol`, "utf8") }])
  ),
  settings: { ...settings, outputSelection: { "*": { "*": ["evm.deployedBytecode"] } } },
};
const solc = (option, stdin) => execFileSync("scripts/solc", [option], { input: stdin, encoding: "utf8", maxBuffer: 1 << 28 });
const output = JSON.parse(solc("--standard-json", JSON.stringify(input)));
for (const error of output.errors ?? []) console.error(error.formattedMessage);
if ((output.errors ?? []).length > 0) process.exit(1);

const code = (name) => {
  const { object, immutableReferences } = output.contracts[`contracts/src/${name}.sol`][name].evm.deployedBytecode;
  if (Object.keys(immutableReferences).length > 0) throw new Error(`${name}: a predeploy has no constructor and no immutables`);
  return `0x${object}`;
};
const version = solc("--version").match(/Version: (\S+)/)[1];
const predeploys = {
  registry: { address: "0x0000000000000000000000000000000000000A12", code: code("ModelRegistry") },
  twinMarker: { address: "0x0000000000000000000000000000000000000A11", code: code("TwinMarker") },
  solc: { version, settings },
};
console.log(JSON.stringify(predeploys, null, 2));
JS
)

if [ "$mode" = write ]; then
  printf '%s\n' "$built" > "$file"
  echo "$file written"
elif [ "$built" = "$(cat "$file" 2>/dev/null)" ]; then
  echo "$file is up to date"
else
  echo "$file is not what contracts/src gives: run scripts/build_predeploys.sh and commit the result" >&2
  exit 1
fi
