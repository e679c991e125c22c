"""Where the engine listens, against who has to reach it."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.finding import Found, Rule
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity

_ALONE = frozenset({"Job", "CronJob", "Pod"})
"""Workloads that may well talk to themselves only."""
_LOOPBACK = ("127.", "localhost", "::1")


def _loopback(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        engine, member = group.engine, group.lead
        if engine.is_conditional or engine.has("--config") or member.workload.is_managed:
            continue
        flag = engine.find(("--host",))
        host = (flag.value or "") if flag else engine.dialect.default_host
        if not host.startswith(_LOOPBACK) or member.workload.kind in _ALONE:
            continue
        given = f"{flag.typed} {host}" if flag else f"{host}, its default"
        yield Found(
            object=member.object,
            path=engine.site.path,
            near=flag.typed if flag else "",
            severity=Severity.WARNING if member.pod.has_sidecars else Severity.ERROR,
            what=f"{engine.dialect.title} listens on {given}: nobody outside the pod reaches it",
        )


RULES = (
    Rule(
        code="listens-on-loopback",
        severity=Severity.ERROR,
        title="an engine that listens on loopback",
        why=(
            "Probes and Services reach a container at the pod's address. SGLang listens on"
            " 127.0.0.1 and trtllm-serve on localhost unless told otherwise, so the pod never"
            " becomes ready and no request arrives."
        ),
        remedy="add --host 0.0.0.0",
        references=("https://docs.sglang.ai/advanced_features/server_arguments.html",),
        check=_loopback,
    ),
)
