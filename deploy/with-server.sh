#!/usr/bin/env bash
# Tries a server of its own: with-server.sh embedded|fleet bench|fuzz|pages [ARGUMENTS…]
#
#   embedded  one process on a SQLite file
#   fleet     an API and a worker over private RabbitMQ and Redis
#   bench     measures it; arguments go to `hookfleet bench`
#   fuzz      calls it by its OpenAPI document; arguments go to `schemathesis run`
#   pages     how long the console's pages take with 10,000 endpoints and 100,000 attempts, and pictures
#             of them all in target/console/pictures; fails when one takes 100 ms or 150 KiB
#
# All it starts is gone when it ends.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
BIN=${HOOKFLEET_BIN:-target/release/hookfleet}
FUZZER=${HOOKFLEET_FUZZER:-target/fuzz}
BACKEND=${1:?embedded or fleet}
LOAD=${2:?bench, fuzz or pages}
shift 2
if [ "$BACKEND" = fleet ] && [ -z "${HOOKFLEET_TEST_SERVICES_DIR:-}" ]; then
  exec "$HERE/services.sh" run -- "$0" fleet "$LOAD" "$@"
fi

DIR=$(mktemp -d)
# Answers `200` on /readyz: ready PORT
ready() {
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n' >&3
  head -n 1 <&3 | grep -q ' 200 '
}

load=
pids=()
watched=()
# More arguments for the bench.
more=()
# start NAME ARGUMENTS…, and wait until it is ready.
start() {
  local name=$1 port tries=600
  shift
  port=$(free_port)
  "$BIN" "$@" --metrics-listen "127.0.0.1:$port" > "$DIR/$name.out" 2> "$DIR/$name.log" &
  pids+=($!)
  watched+=(--process "$name=$!")
  metrics=http://127.0.0.1:$port/metrics
  until (ready "$port") 2>/dev/null; do
    if [ $((tries -= 1)) = 0 ] || ! kill -0 "${pids[-1]}" 2>/dev/null; then
      echo "with-server: $name did not become ready:" >&2
      cat "$DIR/$name.log" >&2
      exit 1
    fi
    sleep 0.1
  done
}
# Watches a process of services.sh, by the id in a file of its own.
watch() { [ ! -s "$2" ] || watched+=(--process "$1=$(cat "$2")"); }
stop() {
  trap '' INT TERM
  # The load first, so that it still finds the server from which it removes its endpoints.
  [ -z "$load" ] || { kill "$load" && wait "$load"; } 2>/dev/null || true
  [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait || true
  rm -rf "$DIR"
}
trap stop EXIT
trap 'exit 1' INT TERM

HOOKFLEET_ADMIN_TOKEN=$(random)
HOOKFLEET_MASTER_KEY=$(random)
export HOOKFLEET_ADMIN_TOKEN HOOKFLEET_MASTER_KEY HOOKFLEET_TOKEN=$HOOKFLEET_ADMIN_TOKEN
export HOOKFLEET_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8 HOOKFLEET_ALLOW_HTTP=true HOOKFLEET_LOG=warn
# Less than services.sh waits for us.
export HOOKFLEET_DRAIN_TIMEOUT=10s
PORT=$(free_port)
case $BACKEND in
  embedded)
    unset HOOKFLEET_AMQP_URL HOOKFLEET_REDIS_URL
    start server serve --data-dir "$DIR/data" --listen "127.0.0.1:$PORT"
    more=(--floor-dir "$DIR")
    ;;
  fleet)
    start api api --listen "127.0.0.1:$PORT"
    start worker worker
    more=(--own-fleet)
    watch broker "$HOOKFLEET_TEST_SERVICES_DIR/rabbitmq/pid"
    watch store "$HOOKFLEET_TEST_SERVICES_DIR/redis.pid"
    ;;
  *)
    echo "with-server: $BACKEND is no backend, expected embedded or fleet" >&2
    exit 2
    ;;
esac

# The metrics are those of whoever was started last: it delivers.
bench() {
  exec "$BIN" bench --url "http://127.0.0.1:$PORT" --metrics "$metrics" "${watched[@]}" \
    "${more[@]}" "$@"
}
# Schemathesis (PyPI) in a folder of its own, with all its default checks.
fuzz() {
  if ! [ -x "$FUZZER/bin/schemathesis" ]; then
    python3 -m venv "$FUZZER" && "$FUZZER/bin/pip" install -q schemathesis==4.32.5
  fi
  exec "$FUZZER/bin/schemathesis" run "http://127.0.0.1:$PORT/openapi.json" \
    --header "Authorization: Bearer $HOOKFLEET_TOKEN" "$@"
}
# Its own scripts, and a browser, in a folder of their own.
pages() {
  "$HERE/../tests/console/install.sh"
  cd "$HERE/../target/console"
  local status=0
  node times.mjs "http://127.0.0.1:$PORT" "$HOOKFLEET_TOKEN" || status=$?
  rm -rf pictures
  node pictures.mjs "http://127.0.0.1:$PORT" "$HOOKFLEET_TOKEN" acme pictures || status=$?
  return "$status"
}
# In the background, so that a signal is acted on at once and nothing outlives us.
"$LOAD" "$@" &
load=$!
wait "$load"
load=
