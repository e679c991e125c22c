"""What every check is given, and how a finding is written."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from shardwright.deploy.inventory import INSTANCE
from shardwright.model.cluster import Cluster, Object, ObjectRef
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding, Severity
from shardwright.model.launch import LaunchPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A cluster, and what is to be deployed there.

    instances: labels of the endpoint's own pods, which it may replace, so what they hold is free.
    """

    cluster: Cluster
    plan: LaunchPlan
    objects: tuple[Object, ...]
    instances: frozenset[str]
    _lists: dict[tuple[str, str], Future[tuple[Object, ...]]] = field(
        default_factory=dict, repr=False
    )

    def look_ahead(self, api_version: str, kind: str) -> None:
        """Begin to list a kind of the whole cluster, while other things are checked.

        On a thread that nobody waits for: Ctrl-C ends the command before the server has answered.
        """
        asked: Future[tuple[Object, ...]] = Future()
        self._lists[api_version, kind] = asked

        def ask() -> None:
            try:
                asked.set_result(self.cluster.list(api_version, kind))
            except Exception as caught:  # noqa: BLE001  (raised where the list is asked for)
                asked.set_exception(caught)

        threading.Thread(target=ask, daemon=True).start()

    def everywhere(self, api_version: str, kind: str) -> tuple[Object, ...]:
        """List a kind of the whole cluster; asked once, whatever number of checks want it."""
        if (api_version, kind) not in self._lists:
            asked: Future[tuple[Object, ...]] = Future()
            asked.set_result(self.cluster.list(api_version, kind))
            self._lists[api_version, kind] = asked
        return self._lists[api_version, kind].result()

    def ref(self, api_version: str, kind: str, name: str = "") -> ObjectRef:
        """Name an object of the endpoint's namespace."""
        return ObjectRef(
            api_version=api_version, kind=kind, name=name, namespace=self.plan.namespace
        )

    def is_own(self, pod: Object) -> bool:
        """Tell whether a pod is one of the endpoint's own."""
        meta = pod["metadata"]
        return (
            meta.get("labels", {}).get(INSTANCE) in self.instances
            and meta.get("namespace", "") == self.plan.namespace
        )


def error(code: str, what: str, why: str, remedy: str) -> Finding:
    """Write a finding that keeps an endpoint from starting."""
    return Finding(code=code, severity=Severity.ERROR, what=what, why=why, remedy=remedy)


def warning(code: str, what: str, why: str, remedy: str) -> Finding:
    """Write a finding that may keep it from starting, or costs it something."""
    return Finding(code=code, severity=Severity.WARNING, what=what, why=why, remedy=remedy)


def not_checked(what: str, caught: ShardwrightError) -> Finding:
    """Say that something could not be looked at, and why."""
    return Finding(
        code="not-checked",
        severity=Severity.NOTE,
        what=f"{what} not checked",
        why=caught.what,
        remedy=caught.remedy or "",
    )
