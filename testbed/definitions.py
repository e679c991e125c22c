"""Resource definitions: those of the bed's controllers, and those that have no controller here.

The second kind (Prometheus operator, KEDA) lets the API server judge what the renderer writes for
them, by upstream's published schemas. Their modules are downloaded and not compiled.
"""

from __future__ import annotations

import json
from pathlib import Path

from testbed import components
from testbed.addons import kustomized
from testbed.layout import components_dir
from testbed.shell import run

DOWNLOAD_LIMIT_S = 300
FILES = {
    "github.com/prometheus-operator/prometheus-operator": (
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
    "github.com/kedacore/keda/v2": ("config/crd/bases/keda.sh_scaledobjects.yaml",),
}
"""Upstream module -> the definitions read of it. Versions: components/definitions/go.mod."""


def without_controller() -> tuple[str, ...]:
    """Return the definitions of what nothing on the bed acts on."""
    texts = []
    for module, names in FILES.items():
        said = run(
            *("go", "mod", "download", "-json", module),
            cwd=components_dir() / "definitions",
            timeout_s=DOWNLOAD_LIMIT_S,
        )
        folder = Path(json.loads(said)["Dir"])
        texts += [(folder / name).read_text(encoding="utf-8") for name in names]
    return tuple(texts)


def of_controllers() -> tuple[str, ...]:
    """Return the definitions of the bed's controllers alone: no webhook, no deployment."""
    return tuple(
        kustomized(components.module_source(each) / "config" / "crd")
        for each in (components.LWS, components.KUBERAY)
    )
