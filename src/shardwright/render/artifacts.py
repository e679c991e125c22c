"""What an endpoint needs that is not in its manifests: images, model files, controllers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shardwright.model.launch import LaunchPlan, TaskKind
from shardwright.model.request import Mechanism
from shardwright.model.scaling import Scaler
from shardwright.model.volumes import VolumeKind

CONTROLLERS = {
    Mechanism.LWS: "LeaderWorkerSet 0.6 or newer (leaderworkerset.x-k8s.io/v1)",
    Mechanism.KUBERAY: "KubeRay 1.3 or newer (ray.io/v1)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifacts:
    """Things to mirror or install. Nothing is installed from a package index at run time."""

    images: tuple[str, ...]
    models: tuple[str, ...]
    controllers: tuple[str, ...]


def artifacts(plan: LaunchPlan) -> Artifacts:
    """List what must be at hand before the manifests are applied."""
    images = {m.image for m in plan.group.members} | {task.image for task in plan.tasks}
    images |= set(_weights_images(plan))
    downloads = any(task.kind is TaskKind.DOWNLOAD for task in plan.tasks)
    return Artifacts(
        images=tuple(sorted(images)),
        models=(f"{_origin(plan)} (safetensors, config and tokenizer)",) if downloads else (),
        controllers=tuple(_controllers(plan)),
    )


def _weights_images(plan: LaunchPlan) -> Iterator[str]:
    for mount in plan.group.members[0].mounts:
        if mount.kind is VolumeKind.IMAGE and mount.source:
            yield mount.source


def _origin(plan: LaunchPlan) -> str:
    """Say where the download finds the model: on the hub by its id, or in a bucket."""
    words = (word for task in plan.tasks for words in task.argv for word in words)
    return next((str(w) for w in words if str(w).startswith("s3://")), plan.model)


def _controllers(plan: LaunchPlan) -> Iterator[str]:
    """Name whatever must run in the cluster already: of the mechanism, and of what is asked for."""
    if plan.mechanism in CONTROLLERS:
        yield CONTROLLERS[plan.mechanism]
    yield from _of_placement(plan)
    for route in (each.route for each in plan.endpoints if each.route is not None):
        if route.gateway:
            name = "/".join(part for part in route.gateway if part)
            yield f"Gateway API (gateway.networking.k8s.io/v1), with the Gateway {name}"
        else:
            yield f"an ingress controller of class {route.ingress_class or '(the default one)'}"
    if plan.monitoring is not None:
        yield "Prometheus operator (monitoring.coreos.com/v1)"
    if plan.scaling is not None and plan.scaling.scaler is Scaler.KEDA:
        yield f"KEDA 2 (keda.sh/v1alpha1), with the Prometheus at {plan.scaling.server}"
    elif plan.scaling is not None:
        names = ", ".join(plan.scaling.in_flight)
        yield f"a metrics adapter that serves {names} (custom.metrics.k8s.io)"


def _of_placement(plan: LaunchPlan) -> Iterator[str]:
    if any(_weights_images(plan)):
        yield "Kubernetes 1.35 or newer, with a container runtime that mounts image volumes"
    if plan.group.gang == "volcano":
        yield "Volcano (scheduling.volcano.sh/v1beta1)"
    elif plan.group.gang == "native":
        yield f"Kubernetes {plan.placement.kubernetes or '1.37'} with its gang scheduling enabled"
    elif plan.placement.queue or plan.group.gang == "kueue":
        yield f"Kueue, with the LocalQueue {plan.placement.queue}"
