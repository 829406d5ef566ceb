#!/usr/bin/env bash
# The npm package of contracts/, as somebody gets it:
#   scripts/package.sh content     what `npm pack` puts into it
#   scripts/package.sh newcomer [--quick]    the template in a fresh folder: npm i && npx forge test; the first screen of
#                                  docs/testing-contracts.md in place of its test; not quick: also with via-ir, and the first
#                                  command of README.md
#   scripts/package.sh anvil       anvil --load-state, a model by hardhat.js, a committed call and its answer
#   scripts/package.sh hardhat     the same in Hardhat's network (fetches the npm package hardhat to target/)
#   scripts/package.sh compilers [--quick]   the oldest, one between and the newest compiler, with and without via-ir (fetches
#                                  solc 0.8.20 and 0.8.28 to target/)
#   scripts/package.sh             all of them
# FOUNDRY_SOLC names the compiler of the fresh project; without it the project's own.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$root/target/package
export FOUNDRY_SOLC=${FOUNDRY_SOLC:-$root/scripts/solc} NO_COLOR=1
began=$SECONDS
step() { printf '== %s (%d s)\n' "$1" "$((SECONDS - began))"; }

# In the repository the template takes the folder above it; in the package it takes the package.
pack() {
  mkdir -p "$work"
  rm -rf "$work"/*.tgz "$work/staging"
  mkdir "$work/staging"
  version=$(node -p 'require("./contracts/package.json").version')
  (cd contracts && cp -r package.json README.md src hardhat.js anvil-state.json predeploys.json remappings.txt "$work/staging")
  mkdir -p "$work/staging/template"
  (cd contracts/template && cp -r package.json README.md foundry.toml src test "$work/staging/template")
  sed -i "s|\"file:..\"|\"$version\"|" "$work/staging/template/package.json"
  (cd "$work/staging" && npm pack --silent --pack-destination "$work" >/dev/null)
  tarball=$(echo "$work"/*.tgz)
}

content() {
  step "content"
  scripts/anvil_state.js --check
  pack
  tar -tzf "$tarball" | sed 's|^package/||' | sort >"$work/content.txt"
  for file in package.json README.md hardhat.js anvil-state.json predeploys.json remappings.txt src/Inference.sol \
    src/IInference.sol src/test-kit/InferenceTest.sol src/twin/TwinCode.sol template/foundry.toml; do
    grep -qx "$file" "$work/content.txt" || { echo "the package lacks $file" >&2; exit 1; }
  done
  if grep -E '^(test|examples|script|cache|out)/|fixtures\.json' "$work/content.txt"; then
    echo "the package holds what is no part of it" >&2
    exit 1
  fi
  echo "$(wc -l <"$work/content.txt") files, $(stat -c %s "$tarball") bytes packed"
}

newcomer() {
  step "newcomer"
  pack
  rm -rf "$work/newcomer" "$work/package"
  tar -xzf "$tarball" -C "$work"
  cp -r "$work/package/template" "$work/newcomer"
  sed -i "s|\"@lockstep/contracts\": \"[0-9.]*\"|\"@lockstep/contracts\": \"file:$tarball\"|" "$work/newcomer/package.json"
  (cd "$work/newcomer" && npm i --silent --no-audit --no-fund && first_test)
  if [ "${1-}" != --quick ]; then
    step "newcomer, via-ir"
    (cd "$work/newcomer" && FOUNDRY_VIA_IR=true first_test)
  fi
  step "first screen of docs/testing-contracts.md"
  {
    printf '// SPDX-License-Identifier: MIT\npragma solidity ^0.8.20;\n'
    awk '/^```solidity$/ { on = 1; next } /^```$/ { if (on) exit } on' docs/testing-contracts.md
  } >"$work/newcomer/test/Cellar.t.sol"
  lines=$(($(wc -l <"$work/newcomer/test/Cellar.t.sol") - 2))
  [ "$lines" -le 12 ] || { echo "the first screen has $lines lines, 12 are promised" >&2; exit 1; }
  (cd "$work/newcomer" && first_test)
  [ "${1-}" = --quick ] && return
  step "first lines of README.md, in the repository"
  rm -rf "$work/clone" && mkdir -p "$work/clone/contracts"
  cp -r "$work/staging/." "$work/clone/contracts"
  cp contracts/template/package.json "$work/clone/contracts/template/"
  grep -qx 'cd contracts/template && npm i && npx forge test .*' README.md || { echo "README.md has another first command" >&2; exit 1; }
  (cd "$work/clone/contracts/template" && npm i --silent --no-audit --no-fund && first_test)
}

# npx begins forge by the package's script, which ends with status 0 whatever forge said.
first_test() {
  npx forge test | tee "$work/first-test.log"
  grep -q '1 tests passed, 0 failed, 0 skipped' "$work/first-test.log"
}

check_answers() { node scripts/check_package.js "$@"; }

anvil() {
  step "anvil"
  port=${ANVIL_PORT:-18745}
  node_modules/.bin/anvil --silent --port "$port" --load-state contracts/anvil-state.json &
  pid=$!
  trap 'kill $pid 2>/dev/null || true' EXIT
  for _ in $(seq 50); do
    curl -sf -X POST -H 'content-type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}' \
      "http://127.0.0.1:$port" >/dev/null && break
    sleep 0.2
  done
  check_answers "http://127.0.0.1:$port"
  kill "$pid" && wait "$pid" 2>/dev/null || true
  trap - EXIT
}

hardhat() {
  step "hardhat"
  mkdir -p "$work/hardhat"
  cd "$work/hardhat"
  [ -f package.json ] || npm init -y >/dev/null
  [ -d node_modules/hardhat ] || npm i --silent --no-audit --no-fund hardhat@2.29.1
  echo 'module.exports = { solidity: "0.8.28", networks: { hardhat: { blockGasLimit: 60000000 } } };' >hardhat.config.js
  echo "require('$root/scripts/check_package.js').main(require('hardhat').network.provider, true);" >check.js
  HARDHAT_DISABLE_TELEMETRY_PROMPT=true npx hardhat run --no-compile check.js
  cd "$root"
}

compilers() {
  step "compilers"
  for version in 0.8.20 0.8.28; do
    [ -d target/solc/$version/node_modules/solc ] && continue
    mkdir -p target/solc/$version
    (cd target/solc/$version && npm init -y >/dev/null && npm i --silent --no-audit --no-fund solc@$version)
  done
  # All at a time; each with a log of its own, so that complaints stay together.
  local pids=() failed=0
  mkdir -p "$work"
  for pair in 0.8.20:shanghai 0.8.28:cancun newest:osaka; do
    version=${pair%:*}
    [ "$version" = newest ] && from=. || from=target/solc/$version
    scripts/check_solidity.js "$from" "${pair#*:}" "$@" >"$work/solc-$version.log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  cat "$work"/solc-*.log
  return $failed
}

case "${1-all}" in
  content | anvil | hardhat) "$1" ;;
  newcomer | compilers) "$@" ;;
  all)
    # Each part is a process of its own: within `&&` bash does not stop a function at the first command that fails.
    for part in content newcomer anvil hardhat compilers; do scripts/package.sh "$part"; done
    step "done"
    ;;
  *) sed -n '2,13p' "$0" >&2; exit 2 ;;
esac
