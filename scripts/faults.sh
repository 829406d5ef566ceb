#!/usr/bin/env bash
# Injects faults of the machine, one at a time, and prints what caught each. Fails where one was not caught.
# PROFILE=dev builds faster than release.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${PROFILE:-release}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The names of the tests: the faults of the node, and those that live beside the code that they break.
if ! cargo test --profile "$profile" -p lockstep-node-ext --lib --test it -- --nocapture --test-threads 1 \
  faults:: follow:: full_disk:: evm::tests:: memo::an_overwritten_answer memo::a_forged_answer >"$log" 2>&1; then
  cat "$log" >&2
  echo "a fault was not caught, see above" >&2
  exit 1
fi
rows=$(grep -o 'FAULT|.*' "$log" | sort -u)
count=$(printf '%s\n' "$rows" | wc -l)
printf '%s\n' "FAULT|fault|caught by|lost" "$rows" | awk -F'|' '
  { n = NR; for (i = 2; i <= 4; i++) { cell[n, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
  END { for (k = 1; k <= n; k++) printf "%-*s  %-*s  %s\n", width[2], cell[k, 2], width[3], cell[k, 3], cell[k, 4] }'
echo
echo "$count faults, each caught; the tests beside them show how each gets through without its defence"
