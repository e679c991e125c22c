"""GPUs taken by other means than asking for them."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.finding import Found, Rule
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity

_PLUGIN = "https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/"


def _cuda_visible_devices(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
            variable = member.container.env.get(name)
            value = variable.value if variable else None
            if variable is None or value is None or value in {"", "void", "none"}:
                continue
            if name == "NVIDIA_VISIBLE_DEVICES" and not (value == "all" or member.container.gpus):
                continue
            yield Found(
                object=member.object,
                path=variable.path,
                what=f"{name}={value} is set by hand in container {member.container.name}",
            )


RULES = (
    Rule(
        code="visible-devices-by-hand",
        severity=Severity.WARNING,
        title="CUDA_VISIBLE_DEVICES by hand",
        why=(
            "The device plugin gives the container its GPUs, numbered from 0. A list by hand hides"
            " some of them or names ones that are not there, and NVIDIA_VISIBLE_DEVICES=all takes"
            " GPUs the scheduler gave to others."
        ),
        remedy="remove the variable; ask for GPUs under resources.limits",
        references=(_PLUGIN,),
        check=_cuda_visible_devices,
    ),
)
