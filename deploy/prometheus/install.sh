#!/usr/bin/env bash
# Installs Prometheus and promtool where they are missing and apt-get is at hand; no service of theirs
# is started. Never fails: without them, what needs them is left out, and says so.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

has_both() { command -v prometheus && command -v promtool; } >/dev/null
has_both || { command -v apt-get >/dev/null && as_root true && install_packages prometheus; } || true
has_both || echo "prometheus: it could not be installed; metrics, rules and dashboards are not tried" >&2
