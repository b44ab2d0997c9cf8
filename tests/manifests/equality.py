"""Helm and Kustomize render the same objects, without the parts that only one of them can know."""

import difflib
import json

import yaml

from rendered import ALL_VALUES, helm, kustomize, name

# Helm names the installer of an object; Kustomize does not know the versions.
HELMS_LABELS = ["app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"]


def normal(each):
    each = json.loads(json.dumps(each))
    for label in HELMS_LABELS:
        each["metadata"].get("labels", {}).pop(label, None)
    template = each["spec"].get("template", {}).get("metadata", {}) if "spec" in each else {}
    annotations = template.get("annotations", {})
    # Kustomize computes nothing, so its users must restart the pods themselves after such a change.
    annotations.pop("asteroid-gateway/restart", None)
    if not annotations:
        template.pop("annotations", None)
    for port in each.get("spec", {}).get("ports", []) if each["kind"] == "Service" else []:
        port["port"] = int(port["port"])
    data = each.get("data", {})
    for key, text in data.items():
        data[key] = yaml.safe_load(text)
    return unordered(each)


def unordered(value):
    """Sorts lists whose order has no meaning in Kubernetes: named items, ports and volumes."""
    if isinstance(value, dict):
        return {key: unordered(member) for key, member in value.items()}
    if isinstance(value, list):
        members = [unordered(member) for member in value]
        named = members and all(isinstance(member, dict) and "name" in member for member in members)
        return sorted(members, key=lambda member: member["name"]) if named else members
    return value


def check(_):
    pairs = [
        ("central", kustomize("central"), helm()),
        ("examples/central", kustomize("examples/central"), helm("--values", ALL_VALUES)),
    ]
    for what, kustomized, helmed in pairs:
        left, right = ({name(each): normal(each) for each in side} for side in (kustomized, helmed))
        for missing in sorted(set(left) ^ set(right)):
            yield f"{what}: only {'Kustomize' if missing in left else 'Helm'} has {missing}"
        for both in sorted(set(left) & set(right)):
            texts = [json.dumps(side[both], indent=1, sort_keys=True).splitlines() for side in (left, right)]
            difference = list(difflib.unified_diff(*texts, "Kustomize", "Helm", lineterm=""))
            if difference:
                yield f"{what}: {both}\n" + "\n".join(difference)
