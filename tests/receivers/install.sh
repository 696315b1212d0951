#!/usr/bin/env bash
# What the receivers need, and the languages that docs/verify.md speaks: `install.sh [FOLDER]`, which
# is target/receivers unless told otherwise, makes
#
#   FOLDER/express   the Express receiver beside its packages: run server.mjs there
#   FOLDER/flask     the Python environment of the Flask receiver: run app.py by its bin/python
#   FOLDER/pika      that of the AMQP publisher in docs/examples/python
#
# Each is ready when it has a file .stamp; what has not changed since stays. As root and with
# apt-get, it installs a language that is missing. It never fails: what could not be had is named on
# a line of stderr each.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
DIR=${1:-$HERE/../../target/receivers}

say() { echo "receivers: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
has_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }
# Runs a command for so many seconds at most; what it says goes to the log.
within() { timeout -k 10 "$@" >> "$LOG" 2>&1 < /dev/null; }
# Is a folder the one that was made from just this? same FOLDER TEXT
same() { [ "$(cat "$1/.stamp" 2>/dev/null)" = "$2" ]; }

# One by one, so that a package that cannot be had does not keep the others away.
install_packages() {
  local package
  [ "$(id -u)" = 0 ] && have apt-get || return 0
  within 120 apt-get update -qq || true
  for package; do
    within 600 env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      --no-upgrade -o DPkg::Lock::Timeout=120 "$package" || true
  done
}

install_languages() {
  local packages=()
  # Some packages of node bring npm, too, and are at odds with Debian's.
  have node || packages+=(nodejs npm)
  have python3 && has_venv || packages+=(python3-venv)
  have php || packages+=(php-cli)
  have go || packages+=(golang-go)
  [ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"
}

install_express() {
  local lock to=$DIR/express
  lock=$(cksum < "$HERE/express/package-lock.json")
  mkdir -p "$to"
  cp "$HERE"/express/{package.json,package-lock.json,server.mjs} "$to"
  same "$to" "$lock" && return
  rm -f "$to/.stamp"
  (cd "$to" && within 180 npm ci --no-audit --no-fund --fetch-retries=1) || return 1
  echo "$lock" > "$to/.stamp"
}

# A Python environment with what NAME/requirements.txt lists: install_python NAME
install_python() {
  local lock to=$DIR/$1 wanted=$HERE/$1/requirements.txt
  have python3 && has_venv || return 1
  lock="$(cksum < "$wanted") $(python3 -c 'import sys; print(sys.executable, sys.version_info)')"
  same "$to" "$lock" && return
  within 60 python3 -m venv --clear "$to" || return 1
  within 180 "$to/bin/python" -m pip install -q --retries 1 -r "$wanted" || return 1
  echo "$lock" > "$to/.stamp"
}

if ! { mkdir -p -- "$DIR" && touch -- "$DIR/lock"; } 2>/dev/null; then
  say "$DIR cannot be written, nothing is installed"
  exit 0
fi
DIR=$(cd -- "$DIR" && pwd)
LOG=$DIR/install.log
# Tests run side by side.
exec 9> "$DIR/lock"
! have flock || flock -w 900 9 || say "another install.sh holds $DIR/lock, going on without it"
: > "$LOG"

install_languages
have node || say "no node, the Node receiver is not tried"
have php || say "no php, the PHP receiver is not tried"
have go || say "no go, the Go code of docs/verify.md is not tried"
if ! install_express; then
  if have npm; then why="npm could not install express ($LOG)"; else why="no npm"; fi
  say "$why, the Express receiver is not tried"
fi
for name in flask pika; do
  install_python $name && continue
  if has_venv; then why="pip could not install $name ($LOG)"; else why="no python3 with venv"; fi
  say "$why, what needs $name is not tried"
done
