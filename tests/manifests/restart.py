"""The chart's annotation `asteroid-gateway/restart` changes if a running gateway needs a restart, and only then."""

import copy
import json
import pathlib
import signal
import subprocess
import tempfile
import threading

import yaml

from rendered import ROOT, helm

PORT = "{ address: '127.0.0.1:8080', tenant: { fixed: billing } }"
SOCKET = "{ address: 'unix:./a.sock', tenant: { fixed: billing } }"
CONFIGURATION = f"""
upstream: {{ url: "http://127.0.0.1:9/agents/v2" }}
listeners: [{PORT}, {SOCKET}]
admin: {{ address: "0.0.0.0:9090" }}
credentials: {{ main: {{ file: ./key }} }}
tenants: {{ billing: {{ credential: main }} }}
"""
CALLERS = [{"name": "billing", "port": 8080, "from": [{"podSelector": {}}]}]
# Sections that replace those of the configuration, one at a time.
CHANGES = [
    "workers: 2",
    "upstream: { url: 'http://127.0.0.1:10/agents/v2' }",
    "upstream: { url: 'http://127.0.0.1:9/agents/v2', credential_header: X-Api-Key }",
    "upstream: { url: 'http://127.0.0.1:9/agents/v2', organization_id: 5a3c1f0e-6f0b-4d57-8f1c-0d1b6a0c9e21 }",
    "upstream: { url: 'http://127.0.0.1:9/agents/v2', api: new, list_parameters: [orderBy] }",
    f"listeners: [{PORT}]",
    f"listeners: [{{ address: '127.0.0.2:8080', tenant: {{ fixed: billing }} }}, {SOCKET}]",
    f"listeners: [{{ address: '127.0.0.1:8080', tenant: {{ fixed: billing, trusted_peers: [127.0.0.1] }} }}, {SOCKET}]",
    f"listeners: [{{ address: '127.0.0.1:8080', tenant: {{ header: X-Tenant-Id }} }}, {SOCKET}]",
    f"listeners: [{{ address: '127.0.0.1:8080', tenant: {{ fixed: billing }}, hosts: [gateway.internal] }}, {SOCKET}]",
    "listeners: [{ address: '127.0.0.1:8080', tls: { certificate_file: /a, key_file: /b }, tenant: { fixed: billing } }, "
    f"{SOCKET}]",
    f"listeners: [{PORT}, {SOCKET.replace('a.sock', 'b.sock')}]",
    f"listeners: [{PORT}, {{ address: 'unix:./a.sock', mode: '0600', tenant: {{ fixed: billing }} }}]",
    "admin: { address: '0.0.0.0:9091' }",
    "admin: { address: '0.0.0.0:9090', hosts: [gateway-admin.internal] }",
    "credentials: { main: { file: ./key }, other: { file: ./key } }",
    "tenants: { billing: { credential: main, limits: { in_flight: 5 } } }",
    "operations: { delete: true }",
    "tenants: { billing: { credential: main }, sales: { credential: main } }",
    "tagging: { tenant_prefix: prod/ }",
    "idempotency: { memory: 16MiB, recovery: true }",
    "redact: { trigger_context: false }",
    "answer_limit: 1MiB",
    "max_page_size: 50",
    "upload_limit: 10MiB",
    "body_limit: 2MiB",
    "body_memory: 64MiB",
    "timeouts: { response: 90s }",
    "timeouts: { body: 90s }",
    "timeouts: { connect: 7s }",
    "timeouts: { idle: 40s }",
    "timeouts: { caller_idle: 40s }",
    "drain: { delay: 3s }",
    "traces: { otlp: 'http://127.0.0.1:9/v1/traces' }",
    "audit: { stdout: true }",
    "fingerprint_salt: production",
    "readiness: { credentials: all }",
]


def here(config):
    """Returns the configuration with ports that are free on this machine; different ports stay different."""
    return json.dumps(config).replace("0.0.0.0:9090", "127.0.0.1:0").replace(":8080", ":0").replace("0.0.0.0", "127.0.0.1")


def annotation(config):
    # The chart accepts no callers on loopback.
    config = json.loads(json.dumps(config).replace("127.0.0.", "10.0.0."))
    rendered = helm(values={"config": config, "callers": CALLERS})
    deployment = next(each for each in rendered if each["kind"] == "Deployment")
    return deployment["spec"]["template"]["metadata"]["annotations"]["asteroid-gateway/restart"]


class Gateway:
    """A running gateway with its own configuration."""

    def __init__(self, program, config):
        self.directory = tempfile.TemporaryDirectory()
        self.file = pathlib.Path(self.directory.name) / "gateway.yaml"
        self.file.write_text(here(config))
        (self.file.parent / "key").write_text("a-key-of-enough-bytes\n")
        self.process = subprocess.Popen(
            [program, "run", "--config", "gateway.yaml"], cwd=self.directory.name, env={}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        # A time-out ends the reading.
        self.patience = threading.Timer(60, self.process.kill)
        self.patience.start()
        self.event("gateway.ready")

    def event(self, *codes):
        for line in self.process.stdout:
            line = json.loads(line)
            if line.get("event") in codes:
                return line
        raise AssertionError(f"the gateway logs none of {codes}")

    def needs_restart(self, config):
        """Returns its log line about a changed file."""
        self.file.write_text(here(config))
        self.process.send_signal(signal.SIGHUP)
        line = self.event("config.reloaded", "config.refused")
        if line["event"] == "config.reloaded":
            return False
        assert line["reason"].startswith("a restart is needed"), line
        return True

    def end(self):
        self.patience.cancel()
        self.process.kill()
        self.process.wait()
        self.directory.cleanup()


def check(program):
    base = yaml.safe_load(CONFIGURATION)
    before = annotation(base)
    said = set()
    sections = set(json.loads((ROOT / "config" / "gateway.schema.json").read_text())["properties"])
    untried = sections - {section for change in CHANGES for section in yaml.safe_load(change)}
    if untried:
        yield f"no change of {untried} is tried"
    for change in CHANGES:
        changed = copy.deepcopy(base) | yaml.safe_load(change)
        gateway = Gateway(program, base)
        try:
            needed = gateway.needs_restart(changed)
        finally:
            gateway.end()
        said.add(needed)
        if (annotation(changed) != before) != needed:
            yield f"{change}: the gateway {'needs a' if needed else 'needs no'} restart, the chart says otherwise"
    if said != {True, False}:
        yield "the gateway says the same of every change"
