#!/usr/bin/env bash
# Each property of what reads bytes from outside, for MINUTES with ever new cases, two (or AT_ONCE) at a time:
#
#   fuzz-parsers.sh MINUTES [NAME]     only those whose names hold NAME
set -euo pipefail
cd "$(dirname "$0")/.."

# Runs one, again and again: one SECONDS FOLDER PROGRAM PROPERTY
one() {
  local seconds=$1 report=$2/$4 program=$3 name=$4 rounds=0 begun=$SECONDS
  while [ $rounds = 0 ] || [ $((SECONDS - begun)) -lt "$seconds" ]; do
    if ! "$program" --exact "$name" > "$report.out" 2>&1; then
      echo "fuzz-parsers: $name FAILED in round $((rounds + 1)):" >&2
      cat "$report.out" >&2
      # xargs begins no more of them.
      exit 255
    fi
    rounds=$((rounds + 1))
  done
  echo "$name: $((rounds * PROPTEST_CASES)) cases in $((SECONDS - begun)) s" | tee "$report.done"
}

# Lines of program and property, of what cargo lists: "Running … (PROGRAM)", then "PROPERTY: test".
properties() {
  cargo test --locked --workspace --lib --test fuzz -- --list 2>&1 | awk -v wanted="$1" '
    $1 == "Running" { program = substr($NF, 2, length($NF) - 2) }
    $2 == "test" && $1 ~ /(^|:)outside_/ && index($1, wanted) { sub(/:$/, "", $1); print program, $1 }'
}

if [ "${1:-}" = --one ]; then
  shift
  one "$@"
  exit
fi
minutes=${1:-10}
# A few seconds a round: so often is looked at the clock.
export PROPTEST_CASES=${PROPTEST_CASES:-20000}
cargo test --locked --workspace --lib --test fuzz --no-run
found=$(properties "${2:-}")
[ -n "$found" ] || { echo "fuzz-parsers: no property is called like that" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
begun=$SECONDS
xargs -P "${AT_ONCE:-2}" -n 2 "$0" --one $((minutes * 60)) "$folder" <<< "$found"
done=$(find "$folder" -name '*.done' | wc -l)
echo "fuzz-parsers: $done of $(wc -l <<< "$found") properties, $minutes minutes each, in $((SECONDS - begun)) s: no failure"
