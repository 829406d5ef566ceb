// What both clients do: deploy the consumer, classify in a transaction, read the event, call, estimate, meet an error.
import { readFileSync } from "node:fs";

export const [url, modelId, rowJson] = process.argv.slice(2);
export const row = JSON.parse(rowJson ?? "[]").map(BigInt);
// The first account of the public test mnemonic.
export const key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

const root = new URL("../../", import.meta.url);
export const artifact = JSON.parse(readFileSync(new URL("out/ModelConsumer.sol/ModelConsumer.json", root)));
export const errors = JSON.parse(readFileSync(new URL("out/IInference.sol/IInference.json", root))).abi;

export function report(result) {
  console.log(JSON.stringify(result, (_, v) => (typeof v === "bigint" ? v.toString() : v)));
}
