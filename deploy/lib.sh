# What scripts here share; to be sourced.

# 32 random bytes, as hex digits.
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port that nothing listens on. Below the range from which the kernel takes outgoing ports.
free_port() {
  local port
  until port=$((10000 + (RANDOM << 1 ^ RANDOM) % 20000)); ! listens "$port"; do :; done
  echo "$port"
}

POLICY=/usr/sbin/policy-rc.d

# With nobody there to type a password, sudo must not ask for one.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo ${CI:+-n} "$@"; fi; }

# Debian asks this program before a package starts its service; 101 means "not allowed to".
starts_allowed() { "$POLICY" redis-server start >/dev/null 2>&1 || [ $? != 101 ]; }

forbid_starts() {
  [ ! -e "$POLICY" ] || as_root mv "$POLICY" "$POLICY.before"
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null &&
    as_root chmod 755 "$POLICY"
}

allow_starts() {
  as_root rm -f "$POLICY"
  [ ! -e "$POLICY.before" ] || as_root mv "$POLICY.before" "$POLICY"
}

# install_packages PACKAGE…: none of their services is started.
install_packages() (
  if starts_allowed; then
    trap allow_starts EXIT
    trap 'exit 1' INT TERM
    forbid_starts || exit 1
  fi
  as_root apt-get update -qq || echo "apt-get update failed, trying with the lists at hand" >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    --no-upgrade -o DPkg::Lock::Timeout=120 "$@" >/dev/null
)
