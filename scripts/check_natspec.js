#!/usr/bin/env node
// Everything public in contracts/src has NatSpec: contracts, libraries, structs, functions that are not private, events, errors.
"use strict";

const fs = require("fs");
const path = require("path");

const root = path.join(__dirname, "..", "contracts", "src");
const files = fs.readdirSync(root, { recursive: true }).filter((f) => f.endsWith(".sol"));
const named = /^\s*(?:abstract )?(contract|library|interface|struct|enum|function|event|error)\s+(\w+)/;
let missing = 0;
let all = 0;
for (const file of files) {
  const lines = fs.readFileSync(path.join(root, file), "utf8").split("\n");
  lines.forEach((line, at) => {
    const found = line.match(named);
    if (!found || /^\s*(\/\/|\*)/.test(line)) return;
    // A function's head may go over several lines; Yul functions and cheatcodes are not ours to describe.
    let head = line;
    for (let next = at + 1; !/[{;]/.test(head) && next < lines.length; ++next) head += lines[next];
    if (found[1] === "function" && (/\bprivate\b/.test(head) || /\b_\w+$/.test(found[2]) || found[2].startsWith("_") || !/\b(public|external|internal)\b/.test(head))) return;
    if (file.endsWith("KitVm.sol") && found[1] === "function") return;
    ++all;
    let before = at - 1;
    while (before >= 0 && /^\s*(\/\/ |assembly|using )/.test(lines[before]) && !/^\s*\/\/\//.test(lines[before])) --before;
    if (before >= 0 && /^\s*\/\/\//.test(lines[before])) return;
    ++missing;
    console.error(`contracts/src/${file}:${at + 1}: ${found[1]} ${found[2]} has no NatSpec`);
  });
}
console.log(`${all} public items, ${missing} without NatSpec`);
process.exitCode = missing > 0 ? 1 : 0;
