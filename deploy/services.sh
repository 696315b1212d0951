#!/usr/bin/env bash
# Private RabbitMQ and Redis instances: for tests, for `make run-fleet`, for benchmarks.
#
#   services.sh run -- COMMAND…   installs what is missing, starts both on free loopback ports with
#                                 data folders of their own, runs COMMAND, stops both
#   services.sh install           only installs what is missing
#
# COMMAND finds HOOKFLEET_AMQP_URL, HOOKFLEET_REDIS_URL, and HOOKFLEET_TEST_SERVICES_DIR, a folder
# with rabbitmq-start, rabbitmq-kill, rabbitmqctl, redis-start and redis-stop to play outages with.
# Instances that run already are never touched: ports, names, folders and epmd are our own, and
# processes are ended by the ids that we started.
set -euo pipefail

RABBIT_BIN=/usr/lib/rabbitmq/bin
COMPOSE_FILE="$(dirname "$0")/services.compose.yaml"

say() { echo "services: $*" >&2; }
fail() { say "$*"; exit 1; }

with_docker() { ! command -v apt-get >/dev/null && docker compose version >/dev/null 2>&1; }

installed() { [ -x "$RABBIT_BIN/rabbitmq-server" ] && command -v redis-server >/dev/null; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_packages() {
  installed || with_docker && return
  command -v apt-get >/dev/null || fail "no apt-get: install rabbitmq-server (3.10 or later) and redis-server, or Docker Compose"
  say "installing rabbitmq-server and redis-server"
  # Installing must not start the system's own services: 101 means "not allowed to".
  local policy=/usr/sbin/policy-rc.d
  local made_policy=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    made_policy=1
  fi
  local done=0
  as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends rabbitmq-server redis-server >&2 || done=1
  [ -z "$made_policy" ] || as_root rm -f "$policy"
  [ "$done" = 0 ] || fail "installing failed: install rabbitmq-server and redis-server by hand"
  installed || fail "installed, but $RABBIT_BIN/rabbitmq-server or redis-server is not there"
}

# A port that nothing listens on. Below the range from which the kernel takes outgoing ports.
free_port() {
  local port
  while :; do
    port=$((10000 + (RANDOM << 1 ^ RANDOM) % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

write_rabbit() {
  local port dist epmd node
  port=$(free_port) dist=$(free_port) epmd=$(free_port)
  node="hookfleet-$$-$RANDOM@localhost"
  mkdir -p "$DIR/rabbitmq/home"
  echo '[].' > "$DIR/rabbitmq/plugins"
  cat > "$DIR/rabbitmq/rabbitmq.conf" <<END
loopback_users = none
disk_free_limit.absolute = 50MB
log.console = false
log.file.level = warning
END
  cat > "$DIR/rabbitmq/env" <<END
export HOME='$DIR/rabbitmq/home'
export ERL_EPMD_PORT=$epmd ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME='$node'
export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$port RABBITMQ_DIST_PORT=$dist
export RABBITMQ_MNESIA_BASE='$DIR/rabbitmq/data' RABBITMQ_LOG_BASE='$DIR/rabbitmq/log'
export RABBITMQ_ENABLED_PLUGINS_FILE='$DIR/rabbitmq/plugins'
export RABBITMQ_CONFIG_FILE='$DIR/rabbitmq/rabbitmq.conf'
export RABBITMQ_PID_FILE='$DIR/rabbitmq.pid'
END
  script rabbitmqctl <<END
. '$DIR/rabbitmq/env'
exec '$RABBIT_BIN/rabbitmqctl' -q "\$@"
END
  # The server's script becomes the node itself, so its id is the node's.
  script rabbitmq-start <<END
. '$DIR/rabbitmq/env'
'$RABBIT_BIN/rabbitmq-server' >> '$DIR/rabbitmq/console.log' 2>&1 < /dev/null &
echo \$! > '$DIR/rabbitmq.started'
exec '$RABBIT_BIN/rabbitmqctl' -q wait --pid \$! --timeout 90 > /dev/null
END
  script rabbitmq-kill <<END
node=\$(cat '$DIR/rabbitmq.pid' 2>/dev/null || cat '$DIR/rabbitmq.started')
kill -KILL "\$node"
while kill -0 "\$node" 2>/dev/null; do sleep 0.1; done
END
  export HOOKFLEET_AMQP_URL="amqp://guest:guest@127.0.0.1:$port/%2f"
}

write_redis() {
  local port
  port=$(free_port)
  mkdir -p "$DIR/redis"
  script redis-start <<END
redis-server --port $port --bind 127.0.0.1 --dir '$DIR/redis' --save '' --databases 1024 --appendonly yes \
  --appendfsync everysec --daemonize yes --pidfile '$DIR/redis.pid' --loglevel warning \
  --logfile '$DIR/redis/log' > /dev/null
for _ in \$(seq 100); do
  redis-cli -p $port ping 2>/dev/null | grep -q PONG && exit
  sleep 0.1
done
exit 1
END
  script redis-stop <<END
server=\$(cat '$DIR/redis.pid')
kill -TERM "\$server"
while kill -0 "\$server" 2>/dev/null; do sleep 0.1; done
END
  export HOOKFLEET_REDIS_URL="redis://127.0.0.1:$port/0"
}

# The same scripts over containers; what the folder offers to tests does not change.
write_containers() {
  local rabbit redis compose
  rabbit=$(free_port) redis=$(free_port)
  compose="docker compose -p hookfleet-$$ -f '$(realpath "$COMPOSE_FILE")'"
  compose="RABBITMQ_PORT=$rabbit REDIS_PORT=$redis $compose"
  echo "$compose exec -T rabbitmq rabbitmqctl -q \"\$@\"" | script rabbitmqctl
  echo "$compose up -d --wait rabbitmq >&2" | script rabbitmq-start
  echo "$compose kill -s KILL rabbitmq >&2" | script rabbitmq-kill
  echo "$compose up -d --wait redis >&2" | script redis-start
  echo "$compose stop redis >&2" | script redis-stop
  echo "$compose down -v >&2" | script containers-end
  export HOOKFLEET_AMQP_URL="amqp://guest:guest@127.0.0.1:$rabbit/%2f"
  export HOOKFLEET_REDIS_URL="redis://127.0.0.1:$redis/0"
}

script() {
  { echo '#!/usr/bin/env bash'; cat; } > "$DIR/$1"
  chmod 755 "$DIR/$1"
}

# Ends a process by its id: asks, waits, insists.
end() {
  local pid=$1
  kill -TERM "$pid" 2>/dev/null || return 0
  for _ in $(seq 150); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

stop() {
  trap - EXIT INT TERM
  [ -z "${COMMAND_PID:-}" ] || end "$COMMAND_PID"
  [ ! -x "$DIR/containers-end" ] || "$DIR/containers-end" || true
  local file
  for file in redis.pid rabbitmq.pid rabbitmq.started; do
    [ ! -s "$DIR/$file" ] || end "$(cat "$DIR/$file")"
  done
  if [ -r "$DIR/rabbitmq/env" ]; then
    # Our own epmd, on our own port: it alone answers there.
    (. "$DIR/rabbitmq/env" && epmd -port "$ERL_EPMD_PORT" -kill >/dev/null 2>&1) || true
  fi
  rm -rf "$DIR"
}

run() {
  install_packages
  DIR=$(mktemp -d "${TMPDIR:-/tmp}/hookfleet-services.XXXXXX")
  COMMAND_PID=
  trap stop EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if installed; then
    write_redis
    write_rabbit
  else
    write_containers
  fi
  say "starting Redis and RabbitMQ in $DIR"
  "$DIR/redis-start" || fail "Redis did not start: $(tail -n 5 "$DIR/redis/log" 2>/dev/null)"
  "$DIR/rabbitmq-start" || fail "RabbitMQ did not start: $(tail -n 20 "$DIR/rabbitmq/console.log")"
  export HOOKFLEET_TEST_SERVICES_DIR="$DIR"
  say "ready"
  local status=0
  "$@" || status=$?
  exit "$status"
}

case "${1:-}" in
  install) install_packages ;;
  run) shift; [ "${1:-}" = -- ] && shift; [ $# -gt 0 ] || fail "run: no command given"; run "$@" ;;
  *) fail "usage: services.sh run -- COMMAND… | install" ;;
esac
