#!/usr/bin/env bash
# What the console's tests need: `install.sh [FOLDER]`, which is target/console unless told otherwise,
# makes FOLDER with the tests' scripts beside their packages (npm), and sees to it that there is a
# Chromium. As root and with apt-get, it installs node and Chromium where they are missing.
#
# What could not be had is an error: without a browser the console is not tested at all.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
DIR=${1:-$HERE/../../target/console}

say() { echo "console: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
browser() { have chromium || have chromium-browser || have google-chrome; }

mkdir -p -- "$DIR"
DIR=$(cd -- "$DIR" && pwd)
LOG=$DIR/install.log
# Tests run side by side.
exec 9> "$DIR/lock"
! have flock || flock -w 900 9

packages=()
have node && have npm || packages+=(nodejs npm)
browser || packages+=(chromium)
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! have apt-get; then
    say "${packages[*]} must be installed"
    exit 1
  fi
  {
    timeout 120 apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive timeout 900 apt-get install -y -qq --no-install-recommends \
      -o DPkg::Lock::Timeout=120 "${packages[@]}"
  } >> "$LOG" 2>&1 < /dev/null || { say "${packages[*]} could not be installed ($LOG)"; exit 1; }
fi

cp "$HERE"/*.mjs "$HERE"/package.json "$HERE"/package-lock.json "$DIR"
lock=$(cksum < "$HERE/package-lock.json")
[ "$(cat "$DIR/.stamp" 2>/dev/null)" = "$lock" ] && exit 0
rm -f "$DIR/.stamp"
(cd "$DIR" && timeout 300 npm ci --no-audit --no-fund --ignore-scripts) >> "$LOG" 2>&1 < /dev/null \
  || { say "npm could not install the tests' packages ($LOG)"; exit 1; }
echo "$lock" > "$DIR/.stamp"
