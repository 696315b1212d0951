#!/usr/bin/env bash
# Private RabbitMQ and Redis instances: for tests, for `make run-fleet`, for benchmarks.
#
#   services.sh run -- COMMAND…   installs what is missing, starts both on free loopback ports with
#                                 data folders of their own, runs COMMAND, stops both
#   services.sh cluster -- COMMAND…   the same, with three RabbitMQ nodes
#   services.sh install           only installs what is missing
#
# COMMAND finds HOOKFLEET_AMQP_URL, HOOKFLEET_REDIS_URL, HOOKFLEET_TEST_BROKER_METRICS, where the
# broker tells its metrics, and HOOKFLEET_TEST_SERVICES_DIR, a folder with rabbitmq-start,
# rabbitmq-kill, rabbitmqctl, redis-start and redis-kill to play outages with. A cluster's other
# nodes are rabbitmq2 and rabbitmq3: NODE-start, NODE-kill, NODE.pid, NODE/port.
# Instances that run already are never touched: ports, names, folders, settings and epmd are our
# own, and processes are ended by the ids that we started.
#
# HOOKFLEET_TEST_AMQP_URL, HOOKFLEET_TEST_REDIS_URL: COMMAND gets that one, none is started, and the
# scripts that would stop or change it are missing.
# HOOKFLEET_TEST_RABBITMQ_ROOT: the RabbitMQ of the Debian in this folder (see rabbitmq-4.sh).
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
RABBIT_BIN=/usr/lib/rabbitmq/bin
RABBIT_ROOT=${HOOKFLEET_TEST_RABBITMQ_ROOT:-}
OTHER_BROKER=${HOOKFLEET_TEST_AMQP_URL:-}
OTHER_STORE=${HOOKFLEET_TEST_REDIS_URL:-}

say() { echo "services: $*" >&2; }
fail() { say "$*"; exit 1; }

# Processes: the scripts that COMMAND gets use these functions, too.

# Waits until a command succeeds, for so many seconds at most.
wait_for() {
  local tries=$(($1 * 10)); shift
  until "$@" 2>/dev/null; do
    [ $((tries -= 1)) -gt 0 ] || return 1
    sleep 0.1
  done
}

# A process that has ended may stay as a zombie where nobody collects orphans, as in containers.
gone() { ! kill -0 "$1" 2>/dev/null || grep -qs ') Z ' "/proc/$1/stat"; }

# Starts a process unless it runs: launch PID_FILE LOG COMMAND…
# In a session of its own: a signal to the group of whoever restarts it, such as a test, is not its.
launch() {
  local pid_file=$1 log=$2; shift 2
  [ ! -s "$pid_file" ] || gone "$(cat "$pid_file")" || return 0
  setsid "$@" >> "$log" 2>&1 < /dev/null &
  echo $! > "$pid_file"
}

# Ends a process: end PID_FILE [SIGNAL]. Asks, waits, insists.
end() {
  [ -s "$1" ] || return 0
  local pid
  pid=$(cat "$1")
  kill -"${2:-TERM}" "$pid" 2>/dev/null || true
  wait_for 20 gone "$pid" || { kill -KILL "$pid" && wait_for 5 gone "$pid"; } 2>/dev/null || true
  # The id may become another process's.
  rm -f "$1"
}

has_rabbitmq() { [ -n "$OTHER_BROKER" ] || [ -x "$RABBIT_ROOT$RABBIT_BIN/rabbitmq-server" ]; }
has_redis() { [ -n "$OTHER_STORE" ] || { command -v redis-server && command -v redis-cli; } >/dev/null; }
has_both() { has_rabbitmq && has_redis; }

# Only what is missing: an upgrade would stop an instance that runs already.
install_both() {
  local packages=()
  has_rabbitmq || packages+=(rabbitmq-server)
  has_redis || packages+=(redis-server)
  say "installing ${packages[*]}"
  install_packages "${packages[@]}"
}

# Makes sure of packages or Docker, and says by WAY which of the two it is.
provide() {
  WAY=packages
  if has_both; then return; fi
  if command -v apt-get >/dev/null && as_root true; then
    install_both || fail "installing failed: install rabbitmq-server and redis-server by hand"
    has_both || fail "installed, but the programs are not where they should be"
  elif docker compose version >/dev/null 2>&1; then
    WAY=docker
  else
    fail "install rabbitmq-server (3.10 or later) and redis-server (7), or Docker with Compose"
  fi
}

script() {
  { printf '#!/usr/bin/env bash\nset -euo pipefail\n. %q\n' "$DIR/functions"; cat; } > "$DIR/$1"
  chmod 755 "$DIR/$1"
}

# In another Debian, if there is one: /proc, /dev and our folders are put there in a mount namespace
# that ends with the command, whose process id is that of whoever calls this.
write_inside() {
  if [ -z "$RABBIT_ROOT" ]; then
    script inside <<< 'exec "$@"'
    return
  fi
  script inside <<END
exec unshare --mount sh -ec '
  for folder in /proc /dev "\$2"; do
    mkdir -p "\$1\$folder"
    mount --rbind "\$folder" "\$1\$folder"
  done
  root=\$1
  shift 2
  exec chroot "\$root" "\$@"' inside '$RABBIT_ROOT' '$(dirname "$DIR")' "\$@"
END
}

# Writes the scripts of one node: write_node NAME EPMD_PORT. Nodes share a home, where the cookie is.
write_node() {
  local name=$1 epmd=$2 port dist metrics home="$DIR/$1"
  port=$(free_port) dist=$(free_port) metrics=$(free_port)
  mkdir -p "$home"
  echo "$port" > "$home/port"
  echo "$metrics" > "$home/metrics"
  echo '[].' > "$home/advanced.config"
  echo '[rabbitmq_prometheus].' > "$home/plugins"
  touch "$home/env.conf"
  cat > "$home/rabbitmq.conf" <<END
loopback_users = none
disk_free_limit.absolute = 50MB
log.console = false
log.file.level = warning
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = $metrics
cluster_partition_handling = pause_minority
END
  local number=0 peer
  for peer in "${NODES[@]}"; do
    echo "cluster_formation.classic_config.nodes.$((number += 1)) = $peer-$CLUSTER@localhost"
  done >> "$home/rabbitmq.conf"
  # Settings of another node must not count: neither from the environment nor from /etc/rabbitmq.
  # Command-line tools take any free port, not one of the usual eleven, so that many can run at once.
  # +sbwt: see compose.yaml.
  # RUNNING_UNDER_SYSTEMD: the server's script becomes the node, so that its id is the node's.
  cat > "$home/env" <<END
unset "\${!RABBITMQ_@}" "\${!ERL_@}" NOTIFY_SOCKET
export HOME='$DIR/erlang' ERL_CRASH_DUMP='$home/erl_crash.dump' RUNNING_UNDER_SYSTEMD=true
export ERL_EPMD_PORT=$epmd ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME='$name-$CLUSTER@localhost'
export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$port RABBITMQ_DIST_PORT=$dist
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}'
export RABBITMQ_CTL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
export RABBITMQ_CTL_DIST_PORT_MIN=0 RABBITMQ_CTL_DIST_PORT_MAX=0
export RABBITMQ_MNESIA_BASE='$home/data' RABBITMQ_LOG_BASE='$home/log'
export RABBITMQ_CONF_ENV_FILE='$home/env.conf' RABBITMQ_CONFIG_FILE='$home/rabbitmq.conf'
export RABBITMQ_CONFIG_FILES='$home/conf.d/*.conf' RABBITMQ_ADVANCED_CONFIG_FILE='$home/advanced.config'
export RABBITMQ_ENABLED_PLUGINS_FILE='$home/plugins' RABBITMQ_PID_FILE='$home/pid'
END
  # epmd first, in the foreground: otherwise the node would start one whose id we do not learn.
  script "$name-start" <<END
. '$home/env'
launch '$DIR/epmd.pid' '$home/console.log' '$DIR/inside' epmd
wait_for 10 listens $epmd
launch '$DIR/$name.pid' '$home/console.log' '$DIR/inside' '$RABBIT_BIN/rabbitmq-server'
exec '$DIR/inside' '$RABBIT_BIN/rabbitmqctl' -q wait --pid "\$(cat '$DIR/$name.pid')" --timeout 90 >/dev/null
END
  script "$name-kill" <<< "end '$DIR/$name.pid' KILL"
}

write_rabbitmq() {
  local name epmd
  epmd=$(free_port)
  CLUSTER=hookfleet-$$-$RANDOM
  mkdir -p "$DIR/erlang"
  write_inside
  for name in "${NODES[@]}"; do write_node "$name" "$epmd"; done
  script rabbitmqctl <<END
. '$DIR/rabbitmq/env'
exec '$DIR/inside' '$RABBIT_BIN/rabbitmqctl' -q "\$@"
END
  export HOOKFLEET_AMQP_URL="amqp://guest:guest@127.0.0.1:$(cat "$DIR/rabbitmq/port")/%2f"
  HOOKFLEET_TEST_BROKER_METRICS="127.0.0.1:$(cat "$DIR/rabbitmq/metrics")"
  export HOOKFLEET_TEST_BROKER_METRICS
}

write_redis() {
  local port home="$DIR/redis"
  port=$(free_port)
  mkdir -p "$home"
  # Many databases: each test takes one of its own.
  script redis-start <<END
answers() { [ "\$(redis-cli -p $port ping)" = PONG ]; }
launch '$DIR/redis.pid' '$home/console.log' redis-server --port $port --bind 127.0.0.1 \
  --dir '$home' --save '' --appendonly yes --appendfsync everysec --databases 1024 \
  --auto-aof-rewrite-percentage 0
wait_for 30 answers
END
  script redis-kill <<< "end '$DIR/redis.pid' KILL"
  export HOOKFLEET_REDIS_URL="redis://127.0.0.1:$port/0"
}

# The same scripts over containers.
write_containers() {
  local rabbitmq redis metrics
  rabbitmq=$(free_port) redis=$(free_port) metrics=$(free_port)
  script compose <<END
export RABBITMQ_PORT=$rabbitmq REDIS_PORT=$redis RABBITMQ_METRICS_PORT=$metrics
exec docker compose -p hookfleet-$$-$RANDOM -f '$HERE/services.compose.yaml' "\$@"
END
  script rabbitmqctl <<< "exec '$DIR/compose' exec -T rabbitmq rabbitmqctl -q \"\$@\""
  script rabbitmq-start <<< "exec '$DIR/compose' up -d --wait rabbitmq"
  script rabbitmq-kill <<< "exec '$DIR/compose' kill -s KILL rabbitmq"
  script redis-start <<< "exec '$DIR/compose' up -d --wait redis"
  script redis-kill <<< "exec '$DIR/compose' kill -s KILL redis"
  export HOOKFLEET_AMQP_URL="amqp://guest:guest@127.0.0.1:$rabbitmq/%2f"
  export HOOKFLEET_REDIS_URL="redis://127.0.0.1:$redis/0"
  export HOOKFLEET_TEST_BROKER_METRICS="127.0.0.1:$metrics"
}

# Gives COMMAND what is somebody else's, and nothing to do harm to it with.
use_others() {
  if [ -n "$OTHER_BROKER" ]; then
    rm -f "$DIR"/rabbitmq*-start "$DIR"/rabbitmq*-kill "$DIR/rabbitmqctl"
    export HOOKFLEET_AMQP_URL=$OTHER_BROKER
    unset HOOKFLEET_TEST_BROKER_METRICS
    NODES=()
  fi
  if [ -n "$OTHER_STORE" ]; then
    rm -f "$DIR/redis-start" "$DIR/redis-kill"
    export HOOKFLEET_REDIS_URL=$OTHER_STORE
  fi
}

stop() {
  trap '' INT TERM HUP
  end "$DIR/command.pid"
  [ ! -x "$DIR/compose" ] || "$DIR/compose" down -v >/dev/null 2>&1 || true
  end "$DIR/redis.pid"
  local name
  for name in "${NODES[@]}"; do end "$DIR/$name.pid"; done
  # Last, so that the node can still sign off.
  end "$DIR/epmd.pid"
  rm -rf "$DIR"
}

start() {
  "$DIR/$1-start" >> "$DIR/start.log" 2>&1 ||
    fail "$1 did not start:" "$(tail -qn 20 "$DIR/start.log" "$DIR/$1/console.log" 2>/dev/null)"
}

# In the background, so that a signal is acted on at once. Bash lets such a command ignore Ctrl-C and
# read nothing; both are undone here.
run_command() {
  local status=0
  # Not every env can; without it, Ctrl-C still comes as TERM from here.
  ! env --default-signal=INT true 2>/dev/null || set -- env --default-signal=INT "$@"
  "$@" <&0 &
  echo $! > "$DIR/command.pid"
  wait $! || status=$?
  rm -f "$DIR/command.pid"
  return "$status"
}

run() {
  [ -e /dev/fd/0 ] || exec < /dev/null
  provide
  DIR=$(mktemp -d "${TMPDIR:-/tmp}/hookfleet-services.XXXXXX")
  trap stop EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  declare -f wait_for gone launch end listens > "$DIR/functions"
  [ "$WAY" = packages ] || [ ${#NODES[@]} = 1 ] || fail "a cluster needs the packages, not Docker"
  if [ "$WAY" = docker ]; then write_containers; else write_rabbitmq; write_redis; fi
  use_others
  say "starting Redis and RabbitMQ in $DIR ($WAY)${OTHER_BROKER:+, but for RabbitMQ}${OTHER_STORE:+, but for Redis}"
  [ -n "$OTHER_STORE" ] || start redis
  # One after the other: each finds those before it, and joins them.
  local name
  for name in "${NODES[@]}"; do start "$name"; done
  say "ready"
  export HOOKFLEET_TEST_SERVICES_DIR="$DIR"
  run_command "$@"
}

NODES=(rabbitmq)
[ "${1:-}" != cluster ] || NODES=(rabbitmq rabbitmq2 rabbitmq3)
case "${1:-}" in
  install) provide ;;
  run | cluster) shift; [ "${1:-}" != -- ] || shift; [ $# -gt 0 ] || fail "no command given"; run "$@" ;;
  *) fail "usage: services.sh run|cluster -- COMMAND… | install" ;;
esac
