"""The chart refuses values that would fail only in the cluster or mean something else, each with a fitting message."""

import copy

import yaml

from rendered import ALL_VALUES, CHART, run, template

BILLING = {"name": "billing", "port": 8080, "from": [{"podSelector": {}}]}


def caller(**members):
    return {"callers": [BILLING | members]}


def peer(member):
    return caller(**{"from": [member]})


# Values that must be refused, each with a word of the message.
NONSENSE = [
    ({"replica": 3}, "replica"),
    ({"replicas": 0}, "replicas"),
    ({"replicas": "2"}, "replicas"),
    ({"config": {"listener": []}}, "config"),
    ({"config": "upstream: {}"}, "config"),
    ({"image": {"digest": "sha256:abc"}}, "digest"),
    ({"image": {"tag": "latest"}}, "tag"),
    ({"image": {"repository": ""}}, "repository"),
    ({"keySecret": "No_Secret"}, "keySecret"),
    ({"callers": []}, "callers"),
    ({"callers": [{"name": "admin", "port": 8080, "from": [{}]}]}, "callers"),
    ({"callers": [{"name": "billing", "port": 8080, "from": []}]}, "from"),
    ({"callers": [{"name": "billing", "port": 8080}]}, "from"),
    ({"callers": [{"name": "billing", "port": 9999, "from": [{"podSelector": {}}]}]}, "no listener of config has port 9999"),
    ({"resources": {"limits": {"memory": None}}}, "limits"),
    ({"volumeMounts": [{"name": "x", "mountPath": "/x", "subPath": "y"}]}, "volumeMounts"),
    ({"terminationGracePeriodSeconds": 0}, "terminationGracePeriodSeconds"),
    ({"terminationGracePeriodSeconds": 94}, "write at least 95"),
    ({"autoscaling": {"enabled": True, "minReplicas": 5}}, "raise maxReplicas"),
    ({"callers": [BILLING, BILLING | {"port": 8081}]}, "give each a different name"),
    ({"callers": [BILLING, BILLING | {"name": "sales"}]}, "port 8080 is already used by billing"),
    (caller(port=9090), "port 9090 is already used by admin"),
    *(
        (caller(name=name), "is not a valid port name")
        for name in ("", "8080", "8-0", "a--b", "-a", "a-", "Billing", "a.b", "a-name-of-16-let")
    ),
    *(
        (peer(member), "/callers/0/from/0")
        for member in (
            {},
            {"serviceAccount": {}},
            {"namespaceSelector": {"matchLabel": {"team": "billing"}}},
            {"namespaceSelector": {"team": "billing"}},
            {"podSelector": {"matchExpressions": [{"key": "team", "operator": "Is"}]}},
            {"podSelector": None},
            {"ipBlock": {"except": ["10.0.0.0/8"]}},
            {"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}},
        )
    ),
    ({"networkPolicy": {"dns": [{}]}}, "/networkPolicy/dns/0"),
    ({"networkPolicy": {"upstream": [{"cidr": "10.0.0.0/8"}]}}, "/networkPolicy/upstream/0"),
    ({"networkPolicy": {"enabled": False}}, "leave the policy on"),
    ({"podLabels": {"app.kubernetes.io/name": "other"}}, "choose another label"),
    ({"podLabels": {"team": 4711}}, "/podLabels/team"),
    ({"dnsConfig": {"option": []}}, "dnsConfig"),
    ({"image": {"tag": "0.1.0", "digest": "sha256:" + "0" * 64}}, "the digest decides"),
]

# Release names that Helm accepts, but that a Service cannot have.
RELEASES = ["1a", "a.b"]

# Durations of the drain, each with the minimum grace period that is accepted.
DRAINS = [
    (None, 75),
    ({}, 75),
    ({"delay": "1m"}, 135),
    ({"delay": "5s", "timeout": "2m"}, 135),
    # The gateway reads the other forms.
    ({"delay": "5s", "timeout": "1m 30s"}, 15),
    ({"delay": "500ms"}, 75),
]

# Addresses that the gateway accepts and the chart refuses.
MISPLACED = [
    ("admin", None, "127.0.0.1:9090", "config.admin.address must be on the pod's address"),
    ("admin", None, "localhost:9090", "config.admin.address must be on the pod's address"),
    ("listeners", 0, "127.0.0.1:8443", "write 0.0.0.0:8443"),
    ("listeners", 0, "localhost:8443", "write 0.0.0.0:8443"),
    ("listeners", 0, "[::1]:8443", "write 0.0.0.0:8443"),
    ("listeners", 0, "0.0.0.0:8444", "no listener of config has port 8443"),
    ("listeners", 0, "unix:/run/8443", "no listener of config has port 8443"),
]


def check():
    for values, word in NONSENSE:
        code, _, errors = template(values=values)
        if code == 0 or word not in errors:
            yield f"{values} is not refused for {word}: {errors}"
    for section, place, address, word in MISPLACED:
        config = copy.deepcopy(yaml.safe_load(ALL_VALUES.read_text())["config"])
        (config[section][place] if section == "listeners" else config[section])["address"] = address
        code, _, errors = template("--values", ALL_VALUES, values={"config": config})
        if code == 0 or word not in errors:
            yield f"{section} at {address} is not refused: {errors}"
    for release in RELEASES:
        code, _, errors = run("helm", "template", release, CHART)
        if code == 0 or "is not valid for a Service" not in errors:
            yield f"the release {release} is not refused: {errors}"
    yield from grace()


def grace():
    """Checks that a grace period shorter than the drain is refused, and a sufficient one is accepted."""
    for drain, least in DRAINS:
        values = yaml.safe_load(ALL_VALUES.read_text())
        values["config"]["drain"] = drain
        for given, taken in ((least, True), (least - 1, False)):
            code, _, errors = template(values=values | {"terminationGracePeriodSeconds": given})
            if (code == 0) != taken:
                yield f"{given} for {drain} is {'refused' if taken else 'taken'}: {errors}"
