#!/usr/bin/env node
// Compiles the library, the interfaces, the test kit and a fixture with one compiler, without a warning, with and without via-ir:
//   scripts/check_solidity.js FOLDER-OF-SOLC EVM-VERSION [--quick]
// FOLDER-OF-SOLC holds node_modules/solc. --quick leaves out the code generation of the twin's code, which is stores of words
// and nothing else, and of the fixture.
"use strict";

const fs = require("fs");
const path = require("path");

const [folder, evmVersion, option] = process.argv.slice(2);
const solc = require(path.resolve(folder, "node_modules", "solc"));
const root = path.join(__dirname, "..", "contracts");
const here = (directory) => fs.readdirSync(path.join(root, directory)).filter((f) => f.endsWith(".sol")).map((f) => path.join(directory, f));
const fixture = "test/models/DigitsMlpFixture.sol";
const carriers = ["src/twin/TwinCode.sol", fixture];
const entries = [...here("src"), ...here("src/test-kit"), ...carriers];
const read = (name) => {
  const file = path.join(root, name.replace(/^lockstep\//, "src/"));
  return fs.existsSync(file) ? { contents: fs.readFileSync(file, "utf8") } : { error: "not found" };
};
// The compiler warns about all files, and makes code for those that are asked for. A fixture's code is in who uses it.
const user = "User.sol";
const use = `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;
import {DigitsMlpFixture} from "./${fixture}";
import {ModelFixture} from "lockstep/test-kit/ModelFixture.sol";
contract User {
    function model() external pure returns (ModelFixture memory) {
        return DigitsMlpFixture.model();
    }
}
`;
const wanted = [...entries, user].filter((file) => option !== "--quick" || ![...carriers, user].includes(file));
const sources = Object.fromEntries(entries.map((file) => [file, { content: read(file).contents }]));
let failed = false;
for (const viaIR of [false, true]) {
  const began = Date.now();
  const input = {
    language: "Solidity",
    sources: { ...sources, [user]: { content: use } },
    settings: {
      evmVersion,
      viaIR,
      optimizer: { enabled: true, runs: 200 },
      remappings: ["lockstep/=src/"],
      outputSelection: Object.fromEntries(wanted.map((file) => [file, { "*": ["evm.bytecode.object"] }])),
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const errors = output.errors ?? [];
  for (const error of errors) console.error(error.formattedMessage);
  const made = wanted.flatMap((file) => Object.values(output.contracts?.[file] ?? {})).filter((c) => c.evm.bytecode.object.length > 0).length;
  failed ||= errors.length > 0 || made === 0;
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  const version = solc.version().split("+")[0];
  console.log(`solc ${version} ${evmVersion}${viaIR ? " via-ir" : ""}: ${made} contracts, ${errors.length} complaints, ${seconds} s`);
}
process.exitCode = failed ? 1 : 0;
