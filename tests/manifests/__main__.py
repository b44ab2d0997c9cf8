"""Checks one promise of deploy/kustomize and deploy/helm by its name: python tests/manifests PROMISE GATEWAY.

GATEWAY is the built program. Prints every fault and exits with 1 if there is any. tests/gateway/manifests.rs runs each promise.
"""

import sys

import configuration
import copies
import equality
import notes
import pods
import restart
import scanners
import walk

PROMISES = {
    "chart": scanners.chart,
    "checkov": scanners.checkov,
    "configuration": configuration.check,
    "copies": copies.check,
    "equality": equality.check,
    "notes": notes.check,
    "pods": pods.check,
    "restart": restart.check,
    "schema": scanners.schema,
    "walk": walk.check,
}

faults = list(PROMISES[sys.argv[1]](sys.argv[2]))
for fault in faults:
    print(fault)
sys.exit(1 if faults else 0)
