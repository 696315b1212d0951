#!/usr/bin/env bash
# Every property of what reads bytes from outside, again and again with new cases: fuzz-parsers.sh MINUTES
set -euo pipefail
cd "$(dirname "$0")/.."

end=$((SECONDS + ${1:-10} * 60))
export PROPTEST_CASES=${PROPTEST_CASES:-20000}
tests=(cargo test --locked --workspace --lib --test fuzz)
"${tests[@]}" --no-run
rounds=0
while [ $rounds = 0 ] || [ $SECONDS -lt $end ]; do
  ran=$("${tests[@]}" -q -- outside_ 2>&1) || { echo "$ran"; exit 1; }
  rounds=$((rounds + 1))
done
properties=$(awk '/^test result/ { sum += $4 } END { print sum }' <<< "$ran")
echo "fuzz-parsers: $properties tests, each $rounds times with $PROPTEST_CASES cases, in $SECONDS s: no failure"
