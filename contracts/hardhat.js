// Lockstep on a development chain that does not know the precompile: Hardhat's network, or anvil.
//
//   const lockstep = require("@lockstep/contracts/hardhat");
//   await lockstep.install(network.provider);                          the twin at 0x…0A11, the registry at 0x…0A12
//   const modelId = await lockstep.useModel(network.provider, "models/risk.lsm");
//
// The answers are a node's, bit for bit; gas is not (the twin is Solidity). `provider` is any EIP-1193 provider whose chain
// takes hardhat_setCode, hardhat_setStorageAt and web3_sha3; httpProvider(url) makes one for a JSON-RPC endpoint.
"use strict";

const fs = require("fs");
const path = require("path");

const PRECOMPILE = "0x0000000000000000000000000000000000000a11";
const REGISTRY = "0x0000000000000000000000000000000000000a12";
const CHUNK = 24_512;
const SOURCE = path.join(__dirname, "src");

/** The twin's dispatcher and modules: [{ address, code }], as src/twin/TwinCode.sol carries them. */
function twin() {
  const source = fs.readFileSync(path.join(SOURCE, "twin", "TwinCode.sol"), "utf8");
  const all = [...source.matchAll(/mstore\(\d+, 0x([0-9a-f]{64})\)/g)].map(([, word]) => word).join("");
  const places = [...source.matchAll(/\(addresses\[\d+\], lengths\[\d+\]\) = \(address\(0x([0-9a-fA-F]+)\), (\d+)\);/g)];
  const length = places.reduce((sum, [, , bytes]) => sum + 2 * Number(bytes), 0);
  if (places.length === 0 || length > all.length) {
    throw new Error("src/twin/TwinCode.sol is not what this file expects: reinstall @lockstep/contracts");
  }
  let at = 0;
  return places.map(([, address, bytes]) => {
    const code = "0x" + all.slice(at, (at += 2 * Number(bytes)));
    return { address: "0x" + address.toLowerCase().padStart(40, "0"), code };
  });
}

/** The registry's runtime code, as genesis has it. */
function registry() {
  return JSON.parse(fs.readFileSync(path.join(__dirname, "predeploys.json"), "utf8")).registry.code;
}

/** Everything that install places: [{ address, code }]. */
function predeploys() {
  return [...twin(), { address: REGISTRY, code: registry() }];
}

/** Places the twin at the precompile's address and the registry beside it. */
async function install(provider) {
  for (const { address, code } of predeploys()) {
    await provider.request({ method: "hardhat_setCode", params: [address, code] });
    const nonce = await provider.request({ method: "eth_getTransactionCount", params: [address, "latest"] });
    if (BigInt(nonce) === 0n) await provider.request({ method: "hardhat_setNonce", params: [address, "0x1"] });
  }
}

/** Reads a model file (docs/spec.md, section 2). */
function readModel(file) {
  const bytes = fs.readFileSync(file);
  if (bytes.length < 32 || bytes.toString("latin1", 0, 8) !== "LOCKSTEP") {
    throw new Error(`${file} is no model file: \`lockstep import\` makes one`);
  }
  const graphLength = bytes.readUInt32LE(12);
  const weightsLength = Number(bytes.readBigUInt64LE(16));
  const start = Math.ceil((32 + graphLength) / 64) * 64;
  if (start + weightsLength > bytes.length) throw new Error(`${file} is cut off: import it again`);
  return { graph: bytes.subarray(32, 32 + graphLength), weights: bytes.subarray(start, start + weightsLength) };
}

/**
 * Makes a model callable at once: stores its chunks, registers it by a transaction of the first account, and writes its
 * record as activated. Returns the modelId.
 */
async function useModel(provider, file) {
  const { graph, weights } = readModel(file);
  const hash = async (hex) => provider.request({ method: "web3_sha3", params: [hex] });
  const store = async (section) => {
    const chunks = [];
    for (let at = 0; at < section.length; at += CHUNK) {
      const data = section.subarray(at, at + CHUNK).toString("hex");
      const init = await hash(`0x600b5981380380925939f300${data}`);
      const chunk = "0x" + (await hash(`0xff${REGISTRY.slice(2)}${"00".repeat(32)}${init.slice(2)}`)).slice(26);
      await provider.request({ method: "hardhat_setCode", params: [chunk, `0x00${data}`] });
      chunks.push(chunk);
    }
    return chunks;
  };
  const [graphChunks, weightChunks] = [await store(graph), await store(weights)];

  const word = (value) => BigInt(value).toString(16).padStart(64, "0");
  const list = (items) => word(items.length) + items.map(word).join("");
  const selector = (await hash("0x" + Buffer.from("register(uint32,address[],address[])").toString("hex"))).slice(0, 10);
  const data = selector + word(1) + word(96) + word(96 + 32 * (graphChunks.length + 1)) + list(graphChunks) + list(weightChunks);
  const [from] = await provider.request({ method: "eth_accounts", params: [] });
  const call = { from, to: REGISTRY, data };
  const modelId = await provider.request({ method: "eth_call", params: [call, "latest"] });
  const sent = await provider.request({ method: "eth_sendTransaction", params: [{ ...call, gas: "0xf00000" }] });
  let receipt = null;
  for (let tries = 0; receipt === null && tries < 100; ++tries) {
    if (tries > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    receipt = await provider.request({ method: "eth_getTransactionReceipt", params: [sent] });
  }
  if (receipt === null || BigInt(receipt.status) !== 1n) throw new Error(`the registry did not take ${file}: transaction ${sent}`);

  const read = async (slot) => BigInt(await provider.request({ method: "eth_getStorageAt", params: [REGISTRY, slot, "latest"] }));
  const write = async (slot, value) => provider.request({ method: "hardhat_setStorageAt", params: [REGISTRY, slot, "0x" + word(value)] });
  const record = await hash(modelId + word(0));
  const packed = await read(record);
  if ((packed & 0xffn) === 2n) return modelId;
  // Status and activation block of the record; then the list of active models.
  await write(record, (packed & ~((1n << 72n) - 1n)) | 2n);
  const count = await read("0x2");
  const first = BigInt(await hash("0x" + word(2)));
  await write("0x" + word(first + count), BigInt(modelId));
  await write("0x" + word(2), count + 1n);
  return modelId;
}

/** An EIP-1193 provider for a JSON-RPC endpoint. */
function httpProvider(url) {
  let id = 0;
  return {
    async request({ method, params }) {
      const body = JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params });
      const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
      const answer = await response.json();
      if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
      return answer.result;
    },
  };
}

module.exports = { PRECOMPILE, REGISTRY, install, useModel, httpProvider, predeploys, readModel };
