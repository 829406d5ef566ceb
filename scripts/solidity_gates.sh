#!/usr/bin/env bash
# Gates for the contracts beyond build and tests:
#   scripts/solidity_gates.sh snapshot [--write]   gas of the library's and the registry's tests, to the unit (contracts/.gas-snapshot)
#   scripts/solidity_gates.sh coverage             lines that tests reach of what is deployed (src/*.sol, examples): 95 % at least; the test
#                                                kit's are shown, but its native and rpc back ends need a binary and a node
#   scripts/solidity_gates.sh slither              static analysis (slither-analyzer from PyPI, in target/slither): no finding unanswered
#   scripts/solidity_gates.sh doc                  forge doc builds, and everything public has NatSpec
#   scripts/solidity_gates.sh fast                 what CI runs: all of them and those of scripts/package.sh, in two lanes
#   scripts/solidity_gates.sh                      all of them
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH" NO_COLOR=1
began=$SECONDS
step() { printf '== %s (%d s)\n' "$1" "$((SECONDS - began))"; }

# What is deterministic: no fuzzing, no ffi, no node.
measured='InferenceLibraryTest|ModelAliasesTest|MocksTest|RowsTest'

snapshot() {
  step "gas snapshot"
  local mode=--check
  [ "${1-}" = --write ] && mode=--snap
  forge snapshot --match-contract "$measured" --no-match-test 'testFuzz_|invariant_' "$mode" contracts/.gas-snapshot
}

coverage() {
  step "coverage"
  # A project of what is measured alone. The twin is compiled by its own script, and the kit's shim is fixed code: neither can be
  # measured by instrumented builds.
  local project=target/coverage/project
  rm -rf "$project" && mkdir -p "$project/contracts/src/twin" "$project/contracts/test"
  cp -r contracts/src/*.sol contracts/src/test-kit "$project/contracts/src/"
  cp contracts/src/twin/TwinCode.sol "$project/contracts/src/twin/"
  cp -r contracts/examples contracts/registry-layout.json contracts/predeploys.json contracts/twin.json "$project/contracts/"
  cp -r contracts/test/*.sol contracts/test/{examples,kit,models,native,utils,vectors} "$project/contracts/test/"
  rm -f "$project"/contracts/test/native/*.sol "$project"/contracts/test/ForcedFallback* "$project"/contracts/test/kit/{Models,InferenceKit}.t.sol
  cp foundry.toml "$project/"
  for name in scripts node_modules docs; do ln -sfn "$PWD/$name" "$project/$name"; done
  (cd "$project" && LOCKSTEP_COVERAGE=1 forge coverage --report lcov --report-file ../lcov.info >../log.txt 2>&1) \
    || { tail -40 target/coverage/log.txt >&2; exit 1; }
  awk -F'[:,]' '
    /^SF:/ { file = $2; ours = file ~ /^contracts\/(src|examples)\// && file !~ /src\/twin\/|ShimCode|KitShim|KitTwin/ }
    /^DA:/ && ours { all[file]++; if ($3 > 0) hit[file]++; else missed[file] = missed[file] " " $2 }
    END {
      for (f in all) {
        if (f !~ /test-kit/) { a += all[f]; h += hit[f] }
        printf "%6.1f %%  %4d of %4d  %s%s\n", 100 * hit[f] / all[f], hit[f], all[f], f, (f in missed) ? "  not:" missed[f] : ""
      }
      printf "%6.1f %% of %d lines\n", 100 * h / a, a
      exit h / a < 0.95
    }' target/coverage/lcov.info
}

slither() {
  step "slither"
  local venv=target/slither
  [ -x "$venv/bin/slither" ] || { python3 -m venv "$venv" && "$venv/bin/pip" -q install slither-analyzer==0.11.6; }
  scripts/check_slither.py "$venv/bin/slither"
}

doc() {
  step "NatSpec"
  forge doc --out target/forge-doc >/dev/null
  node scripts/check_natspec.js
}

# Each part is a process of its own: within `&&` and `||` bash does not stop a function at the first command that fails.
parts() {
  for part in "$@"; do scripts/solidity_gates.sh "$part" || return 1; done
}

# Two lanes: what uses this project's forge cache, and what has a folder of its own.
fast() {
  mkdir -p target/gates
  {
    for part in "compilers --quick" content "newcomer --quick" anvil hardhat; do
      # Words are wanted.
      # shellcheck disable=SC2086
      scripts/package.sh $part || exit 1
    done
  } >target/gates/package.log 2>&1 &
  local beside=$! failed=0
  for part in snapshot doc slither coverage; do scripts/solidity_gates.sh "$part" || failed=1; done
  wait "$beside" || failed=1
  grep -v '^npm warn' target/gates/package.log
  step "done"
  return $failed
}

case "${1-all}" in
  snapshot) snapshot "${2-}" ;;
  coverage | slither | doc | fast) "$1" ;;
  all) parts snapshot coverage slither doc && step "done" ;;
  *) sed -n '2,9p' "$0" >&2; exit 2 ;;
esac
