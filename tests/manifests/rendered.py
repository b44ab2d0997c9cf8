"""Renders deploy/ with kustomize and Helm. tests/run installs both beside the Python that runs this."""

import json
import pathlib
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "asteroid-gateway"
ALL_VALUES = CHART / "ci" / "all-values.yaml"
BIN = pathlib.Path(sys.executable).parent


def run(program, *arguments, given=None):
    """Runs a program, and returns its exit code and its output."""
    command = [str(BIN / program), *map(str, arguments)]
    ended = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
    return ended.returncode, ended.stdout, ended.stderr


def objects(text):
    return [each for each in yaml.safe_load_all(text) if each]


def kustomize(directory):
    code, text, errors = run("kubectl", "kustomize", DEPLOY / "kustomize" / directory)
    assert code == 0, errors
    return objects(text)


def template(*arguments, values=None):
    """Runs `helm template` with these values, in addition to the files in the arguments."""
    given = [] if values is None else ["--values", "-"]
    return run(
        "helm", "template", "asteroid-gateway", CHART, "--namespace", "asteroid-gateway", *arguments, *given,
        given=None if values is None else json.dumps(values),
    )


def helm(*arguments, values=None):
    code, text, errors = template(*arguments, values=values)
    assert code == 0, errors
    return objects(text)


def everything():
    """Yields every rendering with its name."""
    kustomizations = ["central", "examples/central", "examples/sidecar", "examples/sidecar-unix"]
    renderings = {f"kustomize {name}": kustomize(name) for name in kustomizations}
    renderings["helm with its defaults"] = helm()
    renderings["helm with all values"] = helm("--values", ALL_VALUES)
    return renderings


def name(each):
    return f"{each['kind']} {each['metadata']['name']}"


def pod_specs(rendering):
    """Yields every object with pods, and their specification."""
    for each in rendering:
        spec = each.get("spec", {})
        if each["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            yield each, spec["template"]["spec"]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def gateway(pod):
    return next(each for each in containers(pod) if each["name"] == "asteroid-gateway")


def configuration(rendering):
    """Returns the text of gateway.yaml."""
    maps = [each for each in rendering if each["kind"] == "ConfigMap" and "gateway.yaml" in each["data"]]
    assert len(maps) == 1, "one ConfigMap holds gateway.yaml"
    return maps[0]["data"]["gateway.yaml"]
