"""Helm, Kubernetes' schemas and checkov find no fault."""

import fnmatch
import json
import pathlib
import tempfile

import kubernetes_validate
import yaml

import refused
from rendered import ALL_VALUES, CHART, everything, helm, name, run

# Accepted findings of checkov, with their objects and the reason. One that no longer applies is a fault.
REASONS = {
    ("CKV_K8S_15", "Deployment.asteroid-gateway.asteroid-gateway"):
        "a digest or a version is the same image whenever it was pulled; Always makes each start need the registry",
    ("CKV_K8S_43", "Deployment.asteroid-gateway.asteroid-gateway"):
        "the base and the chart's defaults name no registry; whoever installs sets the digest, as the examples do",
    ("CKV2_K8S_6", "Pod.billing.*"):
        "the sidecar listens within its pod alone; what else may reach a service's pod is for its team to say",
}


def chart(_):
    for values in ([], ["--values", ALL_VALUES]):
        code, said, errors = run("helm", "lint", "--strict", *values, CHART)
        if code != 0:
            yield said + errors
    yield from refused.check()


# Values that are not in ci/all-values.yaml, because no base of Kustomize has them.
FURTHER = {"podLabels": {"team": "platform"}, "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}


def further():
    """Checks that the chart renders each of them in its place, and nothing without them."""
    for values in ({}, FURTHER):
        rendered = helm(values=values)
        pod = next(each for each in rendered if each["kind"] == "Deployment")["spec"]["template"]
        if pod["spec"].get("dnsConfig") != values.get("dnsConfig"):
            yield f"{values}: the pod's dnsConfig is {pod['spec'].get('dnsConfig')}"
        labels = set(pod["metadata"]["labels"].items()) - {("app.kubernetes.io/name", "asteroid-gateway")}
        if labels - {("app.kubernetes.io/instance", "asteroid-gateway")} != set(values.get("podLabels", {}).items()):
            yield f"{values}: the pod's labels are {pod['metadata']['labels']}"


def schema(_):
    yield from further()
    custom = set()
    for rendering, rendered in [*everything().items(), ("helm with further values", helm(values=FURTHER))]:
        for each in rendered:
            try:
                kubernetes_validate.validate(each, "1.33", strict=True)
            except kubernetes_validate.SchemaNotFoundError:
                custom.add(each["kind"])
            except kubernetes_validate.ValidationError as error:
                yield f"{rendering}: {name(each)}: {'.'.join(map(str, error.path))}: {error.message}"
    # Kubernetes has no schemas for the objects of the Prometheus operator.
    if custom != {"ServiceMonitor", "PrometheusRule"}:
        yield f"no schema for {custom}"


def checkov(_):
    unused = dict(REASONS)
    with tempfile.TemporaryDirectory() as directory:
        for rendering, rendered in everything().items():
            file = pathlib.Path(directory) / (rendering.replace(" ", "-").replace("/", "-") + ".yaml")
            file.write_text(yaml.safe_dump_all(rendered))
        arguments = ["--framework", "kubernetes", "--output", "json", "--compact", "--quiet", "--skip-download"]
        _, said, errors = run("checkov", "--directory", directory, *arguments)
    report = json.loads(said)
    if report["summary"]["passed"] < 500 or report["summary"]["parsing_errors"]:
        yield f"checkov did not look: {report['summary']} {errors}"
    for finding in report["results"]["failed_checks"]:
        of = [key for key in REASONS if key[0] == finding["check_id"] and fnmatch.fnmatch(finding["resource"], key[1])]
        for key in of:
            unused.pop(key, None)
        if not of:
            yield f"{finding['check_id']} {finding['file_path']} {finding['resource']}: {finding['check_name']}"
    for key in unused:
        yield f"{key} finds nothing any more"
