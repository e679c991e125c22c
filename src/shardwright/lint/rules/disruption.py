"""PodDisruptionBudgets that no drain can pass."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.finding import Found, Rule
from shardwright.lint.reading import dig, integer, mapping, string_map, text
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity


def _blocks_drain(scene: Scene) -> Iterator[Found]:
    for obj in scene.by_kind.get("PodDisruptionBudget", ()):
        spec = mapping(obj.data.get("spec"))
        selector = string_map(dig(spec, "selector", "matchLabels"))
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        if text(most) in {"0", "0%"}:
            yield Found(
                object=obj, path=("spec", "maxUnavailable"), what="no pod may ever be evicted"
            )
            continue
        if text(least) == "100%":
            yield Found(
                object=obj, path=("spec", "minAvailable"), what="no pod may ever be evicted"
            )
            continue
        number = integer(least)
        if number is None or not selector:
            continue
        selected = [
            workload
            for workload in scene.workloads_by_namespace.get(obj.namespace, ())
            if any(selector.items() <= pod.labels.items() for pod in workload.pods)
        ]
        pods = sum(
            workload.replicas * sum(pod.count or 0 for pod in workload.pods)
            for workload in selected
        )
        if selected and number >= pods:
            yield Found(
                object=obj,
                path=("spec", "minAvailable"),
                what=f"minAvailable {number} of {pods} pods leaves none to evict",
            )


RULES = (
    Rule(
        code="pdb-blocks-drain",
        severity=Severity.WARNING,
        title="a disruption budget that blocks every drain",
        why=(
            "Node upgrades evict pods through the budget. One that never allows an eviction stops"
            " them until somebody deletes it; it protects a single replica from nothing else."
        ),
        remedy="set maxUnavailable: 1, or add a replica, or remove the budget",
        references=("https://kubernetes.io/docs/tasks/run-application/configure-pdb/",),
        check=_blocks_drain,
    ),
)
