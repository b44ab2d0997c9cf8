"""The chart's notes after an installation warn if tenants cannot be distinguished, and only then."""

import json

import yaml

from rendered import ALL_VALUES, CHART, run

CONFIG = yaml.safe_load(ALL_VALUES.read_text())["config"] | {
    "listeners": [
        {"address": "0.0.0.0:8080", "tenant": {"fixed": "billing", "trusted_peers": ["10.244.0.0/16"]}},
        {"address": "0.0.0.0:8081", "tenant": {"fixed": "research", "trusted_peers": ["10.244.0.0/16"]}},
    ],
    "drain": {},
}
ALONE = CONFIG | {"listeners": CONFIG["listeners"][:1]}
SOMEBODY = [{"namespaceSelector": {"matchLabels": {"team": "any"}}}]
ANYBODY = [{"namespaceSelector": {}}]


def callers(*froms):
    names = ["billing", "research"]
    return [{"name": name, "port": 8080 + at, "from": sent} for at, (name, sent) in enumerate(zip(names, froms))]


# Values, each with a word of the warning; None if there is no warning.
CASES = [
    ({}, None),
    ({"config": CONFIG, "callers": callers(SOMEBODY, SOMEBODY)}, None),
    ({"config": CONFIG, "callers": callers(SOMEBODY, ANYBODY)}, "be their tenants: research."),
    ({"config": CONFIG, "callers": callers(ANYBODY, ANYBODY)}, "be their tenants: billing, research."),
    ({"config": ALONE, "callers": callers(ANYBODY)}, None),
    # The gateway's check reports the faults of a listener.
    ({"config": CONFIG | {"listeners": [{"address": "0.0.0.0:8080", "tenant": "billing"}]}, "callers": callers(ANYBODY)}, None),
    (
        {"config": CONFIG, "callers": callers(SOMEBODY, SOMEBODY), "networkPolicy": {"enabled": False}},
        "Only a network policy separates the tenants",
    ),
]


def check(_):
    for values, word in CASES:
        arguments = ["--dry-run=client", "--namespace", "asteroid-gateway", "--values", "-"]
        code, said, errors = run("helm", "install", "asteroid-gateway", CHART, *arguments, given=json.dumps(values))
        notes = said.partition("\nNOTES:\n")[2]
        if code != 0 or not notes:
            yield f"{values}: no notes: {errors}"
        elif notes.count("WARNING") != (word is not None) or (word or "") not in notes:
            yield f"{values}: the notes say {notes}"
