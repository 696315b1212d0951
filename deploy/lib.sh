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
