#!/usr/bin/env bash
# Builds what is generated from the contracts and committed:
#   contracts/predeploys.json               runtime code of the registry, which genesis places at 0x…0A12; the node includes
#                                           this file, so its bytes are part of the protocol
#   contracts/twin.json, TwinCode.sol       the twin, by scripts/build_twin.sh
#   contracts/registry-layout.json          the registry's storage layout as the compiler has it; a test compares it with
#                                           docs/spec.md, section 8
#   contracts/src/test-kit/ShimCode.sol     the test kit's shim, compiled from KitShim.sol
#
#   scripts/build_predeploys.sh           writes the files
#   scripts/build_predeploys.sh --check   exits 1 if a file is not what the sources give
#
# The sources are compiled alone, by the compiler of package-lock.json and with the settings below (not foundry.toml's),
# so that nothing else in the project can change the code.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1-}" in
  "" | --check) ;;
  *) echo "usage: scripts/build_predeploys.sh [--check]" >&2; exit 2 ;;
esac
[ -d node_modules/solc ] || { echo "the Solidity compiler is missing: run 'npm ci'" >&2; exit 1; }

node - "${1-}" <<'JS'
const fs = require("fs");
const { execFileSync } = require("child_process");

const check = process.argv[2] === "--check";
const names = ["IInference", "IModelRegistry", "ModelRegistry", "RegistryChunks", "RegistryDuty", "RegistryStorage"];
const settings = {
  optimizer: { enabled: true, runs: 1000 },
  evmVersion: "osaka",
  viaIR: false,
  metadata: { bytecodeHash: "none", appendCBOR: false },
};
const solc = (option, stdin) => execFileSync("scripts/solc", [option], { input: stdin, encoding: "utf8", maxBuffer: 1 << 28 });
const version = solc("--version").match(/Version: (\S+)/)[1];

function compile(files, settings) {
  const sources = Object.fromEntries(files.map((file) => [file, { content: fs.readFileSync(file, "utf8") }]));
  const outputSelection = { "*": { "*": ["evm.deployedBytecode", "storageLayout"] } };
  const input = { language: "Solidity", sources, settings: { ...settings, outputSelection } };
  const output = JSON.parse(solc("--standard-json", JSON.stringify(input)));
  for (const error of output.errors ?? []) console.error(error.formattedMessage);
  if ((output.errors ?? []).length > 0) process.exit(1);
  return output.contracts;
}

function write(file, text) {
  const current = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  if (current === text) return console.log(`${file} is up to date`);
  if (check) {
    console.error(`${file} is not what its sources give: run scripts/build_predeploys.sh and commit the result`);
    process.exitCode = 1;
    return;
  }
  fs.writeFileSync(file, text);
  console.log(`${file} written`);
}

const contracts = compile(names.map((name) => `contracts/src/${name}.sol`), settings);
const code = (name) => {
  const { object, immutableReferences } = contracts[`contracts/src/${name}.sol`][name].evm.deployedBytecode;
  if (Object.keys(immutableReferences).length > 0) throw new Error(`${name}: a predeploy has no constructor and no immutables`);
  return `0x${object}`;
};
const predeploys = {
  registry: { address: "0x0000000000000000000000000000000000000A12", code: code("ModelRegistry") },
  solc: { version, settings },
};
write("contracts/predeploys.json", `${JSON.stringify(predeploys, null, 2)}\n`);

const layout = contracts["contracts/src/ModelRegistry.sol"].ModelRegistry.storageLayout;
const members = (list) => {
  const place = ({ slot, offset, type }) => ({ slot: Number(slot), offset, bytes: Number(layout.types[type].numberOfBytes) });
  return Object.fromEntries(list.map((member) => [member.label, { ...place(member), type: layout.types[member.type].label }]));
};
const structs = Object.values(layout.types).filter((type) => type.members);
const tables = { ModelRegistry: members(layout.storage) };
for (const { label, members: list } of structs) tables[label.replace(/^struct /, "")] = members(list);
write("contracts/registry-layout.json", `${JSON.stringify(tables, null, 2)}\n`);

const kit = "contracts/src/test-kit";
const shimFile = `${kit}/KitShim.sol`;
const shim = compile([shimFile], settings)[shimFile].KitShim.evm.deployedBytecode.object;
const hex = shim.match(/.{1,100}/g).map((part) => `hex"${part}"`);
write(
  `${kit}/ShimCode.sol`,
  `// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

// Generated from KitShim.sol by scripts/build_predeploys.sh. It is fixed here because its gas must not depend on the compiler
// or the settings of the project that uses the kit.
bytes constant SHIM_CODE = ${hex.join("\n    ")};
`
);
JS

scripts/build_twin.sh "$@"
