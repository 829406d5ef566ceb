#!/usr/bin/env node
// Compiles the library, the interfaces and the test kit with one compiler, without a warning, with and without via-ir:
//   scripts/check_solidity.js FOLDER-OF-SOLC EVM-VERSION [FILE ...]
// FOLDER-OF-SOLC holds node_modules/solc. Files are given from contracts/src; without any, all that is promised to compile.
"use strict";

const fs = require("fs");
const path = require("path");

const [folder, evmVersion, ...given] = process.argv.slice(2);
const solc = require(path.resolve(folder, "node_modules", "solc"));
const root = path.join(__dirname, "..", "contracts", "src");
const here = (directory) => fs.readdirSync(path.join(root, directory)).filter((f) => f.endsWith(".sol")).map((f) => path.join(directory, f));
const entries = given.length > 0 ? given : [...here("."), ...here("test-kit")];
const key = (file) => `src/${file}`;
const read = (name) => {
  const file = path.join(root, name.replace(/^src\//, ""));
  return fs.existsSync(file) ? { contents: fs.readFileSync(file, "utf8") } : { error: "not found" };
};
let failed = false;
for (const viaIR of [false, true]) {
  const began = Date.now();
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(entries.map((f) => [key(f), { content: read(key(f)).contents }])),
    settings: { evmVersion, viaIR, optimizer: { enabled: true, runs: 200 }, outputSelection: { "*": { "*": ["evm.bytecode.object"] } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const errors = output.errors ?? [];
  for (const error of errors) console.error(error.formattedMessage);
  failed ||= errors.length > 0;
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  console.log(`solc ${solc.version().split("+")[0]} ${evmVersion}${viaIR ? " via-ir" : ""}: ${entries.length} files, ${errors.length} complaints, ${seconds} s`);
}
process.exitCode = failed ? 1 : 0;
