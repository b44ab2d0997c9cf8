"""The files and commands in docs/KUBERNETES.md work as described, as far as they need no cluster."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import yaml

import configuration
from rendered import BIN, DEPLOY, ROOT, helm, objects, pod_specs, run

# Instead of being applied, the objects are only rendered.
OFFLINE = [("kubectl apply -k ", "kubectl kustomize "), ("helm upgrade --install ", "helm template ")]
RUN = ("kubectl kustomize ", "helm ", "asteroid-gateway check ")


def blocks(language):
    text = (ROOT / "docs" / "KUBERNETES.md").read_text()
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def rendered(program, here):
    """Checks that the configurations there pass `check`, and fit their pods."""
    code, sidecar, errors = run("kubectl", "kustomize", here / "billing")
    assert code == 0, errors
    for what, made in (("a sidecar", objects(sidecar)), ("the chart", helm("--values", here / "values.yaml"))):
        text = configuration.configuration(made)
        faults = list(configuration.checked(program, text))
        for _, pod in pod_specs(made):
            faults += configuration.fits(yaml.safe_load(text), pod)
            faults += [] if "initContainers" in pod else configuration.ports(yaml.safe_load(text), pod, made)
        yield from (f"{what}: {fault}" for fault in faults)


def check(program):
    with tempfile.TemporaryDirectory() as directory:
        here = pathlib.Path(directory)
        (here / "billing").mkdir()
        shutil.copytree(DEPLOY, here / "asteroid-gateway" / "deploy")
        application = DEPLOY / "kustomize" / "examples" / "sidecar" / "application"
        shutil.copy(application / "deployment.yaml", here / "billing")
        for block in blocks("yaml"):
            (here / block.split("\n", 1)[0].removeprefix("# ")).write_text(block)
        path = f"{BIN}:{pathlib.Path(program).parent}:{os.environ['PATH']}"
        commands = [line for block in blocks("sh") for line in block.splitlines()]
        ran = []
        for command in commands:
            for online, offline in OFFLINE:
                command = command.replace(online, offline)
            # The tool that extracts a value from the output is not installed.
            command = command.split(" | ")[0]
            if not command.startswith(RUN) or command.endswith(" --config gateway.yaml"):
                continue
            environment = {"PATH": path, "HOME": directory}
            ended = subprocess.run(
                command, shell=True, cwd=here, env=environment, capture_output=True, text=True, timeout=60
            )
            ran.append(command.split()[0])
            if ended.returncode != 0 or "warning" in ended.stderr:
                yield f"{command}: {ended.stderr}"
        yield from rendered(program, here)
        if [ran.count(each) for each in ("asteroid-gateway", "kubectl", "helm")] != [1, 3, 4]:
            yield f"other commands were run than expected: {ran}"
