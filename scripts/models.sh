#!/usr/bin/env bash
# Imports every committed ONNX file to target/models/<name>.lsm, where it is newer than the last import.
set -euo pipefail
cd "$(dirname "$0")/.."
lockstep=${LOCKSTEP_BIN:-target/release/lockstep}
mkdir -p target/models
for dir in tests/models/*/; do
  name=$(basename "$dir")
  [ -f "$dir/model.onnx" ] || continue
  out=target/models/$name.lsm
  if [ ! -f "$out" ] || [ "$dir/model.onnx" -nt "$out" ] || [ "$lockstep" -nt "$out" ]; then
    "$lockstep" import "$dir/model.onnx" -o "$out" --data "$dir/test.npz" >"target/models/$name.txt" 2>&1 \
      || { cat "target/models/$name.txt" >&2; exit 1; }
  fi
done
