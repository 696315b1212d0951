#!/usr/bin/env bash
# Runs a binary as the image does, without Docker: as-in-image.sh BINARY
#
# In a root of its own that cannot be written and holds nothing but the binary and the libraries that
# the image's base brings, as user 65532, without capabilities and without ways to new ones. Needs
# root, for mounting; without, it says so and leaves it.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
# What the caller has set is not set in an image.
unset "${!HOOKFLEET_@}"
BIN=$(readlink -f "${1:?a binary}")
say() { echo "as-in-image: $*" >&2; }

if [ "${2:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { say "not root: the binary is not tried as the image runs it"; exit 0; }
  unshare --mount true 2>/dev/null || { say "no mounts here: the binary is not tried as the image runs it"; exit 0; }
  exec unshare --mount "$0" "$BIN" inside
fi

# Mounts from here on are ours alone, and end with us.
ROOT=$(mktemp -d)
server=
stop() {
  [ -z "$server" ] || { kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
  umount -R "$ROOT" && rmdir "$ROOT"
}
trap stop EXIT
trap 'exit 1' INT TERM
fail() { say "$*"; cat "$ROOT/data/log" >&2 2>/dev/null || true; exit 1; }

mount -t tmpfs -o mode=755 tmpfs "$ROOT"
mkdir "$ROOT/data" "$ROOT/proc"
install -D "$BIN" "$ROOT/usr/local/bin/hookfleet"
# What gcr.io/distroless/cc-debian12 holds, and the certificates of authorities.
BASE='^(ld-linux-x86-64\.so\.2|ld-linux-aarch64\.so\.1|libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1)$'
while read -r library; do
  [[ $(basename "$library") =~ $BASE ]] || fail "$library is needed, and the image's base lacks it"
  install -D "$library" "$ROOT$library"
done < <(ldd "$BIN" | grep -o '/[^ ]*')
install -D /etc/ssl/certs/ca-certificates.crt -t "$ROOT/etc/ssl/certs"
mount -t tmpfs -o uid=65532,gid=65532,mode=700 tmpfs "$ROOT/data"
mount -o remount,ro "$ROOT"

# confined COMMAND…: what is left of the bounding set is for chroot itself, and is gone with its user.
confined() {
  exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+sys_chroot,+setuid,+setgid \
    chroot --userspec=65532:65532 --groups= "$ROOT" \
    /usr/local/bin/hookfleet "$@"
}

if (confined serve --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --data-dir /elsewhere) 2> "$ROOT/data/log"; then
  fail "the root can be written"
fi
grep -qi 'read-only file system' "$ROOT/data/log" || fail "it did not say that its root is read-only"

port=$(free_port)
(confined serve --listen "127.0.0.1:$(free_port)" --metrics-listen "127.0.0.1:$port" --data-dir /data/hookfleet) \
  > /dev/null 2> "$ROOT/data/log" &
server=$!
answers() {
  exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf 'GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n' >&3
  head -n 1 <&3 | grep -q ' 200 '
}
tries=300
until (answers) 2>/dev/null; do
  [ $((tries -= 1)) -gt 0 ] && kill -0 "$server" 2>/dev/null || fail "it does not become ready"
  sleep 0.1
done
is() { grep -qE "^$1:\s+$2" "/proc/$server/status" || fail "$(grep "^$1:" "/proc/$server/status"), expected $2"; }
is Uid '65532\s+65532'
is Gid '65532\s+65532'
is CapEff '0+$'
is CapPrm '0+$'
is NoNewPrivs 1
kill -TERM "$server"
wait "$server" || fail "it did not end well"
server=
say "it runs as user 65532, without capabilities, on a read-only root"
