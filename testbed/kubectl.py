"""Talking to the bed's API server with the kubectl it was built with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testbed import components
from testbed.layout import kubeconfig_path
from testbed.shell import run, succeeds


def kubectl(
    *arguments: str,
    stdin: str | None = None,
    timeout_s: float = 120,
    kubeconfig: Path | None = None,
) -> str:
    """Run kubectl against the bed, or against what another kubeconfig names."""
    program = components.directory(components.KUBERNETES) / "kubectl"
    config = f"--kubeconfig={kubeconfig or kubeconfig_path()}"
    return run(program, config, *arguments, stdin=stdin, timeout_s=timeout_s)


def get(*arguments: str) -> dict[str, Any]:
    """Return what `kubectl get -o json` says."""
    found: dict[str, Any] = json.loads(kubectl("get", "-o", "json", *arguments))
    return found


def apply(*objects: dict[str, Any]) -> None:
    """Apply objects, server side."""
    document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    apply_text(json.dumps(document))


def apply_text(text: str) -> None:
    """Apply a YAML or JSON text, server side."""
    kubectl(
        *("apply", "--server-side", "--force-conflicts", "--field-manager=testbed", "-f", "-"),
        stdin=text,
    )


def api_is_ready() -> bool:
    """Tell whether the API server answers that it is ready."""
    program = components.directory(components.KUBERNETES) / "kubectl"
    return succeeds(
        *(program, f"--kubeconfig={kubeconfig_path()}", "get", "--raw", "/readyz"), timeout_s=10
    )


def is_condition(item: dict[str, Any], condition: str) -> bool:
    """Tell whether an object's status says that a condition is true."""
    conditions = item.get("status", {}).get("conditions", [])
    return any(c["type"] == condition and c["status"] == "True" for c in conditions)
