#!/usr/bin/env bash
# Builds the twin (contracts/src/twin) as it is placed at fixed addresses, and commits what comes out:
#   contracts/twin.json                   for genesis: dispatcher at 0x…0A11, modules from 0x…0A20 on, with the opcode CLZ (osaka);
#                                         the node includes this file, so its bytes are part of the protocol
#   contracts/src/twin/TwinCode.sol       for tests: the same sources with portable/LeadingZeros.sol, for every fork from shanghai on
#
#   scripts/build_twin.sh           writes the files
#   scripts/build_twin.sh --check   exits 1 if a file is not what the sources give
#
# Compiled by the compiler of package-lock.json from one standard-JSON input with the settings below (not foundry.toml's).
# `scripts/build_twin.sh --input osaka|portable` prints that input, for who wants to compile it elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1-}" in
  "" | --check | --input) ;;
  *) echo "usage: scripts/build_twin.sh [--check | --input osaka|portable]" >&2; exit 2 ;;
esac
[ -d node_modules/solc ] || { echo "the Solidity compiler is missing: run 'npm ci'" >&2; exit 1; }

node - "$@" <<'JS'
const fs = require("fs");
const { execFileSync } = require("child_process");

const [option, build] = process.argv.slice(2);
const folder = "contracts/src/twin";
const registry = "0x0000000000000000000000000000000000000A12";
// Modules by their addresses. A new one takes the next address; none is ever given to another module.
const addresses = {
  Twin: "0x0000000000000000000000000000000000000A11",
  TwinGraph: "0x0000000000000000000000000000000000000A20",
  TwinShapes: "0x0000000000000000000000000000000000000A21",
  TwinRun: "0x0000000000000000000000000000000000000A22",
  TwinElementwise: "0x0000000000000000000000000000000000000A23",
  TwinReductions: "0x0000000000000000000000000000000000000A24",
  TwinMovement: "0x0000000000000000000000000000000000000A25",
  TwinPools: "0x0000000000000000000000000000000000000A26",
  TwinNames: "0x0000000000000000000000000000000000000A27",
  TwinSelection: "0x0000000000000000000000000000000000000A28",
  TwinIntegers: "0x0000000000000000000000000000000000000A29",
};
const solc = (option, stdin) => execFileSync("scripts/solc", [option], { input: stdin, encoding: "utf8", maxBuffer: 1 << 28 });
const version = solc("--version").match(/Version: (\S+)/)[1];

function input(portable) {
  const files = fs.readdirSync(folder).filter((file) => file.endsWith(".sol") && file !== "TwinCode.sol" && file !== "TwinInterpreter.sol");
  const names = [...files.map((file) => `${folder}/${file}`), "contracts/src/IInference.sol", "contracts/src/IModelRegistry.sol"];
  const content = (name) => {
    const swapped = portable && name === `${folder}/LeadingZeros.sol`;
    return fs.readFileSync(swapped ? `${folder}/portable/LeadingZeros.sol` : name, "utf8");
  };
  const libraries = Object.entries(addresses).filter(([name]) => name !== "Twin");
  return {
    language: "Solidity",
    sources: Object.fromEntries(names.sort().map((name) => [name, { content: content(name) }])),
    settings: {
      optimizer: { enabled: true, runs: 1000 },
      evmVersion: portable ? "shanghai" : "osaka",
      viaIR: false,
      metadata: { bytecodeHash: "none", appendCBOR: false },
      libraries: Object.fromEntries(libraries.map(([name, address]) => [`${folder}/${name}.sol`, { [name]: address }])),
      outputSelection: { "*": { "*": ["evm.deployedBytecode"] } },
    },
  };
}

function compile(portable) {
  const output = JSON.parse(solc("--standard-json", JSON.stringify(input(portable))));
  for (const error of output.errors ?? []) console.error(error.formattedMessage);
  if ((output.errors ?? []).length > 0) process.exit(1);
  return Object.entries(addresses).map(([name, address]) => {
    const { object, immutableReferences, linkReferences } = output.contracts[`${folder}/${name}.sol`][name].evm.deployedBytecode;
    if (Object.keys(linkReferences).length > 0) throw new Error(`${name} needs a module that has no address: ${JSON.stringify(linkReferences)}`);
    const code = Buffer.from(object, "hex");
    const put = (value, start, length) => Buffer.from(value.slice(2).padStart(2 * length, "0"), "hex").copy(code, start);
    // The dispatcher's one immutable is the registry; a library's deployed code begins with its own address.
    for (const { start, length } of Object.values(immutableReferences).flat()) put(registry, start, length);
    if (name !== "Twin") {
      if (!object.startsWith(`73${"00".repeat(20)}30`)) throw new Error(`${name} does not begin as a library`);
      put(address, 1, 20);
    }
    if (code.length > 24_576) throw new Error(`${name} has ${code.length} bytes, 24576 are allowed`);
    return { name, address, code: `0x${code.toString("hex")}` };
  });
}

function write(file, text) {
  const current = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  if (current === text) return console.log(`${file} is up to date`);
  if (option === "--check") {
    console.error(`${file} is not what its sources give: run scripts/build_twin.sh and commit the result`);
    process.exitCode = 1;
    return;
  }
  fs.writeFileSync(file, text);
  console.log(`${file} written`);
}

if (option === "--input") {
  console.log(JSON.stringify(input(build === "portable"), null, 2));
  process.exit(0);
}
const { libraries, outputSelection, ...settings } = input(false).settings;
write("contracts/twin.json", `${JSON.stringify({ modules: compile(false), solc: { version, settings } }, null, 2)}\n`);

// Parts of 4 KiB, each a contract that returns it: via-ir takes one literal of all the code in a quarter of an hour, because the
// optimizer's time grows with the square of a function's stores.
const PART = 4096;
const modules = compile(true);
const blob = modules.map(({ code }) => code.slice(2)).join("");
const words = blob.padEnd(64 * Math.ceil(blob.length / 64), "0").match(/.{64}/g);
const perPart = PART / 32;
const parts = [];
for (let at = 0; at < words.length; at += perPart) parts.push(words.slice(at, at + perPart));
const places = modules.map(({ address, code }, i) => `        (addresses[${i}], lengths[${i}]) = (address(0x${address.slice(-3)}), ${(code.length - 2) / 2});`);
const contracts = parts.map((part, i) => `/// @dev Part ${i}: it returns its words.
contract TwinPart${i} {
    fallback() external {
        assembly {
${part.map((word, k) => `            mstore(${32 * k}, 0x${word})`).join("\n")}
            return(0, ${32 * part.length})
        }
    }
}
`);
write(
  `${folder}/TwinCode.sol`,
  `// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

// Generated by scripts/build_twin.sh from the sources beside it with portable/LeadingZeros.sol: it runs on every fork from
// shanghai on. It is fixed here so that a project needs neither the sources nor their compiler settings.

/// @title The twin as code, for tests
/// @notice The modules one after the other, dispatcher first, are what TwinPart0, TwinPart1, … return together, and zeros.
library TwinCode {
    /// @notice How many parts there are.
    uint256 internal constant PARTS = ${parts.length};

    /// @notice Bytes of all modules together.
    uint256 internal constant LENGTH = ${blob.length / 2};

    /// @notice Where the modules must lie, and how many bytes each has. The dispatcher (first) answers at any address; models
    /// are looked up in the registry at 0x…0A12.
    function places() internal pure returns (address[] memory addresses, uint256[] memory lengths) {
        addresses = new address[](${modules.length});
        lengths = new uint256[](${modules.length});
${places.join("\n")}
    }
}

${contracts.join("\n")}`
);
JS
