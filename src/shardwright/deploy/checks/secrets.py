"""Whether the Secrets that pods name are there, with their keys."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from shardwright.deploy.checks.scene import Scene, error, not_checked
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding
from shardwright.model.launch import SecretOrigin


def secrets(scene: Scene) -> Iterator[Finding]:
    """Look for every Secret that the user makes; those we make are made when deploying."""
    plan = scene.plan
    wanted = [(s.name, s.keys) for s in plan.secrets if s.origin is SecretOrigin.USER]
    wanted += [(name, ()) for name in plan.placement.pull_secrets]
    for name, keys in wanted:
        try:
            secret = scene.cluster.get(scene.ref("v1", "Secret", name))
        except ShardwrightError as caught:
            yield not_checked(f"Secret {name}", caught)
            continue
        flags = " ".join(f"--from-literal={key}=..." for key in keys)
        create = f"kubectl -n {plan.namespace} create secret generic {name} {flags}".strip()
        if secret is None:
            yield error("secret-missing", f"there is no Secret {name}", "pods name it", create)
            continue
        data = secret.get("data") or {}
        for key in keys:
            if not base64.b64decode(data.get(key, "")):
                why = f"its keys are {', '.join(sorted(data)) or 'none'}"
                yield error("secret-key-missing", f"Secret {name} has no {key}", why, create)
    for name in plan.external_configs:
        if scene.cluster.get(scene.ref("v1", "ConfigMap", name)) is None:
            yield error(
                "config-missing",
                f"there is no ConfigMap {name}",
                "pods mount it",
                f"kubectl -n {plan.namespace} create configmap {name} --from-file=...",
            )
