// Runs the module in Node's WebAssembly and compares with the approved hashes: node run.mjs MODULE CONFORMANCE.TOML
import { readFileSync } from 'node:fs';

const [module, approved] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(module), {});
const { memory, report_start: start, report_length: length } = instance.exports;
const lines = (text) => text.split('\n').filter((l) => l.includes(' = ')).sort();
const want = lines(readFileSync(approved, 'utf8'));

for (const [fast, name] of [[0, 'the reference'], [1, 'the fast path (portable)']]) {
  const began = performance.now();
  const [n, at] = [length(fast), start(fast)];
  const text = new TextDecoder().decode(new Uint8Array(memory.buffer, at, n));
  const got = lines(text);
  const wrong = got.filter((l) => !want.includes(l));
  if (wrong.length > 0 || got.length !== want.length) {
    console.error(`${name}: ${wrong.length} of ${want.length} operators differ\n${wrong.join('\n') || text}`);
    process.exit(1);
  }
  console.log(`${name}: ${got.length} operators as approved, ${Math.round(performance.now() - began)} ms`);
}
