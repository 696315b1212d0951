#!/usr/bin/env bash
# Dependencies against .deny.toml: licences, bans, sources, and the RustSec advisories where their
# database can be had. What could not be checked is said aloud.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "lint: NOT CHECKED: $*" >&2; }

if ! cargo deny --version >/dev/null 2>&1; then
  skip "licences, sources and advisories: no cargo-deny (cargo install cargo-deny --locked)"
  exit 0
fi
cargo deny --locked check --hide-inclusion-graph bans licenses sources
# Fetched apart: that the database is out of reach is no finding.
if cargo deny --locked fetch db >/dev/null 2>&1; then
  cargo deny --locked check --disable-fetch advisories
else
  skip "advisories: their database is out of reach"
fi
