"""Claims, config maps and disruption budgets: what stands around the pods."""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan
from shardwright.model.units import format_quantity
from shardwright.model.volumes import Claim, ConfigFiles
from shardwright.render.emit import Because, Object
from shardwright.render.labels import metadata, selector
from shardwright.render.names import object_name


def claim_object(plan: LaunchPlan, claim: Claim) -> Object:
    """Ask for the storage of the weights."""
    spec: Object = {
        "accessModes": [
            Because(
                claim.access_mode, f"{len(plan.group.members) * plan.max_replicas} pods mount it"
            )
        ],
        "resources": {"requests": {"storage": format_quantity(claim.size_bytes)}},
    }
    if claim.storage_class:
        spec["storageClassName"] = claim.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(plan, claim.name, "storage"),
        "spec": spec,
    }


def config_object(plan: LaunchPlan, config: ConfigFiles) -> Object:
    """Carry small files to the pods."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(plan, config.name),
        "data": dict(config.files),
    }


def disruption_budget(plan: LaunchPlan) -> Object | None:
    """Let a drain take one whole group at a time; None for a single group, which it would block.

    Losing one pod costs its group, so the pods of all other groups must stay. minAvailable, unlike
    maxUnavailable, needs no scale subresource, which a RayCluster does not have; where groups are
    added and taken away, the number that must stay is not fixed.
    """
    if plan.max_replicas < 2:
        return None
    others = (plan.replicas - 1) * len(plan.group.members)
    allowed: Object = {"minAvailable": Because(others, "all groups but one")}
    if plan.scaling:
        allowed = {"maxUnavailable": Because(len(plan.group.members), "one whole group")}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(plan, object_name("PodDisruptionBudget", plan.name)),
        "spec": {
            **allowed,
            "selector": {"matchLabels": selector(plan)},
        },
    }
