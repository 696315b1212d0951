#!/usr/bin/env bash
# An API, two workers and a receiver on this machine. Called by services.sh, which provides broker
# and store. Ends everything it started when it is interrupted, or when one of them ends.
set -euo pipefail

BIN=${HOOKFLEET_BIN:-target/release/hookfleet}
. "$(dirname "$0")/lib.sh"

HOOKFLEET_ADMIN_TOKEN=${HOOKFLEET_ADMIN_TOKEN:-$(random)}
HOOKFLEET_MASTER_KEY=${HOOKFLEET_MASTER_KEY:-$(random)}
export HOOKFLEET_ADMIN_TOKEN HOOKFLEET_MASTER_KEY
export HOOKFLEET_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8 HOOKFLEET_ALLOW_HTTP=true
# Less than services.sh waits for us.
export HOOKFLEET_DRAIN_TIMEOUT=10s

pids=()
start() { "$@" & pids+=($!); }
stop() {
  # Ctrl-C reaches us and services.sh, which then sends TERM besides: once is enough.
  trap '' INT TERM
  kill "${pids[@]}" 2>/dev/null || true
  wait || true
}
trap stop EXIT
trap 'exit 0' INT TERM

start "$BIN" api --listen 127.0.0.1:8080 --metrics-listen 127.0.0.1:9464
start "$BIN" worker --metrics-listen 127.0.0.1:9465
start "$BIN" worker --metrics-listen 127.0.0.1:9466
start "$BIN" listen --port 9000

cat <<END

A fleet is starting. In another shell:

  export HOOKFLEET_TOKEN=$HOOKFLEET_ADMIN_TOKEN
  $BIN endpoint create --to http://127.0.0.1:9000/hook
  $BIN event publish --type post.published --data '{"title":"Hello"}'
  $BIN dead list

Ctrl-C ends it.
END

wait -n || true
echo "run-fleet: one of the fleet has ended, see above; ending the others" >&2
false
