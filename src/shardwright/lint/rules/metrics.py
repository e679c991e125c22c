"""Metric names in alerts, scalers and dashboards against what the engine exposes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shardwright.facts.flags import removed_metrics
from shardwright.lint.command.dialects import Engine
from shardwright.lint.finding import Found, Rule
from shardwright.lint.objects import KubeObject, Path
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity
from shardwright.model.version import Version

_KINDS = (
    "PrometheusRule",
    "ScaledObject",
    "HorizontalPodAutoscaler",
    "ConfigMap",
    "ServiceMonitor",
)
_METRIC = re.compile(r"vllm:[a-z_]+")
_SUFFIXES = ("_total", "_bucket", "_sum", "_count", "_created")
_MAX_DEPTH = 20


def _metric_removed(scene: Scene) -> Iterator[Found]:
    objects = [obj for kind in _KINDS for obj in scene.by_kind.get(kind, ())]
    if not objects:
        return
    versions = [
        engine.version
        for _, engine in scene.engines
        if engine.engine is Engine.VLLM and engine.version
    ]
    newest = max(versions) if versions else None
    for obj in objects:
        for path, name in _names(obj):
            found = _judge(obj, path, name, newest)
            if found is not None:
                yield found


def _judge(obj: KubeObject, path: Path, name: str, version: Version | None) -> Found | None:
    gone = removed_metrics()
    base = next((name.removesuffix(s) for s in _SUFFIXES if name.endswith(s)), name)
    history = gone.get(name) or gone.get(base)
    if history is None or (version is not None and version < history.removed):
        return None
    return Found(
        object=obj,
        path=path,
        near=name,
        what=f"vLLM has not exposed {name} since {history.removed}",
        remedy=history.note or "choose one of the metrics the release exposes at /metrics",
    )


def _names(obj: KubeObject) -> Iterator[tuple[Path, str]]:
    """Yield every metric an object's strings name, with its path."""
    stack: list[tuple[Path, object]] = [((), obj.data)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, str):
            if "vllm:" in value:
                for name in dict.fromkeys(_METRIC.findall(value)):
                    yield path, name
        elif len(path) < _MAX_DEPTH and isinstance(value, dict):
            stack.extend(((*path, key), item) for key, item in value.items())
        elif len(path) < _MAX_DEPTH and isinstance(value, list):
            stack.extend(((*path, index), item) for index, item in enumerate(value))


RULES = (
    Rule(
        code="metric-removed",
        severity=Severity.WARNING,
        title="a metric the engine no longer exposes",
        why="The query returns nothing: the alert never fires and the scaler never scales.",
        remedy="use the metric that replaced it",
        references=("https://docs.vllm.ai/en/stable/usage/metrics/",),
        check=_metric_removed,
    ),
)
