#!/usr/bin/env bash
# Makes sure of a RabbitMQ 4: a Debian 13 with rabbitmq-server in FOLDER, from the mirror that apt
# uses here. Nothing is started; `services.sh` does that.
#
#   rabbitmq-4.sh FOLDER
#
# Needs root (for chroot), debootstrap (installed when missing), 400 MB, and a Debian whose keyring
# knows Debian 13. Elsewhere: `make test AMQP_URL=…` over any RabbitMQ 4.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
SUITE=trixie
FOLDER=${1:?folder}

say() { echo "rabbitmq-4: $*" >&2; }
fail() { say "$*"; exit 1; }

[ ! -e "$FOLDER/complete" ] || exit 0
[ "$(id -u)" = 0 ] || fail "needs root: a Debian in a folder is entered by chroot"
command -v debootstrap >/dev/null || install_packages debootstrap || fail "needs debootstrap"

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
  sort -u | head -n 1)
[ -n "$mirror" ] || fail "apt knows no mirror of Debian here"
rm -rf "$FOLDER"
mkdir -p "$FOLDER"
say "fetching Debian's $SUITE into $FOLDER"
debootstrap --variant=minbase --include=rabbitmq-server "$SUITE" "$FOLDER" "$mirror" \
  > "$FOLDER.log" 2>&1 || fail "debootstrap failed: $(tail -n 5 "$FOLDER.log")"
# Node names end with it.
echo '127.0.0.1 localhost' > "$FOLDER/etc/hosts"
rm -rf "$FOLDER/var/cache/apt" "$FOLDER/var/lib/apt/lists"
touch "$FOLDER/complete"
say "$(chroot "$FOLDER" dpkg-query -W rabbitmq-server)"
