"""What the API server itself refuses, or reads otherwise than it is meant."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.finding import Found, Rule
from shardwright.lint.reading import dig, integer, string_map
from shardwright.lint.scene import Scene
from shardwright.lint.storage import template_names
from shardwright.lint.workload.container import GPU_RESOURCES
from shardwright.model.finding import Severity

_SELECTING = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
_WORKLOADS = "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector"


def _selector_mismatch(scene: Scene) -> Iterator[Found]:
    for workload in scene.workloads:
        if workload.kind not in _SELECTING:
            continue
        wanted = string_map(dig(workload.spec, "selector", "matchLabels"))
        has_expressions = bool(dig(workload.spec, "selector", "matchExpressions"))
        labels = workload.pods[0].labels
        missing = {name: value for name, value in wanted.items() if labels.get(name) != value}
        if not wanted and not has_expressions:
            what = f"{workload.manifest.label} has no selector"
        elif missing:
            pairs = ", ".join(f"{name}={value}" for name, value in missing.items())
            what = f"the selector wants {pairs}, which the pod template's labels do not have"
        else:
            continue
        yield Found(object=workload.manifest, path=("spec", "selector"), what=what)


def _volume_not_defined(scene: Scene) -> Iterator[Found]:
    for workload in scene.workloads:
        if workload.is_managed or workload.kind.startswith("Ray"):
            continue
        own = template_names(workload)
        for pod in workload.pods:
            for container in (*pod.containers, *pod.init_containers):
                for mount in container.mounts:
                    if mount.volume in pod.volumes or mount.volume in own:
                        continue
                    yield Found(
                        object=workload.manifest,
                        path=(*container.path, "volumeMounts"),
                        near=mount.volume,
                        what=(
                            f"container {container.name} mounts volume {mount.volume!r},"
                            " which the pod does not have"
                        ),
                    )


def _gpu_limit(scene: Scene) -> Iterator[Found]:
    for workload in scene.workloads:
        for pod in workload.pods:
            for container in (*pod.containers, *pod.init_containers):
                for name in GPU_RESOURCES:
                    limit, request = container.limits.get(name), container.requests.get(name)
                    is_equal = limit is not None and integer(limit) == integer(request)
                    if request is None or is_equal:
                        continue
                    yield Found(
                        object=workload.manifest,
                        path=(*container.path, "resources"),
                        near=name,
                        what=f"{name}: {request} is requested with limit {limit or '(none)'}",
                    )


def _duplicate_key(scene: Scene) -> Iterator[Found]:
    for obj in scene.objects:
        for key, line in obj.duplicates:
            yield Found(
                object=obj,
                path=(),
                line=line,
                what=f"key {key} is written twice in one mapping: the last one counts",
            )


RULES = (
    Rule(
        code="selector-mismatch",
        severity=Severity.ERROR,
        title="a selector that does not match its own pods",
        why=(
            "The API server refuses a Deployment or StatefulSet whose selector is missing or does"
            " not match the labels of its pod template."
        ),
        remedy="give spec.selector.matchLabels the labels of spec.template.metadata.labels",
        references=(_WORKLOADS,),
        check=_selector_mismatch,
    ),
    Rule(
        code="volume-not-defined",
        severity=Severity.ERROR,
        title="a mount of a volume the pod does not have",
        why="The API server refuses a pod whose volumeMounts name a volume that is not listed.",
        remedy="add the volume under spec.volumes, or correct the mount's name",
        references=("https://kubernetes.io/docs/concepts/storage/volumes/",),
        check=_volume_not_defined,
    ),
    Rule(
        code="gpu-limit-missing",
        severity=Severity.ERROR,
        title="GPUs requested without an equal limit",
        why=(
            "Extended resources cannot be overcommitted: the API server refuses a pod whose GPU"
            " request has no limit, or another one."
        ),
        remedy="write GPUs under resources.limits; the request is then the same",
        references=("https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/",),
        check=_gpu_limit,
    ),
    Rule(
        code="duplicate-key",
        severity=Severity.WARNING,
        title="a key written twice",
        why=(
            "Of two equal keys in one mapping kubectl keeps the last without a word; the settings"
            " under the first are lost."
        ),
        remedy="merge the two",
        references=("https://yaml.org/spec/1.2.2/#mapping",),
        check=_duplicate_key,
    ),
)
