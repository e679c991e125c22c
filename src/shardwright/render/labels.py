"""Labels and metadata of every object of an endpoint."""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan, Role
from shardwright.render.emit import Object
from shardwright.render.names import bounded

ROLE = "shardwright.dev/role"
GROUP = "shardwright.dev/group"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"


def labels_of(plan: LaunchPlan, component: str) -> dict[str, str]:
    """Write the labels of an object; component: serving, download and so on."""
    return {
        **dict(plan.labels),
        "app.kubernetes.io/name": plan.engine,
        "app.kubernetes.io/version": bounded(plan.engine_version.replace("+", "-"), 63),
        INSTANCE: bounded(plan.name, 63),
        "app.kubernetes.io/managed-by": "shardwright",
        COMPONENT: component,
    }


def selector(plan: LaunchPlan, role: Role | None = None, group: int | None = None) -> Object:
    """Select the serving pods of the endpoint: all, of one role, of one group."""
    out = {INSTANCE: bounded(plan.name, 63), COMPONENT: "serving"}
    if role is not None:
        out[ROLE] = role.value
    if group is not None:
        out[GROUP] = str(group)
    return out


def metadata(plan: LaunchPlan, name: str, component: str = "serving") -> Object:
    """Write the metadata of an object."""
    return {"name": name, "namespace": plan.namespace, "labels": labels_of(plan, component)}
