"""What an endpoint needs that is not in its manifests: images, model files, controllers."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.launch import LaunchPlan, TaskKind
from shardwright.model.request import Mechanism

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
    downloads = any(task.kind is TaskKind.DOWNLOAD for task in plan.tasks)
    controller = CONTROLLERS.get(plan.mechanism)
    return Artifacts(
        images=tuple(sorted(images)),
        models=(f"{plan.model} (safetensors, config and tokenizer)",) if downloads else (),
        controllers=(controller,) if controller else (),
    )
