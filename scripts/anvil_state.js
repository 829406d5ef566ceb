#!/usr/bin/env node
// Writes contracts/anvil-state.json: what genesis places, for `anvil --load-state`, with the twin's portable build.
//   scripts/anvil_state.js [--check]
"use strict";

const fs = require("fs");
const path = require("path");
const { predeploys } = require("../contracts/hardhat.js");

const file = path.join(__dirname, "..", "contracts", "anvil-state.json");
const account = ({ address, code }) => [address, { nonce: 1, balance: "0x0", code, storage: {} }];
const state = {
  block: null,
  accounts: Object.fromEntries(predeploys().map(account)),
  best_block_number: 0,
  blocks: [],
  transactions: [],
  historical_states: null,
};
const text = JSON.stringify(state, null, 1) + "\n";
const current = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
if (current === text) console.log("contracts/anvil-state.json is up to date");
else if (process.argv[2] === "--check") {
  console.error("contracts/anvil-state.json is not what its sources give: run scripts/anvil_state.js and commit the result");
  process.exitCode = 1;
} else {
  fs.writeFileSync(file, text);
  console.log("contracts/anvil-state.json written");
}
