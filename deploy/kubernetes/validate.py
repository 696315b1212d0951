"""Validates rendered manifests: validate.py [--crds FOLDER] FILE…

Against the schemas of Kubernetes (PyPI's kubernetes-validate, strict: what is not in the schema is
wrong), and of the custom resources: those of KEDA and the Prometheus Operator by validate.mjs, with
the packages in FOLDER/node_modules; RabbitmqCluster by rabbitmqcluster.schema.yaml. And that a pod is
given the time that it needs to end.
"""

import json
import pathlib
import subprocess
import sys

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.34"
HERE = pathlib.Path(__file__).resolve().parent
RABBITMQ = yaml.safe_load((HERE / "rabbitmqcluster.schema.yaml").read_text())
# Beside HOOKFLEET_DRAIN_TIMEOUT: connections are closed, logs written.
CLOSING_S = 15


def native(manifest):
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def rabbitmq(manifest):
    jsonschema.validate(manifest, RABBITMQ)
    spec = manifest["spec"]
    container = {"name": "x", "resources": spec.get("resources", {})}
    pod = {"affinity": spec.get("affinity", {}), "containers": [container]}
    native({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod})


def seconds(text):
    assert text.endswith("s"), f"HOOKFLEET_DRAIN_TIMEOUT={text}: written in seconds here, please"
    return int(text[:-1])


def time_to_end(manifests):
    for manifest in manifests:
        name = manifest["metadata"]["name"]
        if manifest["kind"] != "Deployment" or not name.startswith("hookfleet-"):
            continue
        pod = manifest["spec"]["template"]["spec"]
        container = pod["containers"][0]
        named = container["envFrom"][0]["configMapRef"]["name"]
        config = next(m for m in manifests if m["kind"] == "ConfigMap" and m["metadata"]["name"] == named)
        drain = seconds(config["data"]["HOOKFLEET_DRAIN_TIMEOUT"])
        stop = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        needed, given = stop + drain + CLOSING_S, pod["terminationGracePeriodSeconds"]
        assert given >= needed, f"{name}: terminationGracePeriodSeconds {given}, needed {needed}"


def main():
    arguments = sys.argv[1:]
    crds = None
    if arguments[:1] == ["--crds"]:
        crds, arguments = arguments[1], arguments[2:]
    wrong, custom = [], []
    for path in arguments:
        manifests = [m for m in yaml.safe_load_all(pathlib.Path(path).read_text()) if m]
        for manifest in manifests:
            what = f"{path}: {manifest['kind']} {manifest['metadata']['name']}"
            group = manifest["apiVersion"].split("/")[0]
            try:
                if group in ("keda.sh", "monitoring.coreos.com"):
                    custom.append({"what": what, "manifest": manifest})
                elif group == "rabbitmq.com":
                    rabbitmq(manifest)
                else:
                    native(manifest)
            except Exception as error:  # each library has its own
                wrong.append(f"{what}: {type(error).__name__}: {str(error)[:500]}")
        try:
            time_to_end(manifests)
        except AssertionError as error:
            wrong.append(f"{path}: {error}")
    if crds:
        node = ["node", str(HERE / "validate.mjs"), crds]
        ended = subprocess.run(node, input=json.dumps(custom), text=True, capture_output=True)
        wrong += (ended.stdout + ended.stderr).splitlines()
        if ended.returncode and not wrong:
            wrong.append("validate.mjs failed")
    for line in wrong:
        print(line, file=sys.stderr)
    sys.exit(bool(wrong))


main()
