"""The pods meet the restricted Pod Security Standard, only the gateway sees its Secrets, and every mounted file can change."""

import os
import pathlib
import tempfile

from rendered import DEPLOY, containers, everything, gateway, kustomize, name, pod_specs

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def restricted(pod):
    for member in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(member):
            yield f"{member} is set"
    for volume in pod.get("volumes", []):
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"the volume {volume['name']} is a {kind}"
    of_pod = pod.get("securityContext", {})
    if of_pod.get("sysctls") or of_pod.get("seLinuxOptions") or of_pod.get("windowsOptions"):
        yield "the pod's security context asks for more than the standard allows"
    for container in containers(pod):
        for fault in restricted_container(of_pod, container):
            yield f"{container['name']}: {fault}"


def restricted_container(of_pod, container):
    own = container.get("securityContext", {})
    both = {**of_pod, **own}
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "may run as root"
    if both.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield "may gain privileges"
    if own.get("capabilities") != {"drop": ["ALL"]}:
        yield "has capabilities"
    # Our own rule, which the standard does not have.
    if own.get("readOnlyRootFilesystem") is not True:
        yield "may write its root"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "has a port of the host"


def of_the_gateway(pod):
    """Checks the rules for the pods that go beyond the standard."""
    own = gateway(pod)
    secrets = {volume["name"] for volume in pod["volumes"] if "secret" in volume}
    for container in containers(pod):
        mounts = container.get("volumeMounts", [])
        if container is not own and secrets & {mount["name"] for mount in mounts}:
            yield f"{container['name']} sees a Secret of the gateway"
        if container is not own and any("secret" in str(each).lower() for each in container.get("env", [])):
            yield f"{container['name']} has a Secret in its environment"
        if any("subPath" in mount or "subPathExpr" in mount for mount in mounts):
            yield f"{container['name']}: what is mounted by subPath never changes"
    if not {mount["name"] for mount in own["volumeMounts"]} >= secrets:
        yield "the gateway does not see its own Secrets"
    if {**pod.get("securityContext", {}), **own["securityContext"]}.get("runAsUser") != 65532:
        yield "the gateway does not run as 65532"
    if pod.get("enableServiceLinks") is not False or pod.get("automountServiceAccountToken") is not False:
        yield "the pod gets Services as variables, or a token"
    for volume in pod["volumes"]:
        # User 65532 can read a file of root as a member of fsGroup, or if all users can.
        group = pod.get("securityContext", {}).get("fsGroup") is not None
        needed = 0o440 if group else 0o444
        if "secret" in volume and volume["secret"].get("defaultMode", 0o644) & needed != needed:
            yield f"65532 cannot read {volume['name']}"
    if own in pod.get("initContainers", []):
        yield from of_a_sidecar(own)


def of_a_sidecar(own):
    if own.get("restartPolicy") != "Always":
        yield "the sidecar is an ordinary init container, which the application would wait for"
    if "readinessProbe" in own or "lifecycle" in own:
        yield "the sidecar has a readiness probe or a hook"
    if own.get("startupProbe", {}).get("exec", {}).get("command", [])[:2] != ["/asteroid-gateway", "probe"]:
        yield "the sidecar's start is not probed"


WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: { name: without, labels: { asteroid-gateway/sidecar: none } }
spec: { template: { spec: { containers: [{ name: application }] } } }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: with }
spec: { template: { spec: { initContainers: [{ name: migrate }], containers: [{ name: application }] } } }
"""


def chosen():
    """Checks that a label keeps the sidecar out, and that it otherwise precedes the pod's containers, which can then call it."""
    with tempfile.TemporaryDirectory() as directory:
        here = pathlib.Path(directory)
        component = os.path.relpath(DEPLOY / "kustomize" / "sidecar", here.resolve())
        (here / "workloads.yaml").write_text(WORKLOADS)
        (here / "kustomization.yaml").write_text(f"resources: [workloads.yaml]\ncomponents: [{component}]\n")
        found = {each["metadata"]["name"]: pod for each, pod in pod_specs(kustomize(here))}
    if set(found["without"]) != {"containers"}:
        yield "a pod that asked for no sidecar was changed"
    if [each["name"] for each in containers(found["with"])] != ["asteroid-gateway", "migrate", "application"]:
        yield "the sidecar is not the first"


def check(_):
    yield from chosen()
    sidecars = 0
    for rendering, rendered in everything().items():
        pods = list(pod_specs(rendered))
        if not pods:
            yield f"{rendering}: no pods"
        for each, pod in pods:
            sidecars += "initContainers" in pod
            for fault in [*restricted(pod), *of_the_gateway(pod)]:
                yield f"{rendering}: {name(each)}: {fault}"
    if sidecars != 6:
        yield f"a Deployment, a Job and a CronJob have the sidecar in both examples, not {sidecars} in all"
