"""Files that exist twice, because a tool reads only its own directory, are equal. REGENERATE=1 regenerates the copies."""

import json
import os

import yaml

from rendered import CHART, DEPLOY, ROOT

RULES = DEPLOY / "kustomize" / "central" / "monitoring" / "prometheusrule.yaml"


def again(file, made):
    """Checks that a file equals its source, or regenerates it."""
    if os.environ.get("REGENERATE"):
        file.write_text(made)
    if file.read_text() != made:
        yield f"{file} differs from what it is made from: REGENERATE=1 cargo nextest run -E 'test(manifests)'"


def indented(text, spaces):
    return "".join(" " * spaces + line if line.strip() else line for line in text.splitlines(keepends=True))


def rules():
    head = RULES.read_text().split("  groups:")[0]
    alerts = (DEPLOY / "prometheus" / "alerts.yaml").read_text()
    return head + indented("groups:" + alerts.split("\ngroups:", 1)[1], 2)


def cron_job(component):
    """Returns pod.yaml for CronJobs."""
    lines = (component / "pod.yaml").read_text().splitlines(keepends=True)
    lines = [line for line in lines if not line.strip().startswith("#")]
    spec = "".join(lines[lines.index("spec:\n") + 1 :])
    head = "# pod.yaml for CronJobs, whose pods are one level deeper; a test keeps them equal.\n"
    head += "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: any\nspec:\n  jobTemplate:\n    spec:\n"
    return head + indented(spec, 4)


def values_schema():
    """Returns the schema with the sections of a configuration. The gateway's `check` validates their content."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    written = schema["properties"]["config"]["anyOf"][1]["properties"]
    known = json.loads((ROOT / "config" / "gateway.schema.json").read_text())["properties"]
    schema["properties"]["config"]["anyOf"][1]["properties"] = {key: written.get(key, {}) for key in sorted(known)}
    return json.dumps(schema, indent=2) + "\n"


def check(_):
    yield from again(RULES, rules())
    yield from again(CHART / "values.schema.json", values_schema())
    for component in ("sidecar", "sidecar-unix"):
        directory = DEPLOY / "kustomize" / component
        yield from again(directory / "cronjob.yaml", cron_job(directory))
    for link in (CHART / "files").iterdir():
        if not link.is_symlink():
            yield f"{link} is a copy; it should be a link"
    all_values = yaml.safe_load((CHART / "ci" / "all-values.yaml").read_text())["config"]
    example = yaml.safe_load((DEPLOY / "kustomize" / "examples" / "central" / "gateway.yaml").read_text())
    if all_values != example:
        yield "examples/central/gateway.yaml differs from ci/all-values.yaml"
