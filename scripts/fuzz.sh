#!/usr/bin/env bash
# A bounded run of every fuzz target, seeded with the committed models. SECONDS_EACH=3600 for a long one.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! rustup toolchain list 2>/dev/null | grep -q nightly; then
  if [ "${CI:-}" = true ]; then echo "fuzz: CI needs a nightly toolchain" >&2; exit 1; fi
  echo "fuzz: skipped, no nightly toolchain (rustup toolchain install nightly)"
  exit 0
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "fuzz: installing cargo-fuzz (about 1 minute, once)"
  cargo install cargo-fuzz --locked --quiet
fi

each=${SECONDS_EACH:-20}
mkdir -p fuzz/corpus/{model_file,onnx,call_data}
cp -n target/models/*.lsm fuzz/corpus/model_file/ 2>/dev/null || true
for dir in tests/models/*/; do
  [ -f "$dir/model.onnx" ] && cp -n "$dir/model.onnx" "fuzz/corpus/onnx/$(basename "$dir").onnx"
done
cargo +nightly fuzz build --sanitizer none
# Two kinds of bound: time, and memory (a decoder that allocates by a stated count is caught by the second).
fuzz() {
  cargo +nightly fuzz run "$1" --sanitizer none -- \
    -max_total_time="$each" -rss_limit_mb=1500 -malloc_limit_mb=512 -max_len=200000 -print_final_stats=0 >"$logs/$1" 2>&1
}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
targets=(model_file onnx call_data)
running=()
for target in "${targets[@]}"; do
  fuzz "$target" &
  running+=($!)
done
failed=0
for index in "${!targets[@]}"; do
  target=${targets[$index]}
  echo "fuzz: $target, $each s, beside the others"
  if wait "${running[$index]}"; then
    tail -n 3 "$logs/$target"
  else
    failed=1
    tail -n 60 "$logs/$target" >&2
  fi
done
[ "$failed" = 0 ] || exit 1
