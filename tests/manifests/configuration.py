"""Every configuration passes `check` without an avoidable warning, and fits its pod."""

import pathlib
import subprocess
import tempfile

import yaml

from rendered import configuration, everything, gateway, name, pod_specs

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


# There is no other way yet to count a budget.
UNAVOIDABLE = "limits.budget: is counted by this process only and forgotten when it ends"


def checked(program, text):
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "gateway.yaml"
        file.write_text(text)
        ended = subprocess.run([program, "check", "--config", file], capture_output=True, text=True, timeout=60, env={})
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("warning: ") and UNAVOIDABLE not in line]
    if ended.returncode != 0 or warnings:
        yield f"check says: {ended.stderr}"


def seconds(text):
    unit = text.lstrip("0123456789.")
    return float(text[: len(text) - len(unit)]) * UNITS[unit]


def files(value):
    """Yields every absolute path in a configuration."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from files(member)
    elif isinstance(value, str) and value.removeprefix("unix:").startswith("/"):
        yield value.removeprefix("unix:")


def port(address):
    return None if address.startswith("unix:") else int(address.rsplit(":", 1)[1])


def fits(config, pod):
    """Checks that the files are mounted, and that the drain fits into the grace period."""
    container = gateway(pod)
    mounts = [mount["mountPath"] + "/" for mount in container["volumeMounts"]]
    for path in [*files(config), container["args"][-1]]:
        if not any(path.startswith(mount) for mount in mounts):
            yield f"{path} is not mounted"
    drain = {"delay": "0s", "timeout": "65s", **config.get("drain", {})}
    if pod["terminationGracePeriodSeconds"] < sum(map(seconds, drain.values())) + 10:
        yield "terminationGracePeriodSeconds is not 10 more than the drain takes"


def ports(config, pod, rendered):
    """Checks that a central gateway has the same ports in the configuration, the pod, the Service and the policy."""
    listeners = {port(each["address"]) for each in config["listeners"]} | {port(config["admin"]["address"])}
    declared = {each["name"]: each["containerPort"] for each in gateway(pod)["ports"]}
    service = next(each for each in rendered if each["kind"] == "Service")["spec"]["ports"]
    policy = next(each for each in rendered if each["kind"] == "NetworkPolicy")["spec"]["ingress"]
    reached = {each["port"] for rule in policy for each in rule["ports"]}
    served = {each["port"] for each in service}
    if not listeners == set(declared.values()) == reached == served:
        yield f"ports: {listeners} in the configuration, {declared} in the pod, {served} served, {reached} let in"
    if {each["targetPort"] for each in service} != set(declared):
        yield "the Service's ports are not the pod's"


def check(program):
    for rendering, rendered in everything().items():
        text = configuration(rendered)
        config = yaml.safe_load(text)
        faults = list(checked(program, text))
        for each, pod in pod_specs(rendered):
            faults += [f"{name(each)}: {fault}" for fault in fits(config, pod)]
            if "initContainers" not in pod:
                faults += ports(config, pod, rendered)
        yield from (f"{rendering}: {fault}" for fault in faults)
