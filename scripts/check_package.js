// Installs Lockstep in a development chain by contracts/hardhat.js, and holds committed calls to their answers.
//   node scripts/check_package.js http://127.0.0.1:8545     a chain that has twin and registry (anvil --load-state)
//   require("check_package.js").main(provider, true)        a bare one, such as Hardhat's network
"use strict";

const path = require("path");
const fs = require("fs");
const root = path.join(__dirname, "..");
const lockstep = require("../contracts/hardhat.js");

const models = { volatility_mlp: "VolatilityMlp", iris_forest: "IrisForest", wine_mixed: "WineMixed" };

/** A model file made of the committed fixture, so that no binary is needed. */
function modelFile(name, library) {
  const source = fs.readFileSync(path.join(root, `contracts/test/models/${library}Fixture.sol`), "utf8");
  const section = (field) => {
    const long = source.match(new RegExp(`function _${field}\\(\\)[^}]*new bytes\\((\\d+)\\)`));
    if (long) {
      const parts = [...source.matchAll(new RegExp(`function _${field}\\d+\\(uint256 p\\)[^}]*}`, "g"))];
      const words = parts.flatMap(([part]) => [...part.matchAll(/0x([0-9a-f]{64})/g)].map(([, word]) => word));
      return Buffer.from(words.join(""), "hex").subarray(0, Number(long[1]));
    }
    const [, parts] = source.match(new RegExp(`m\\.${field} =((?:\\s*hex"[0-9a-f]*")+);`));
    return Buffer.from(parts.replace(/hex|"|\s/g, ""), "hex");
  };
  const [graph, weights] = [section("graph"), section("weights")];
  const header = Buffer.alloc(32);
  header.write("LOCKSTEP");
  header.writeUInt32LE(1, 8);
  header.writeUInt32LE(graph.length, 12);
  header.writeBigUInt64LE(BigInt(weights.length), 16);
  const padding = Buffer.alloc((64 - ((32 + graph.length) % 64)) % 64);
  const file = path.join(root, "target", "package", `${name}.lsm`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, Buffer.concat([header, graph, padding, weights]));
  return file;
}

async function main(provider, bare) {
  if (bare) await lockstep.install(provider);
  const code = await provider.request({ method: "eth_getCode", params: [lockstep.PRECOMPILE, "latest"] });
  if (code.length < 100) throw new Error("nothing stands at the precompile's address");
  const committed = JSON.parse(fs.readFileSync(path.join(root, "contracts/test/native/models.json"), "utf8"));
  for (const [name, library] of Object.entries(models)) {
    const modelId = await lockstep.useModel(provider, modelFile(name, library));
    const again = await lockstep.useModel(provider, modelFile(name, library));
    const { call, answer } = committed[name];
    if (modelId !== "0x" + call.slice(10, 74) || again !== modelId) throw new Error(`${name}: modelId ${modelId}`);
    const got = await provider.request({ method: "eth_call", params: [{ to: lockstep.PRECOMPILE, data: call, gas: "0xf00000" }, "latest"] });
    if (got !== answer) throw new Error(`${name}: ${got} in place of ${answer}`);
    console.log(`${name}: the node's answer, ${(answer.length - 2) / 2} bytes`);
  }
}

function failed(error) {
  console.error(error.message);
  process.exitCode = 1;
}

module.exports = { main: (provider, bare) => main(provider, bare).catch(failed) };
if (require.main === module) main(lockstep.httpProvider(process.argv[2]), false).catch(failed);
