#!/usr/bin/env bash
# Every test, and a short seed of chaos, within services.sh. Over a broker or a store of somebody else's, one test after the other
# has the virtual host or the database for itself, and tests that would harm or change more than that
# are left out, aloud.
set -euo pipefail
cd "$(dirname "$0")/.."
DIR=${HOOKFLEET_TEST_SERVICES_DIR:?not within services.sh: use make test}

say() { echo "tests: $*" >&2; }

LEFT_OUT=()
leave_out() {
  say "LEFT OUT: $1: it $2"
  LEFT_OUT+=("$1")
}
# Is there a script that controls it?
is_private() { [ -x "$DIR/$1" ]; }

if ! is_private rabbitmqctl; then
  leave_out broker_outage_loses_nothing "kills the broker"
  leave_out alarm_outage_is_back_pressure "takes the broker's memory away"
  leave_out prometheus_sees_all "reads the metrics of the broker's plugin"
fi
if ! is_private redis-kill; then
  leave_out store_outage_pauses_workers "kills the store"
fi

with_nextest() {
  local all='all()' name
  for name in ${LEFT_OUT[@]+"${LEFT_OUT[@]}"}; do all+=" and not test($name)"; done
  cargo nextest run --workspace --profile "$1" -E "$all"
}

# Those that end and start what all tests share come after the others, one by one.
without_nextest() {
  local skip=() name one_by_one=()
  for name in ${LEFT_OUT[@]+"${LEFT_OUT[@]}"}; do skip+=(--skip "$name"); done
  [ "$1" = default ] || one_by_one=(--test-threads=1)
  cargo test --workspace -- ${one_by_one[@]+"${one_by_one[@]}"} ${skip[@]+"${skip[@]}"} --skip outage
  cargo test --workspace -- --test-threads=1 ${skip[@]+"${skip[@]}"} outage
}

run() { if cargo nextest --version >/dev/null 2>&1; then with_nextest "$1"; else without_nextest "$1"; fi; }

# Faults under load, as one seed says: when it fails, what it prints is its ledger.
chaos() {
  local command=(timeout 900 target/debug/chaos --backend embedded --seed 5 --seconds 40 --rate 50 --lost-only)
  say "${command[*]}"
  "${command[@]}" && return
  say "chaos FAILED (seed 5): its faults and its ledger stand above, the server's log below"
  tail -n 50 target/chaos/embedded-5/*.log >&2
  return 1
}

if is_private rabbitmqctl && is_private redis-kill; then
  run default
  chaos
else
  # What is there already is not ours to delete.
  target/debug/borrowed check
  trap 'target/debug/borrowed clear' EXIT
  run borrowed
fi
