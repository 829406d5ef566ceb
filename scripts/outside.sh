#!/usr/bin/env bash
# Checks of a running node from outside: scripts/outside.sh eels|crash|load|web3 [options]
#
#   eels    Ethereum's specification in Python agrees on random blocks         [--blocks N] [--seed S]
#   crash   a node killed at random moments loses nothing                      [--kills N]  [--seed S]
#   load    mixed load with reorganisations; memory, log and state at the end  [--minutes M] [--seed S]
#   web3    a short session with web3.py (tests/tests/clients.rs)              URL MODEL_ID ROW
#
# LOCKSTEP names the binary; target/release/lockstep, built where it is not there, by default.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-}
[[ $what =~ ^(eels|crash|load|web3)$ ]] || { sed -n '2,9p' "$0" >&2; exit 2; }
shift
export PYTHONDONTWRITEBYTECODE=1
venv=target/outside-venv
wanted="ethereum-execution==2.20.0 eth-account==0.14.0 web3==8.0.0"
if [ "$(cat $venv/wanted 2>/dev/null)" != "$wanted" ]; then
  echo "outside: installing $wanted (about 1 minute, once)" >&2
  python3 -m venv "$venv"
  # shellcheck disable=SC2086
  "$venv/bin/pip" install --quiet --disable-pip-version-check $wanted >&2
  echo "$wanted" >"$venv/wanted"
fi
if [ "$what" = web3 ]; then
  exec "$venv/bin/python" scripts/outside/web3_session.py "$@"
fi
if [ -z "${LOCKSTEP:-}" ]; then
  export LOCKSTEP=target/release/lockstep
  [ -x "$LOCKSTEP" ] || cargo build --release -p lockstep-cli
fi
exec "$venv/bin/python" "scripts/outside/$what.py" "$@"
