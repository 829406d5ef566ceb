#!/usr/bin/env bash
# Builds the engine for aarch64 and wasm32 and checks there that every operator has the approved hash
# (engine/conformance.toml), and on aarch64 that every committed model imports to its pinned modelId:
# aarch64 under qemu, wasm32 in Node. Installs what it needs on Debian, as root.
#
# targets.sh [aarch64] [wasm32]
set -euo pipefail
cd "$(dirname "$0")/.."

began=$SECONDS
step() { printf '\n== %s (%d s)\n' "$1" "$((SECONDS - began))"; }

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(aarch64 wasm32)
packages=(rustc-web cargo-web)
for t in "${targets[@]}"; do
  case $t in
    aarch64) packages+=(libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static) ;;
    wasm32) packages+=(rust-web-src clang lld wasi-libc) ;;
    *) echo "usage: targets.sh [aarch64] [wasm32]" >&2; exit 2 ;;
  esac
done

# rustup's toolchain has the library of this machine only; Debian's has others as packages.
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed' || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
  step "installing ${missing[*]}"
  dpkg --add-architecture arm64
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

here=$PWD/tests/targets
export RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$PWD/target/targets CARGO_INCREMENTAL=0
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTUP_TOOLCHAIN
# The versions of the workspace.
cp Cargo.lock "$here/Cargo.lock"
trap 'rm -f "$here/Cargo.lock"' EXIT

for t in "${targets[@]}"; do
  case $t in
    aarch64)
      step "aarch64: build"
      # Off: with fused instructions at hand gcc would contract a * b + c, and CORE-MATH would run another sequence
      # of operations than the one that was checked on all inputs.
      export CFLAGS_aarch64_unknown_linux_gnu=-ffp-contract=off
      export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
      /usr/bin/cargo build --quiet --release --manifest-path "$here/Cargo.toml" --features import --bins \
        --target aarch64-unknown-linux-gnu
      step "aarch64: run under qemu"
      # Debian's qemu 7.2 does not come back from the start of a thread, whatever the program.
      emulated() { timeout 300 qemu-aarch64-static -L /usr/aarch64-linux-gnu "$@"; }
      built=$CARGO_TARGET_DIR/aarch64-unknown-linux-gnu/release
      emulated "$built/conformance" --one-thread
      emulated "$built/model_ids" importer/tests/model_ids.txt tests/models
      ;;
    wasm32)
      step "wasm32: build"
      export CC_wasm32_unknown_unknown=clang AR_wasm32_unknown_unknown=llvm-ar
      command -v llvm-ar >/dev/null || AR_wasm32_unknown_unknown=$(ls /usr/bin/llvm-ar-* | tail -n 1)
      export CFLAGS_wasm32_unknown_unknown="--target=wasm32-wasi -ffp-contract=off -I$here/include"
      export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld
      # Debian has no library for this target: built from its source.
      RUSTC_BOOTSTRAP=1 /usr/bin/cargo build --quiet --release --manifest-path "$here/Cargo.toml" --lib \
        -Zbuild-std=std,panic_abort --target wasm32-unknown-unknown
      step "wasm32: run in Node"
      node "$here/run.mjs" "$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/lockstep_targets.wasm" \
        engine/conformance.toml
      ;;
  esac
done
step "done"
