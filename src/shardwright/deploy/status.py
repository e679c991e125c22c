"""How an endpoint is now: its pods, their stages and its record. Called by status and list."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shardwright.deploy.inventory import (
    COMPONENT,
    INSTANCE,
    MANAGED,
    Inventory,
    endpoint_of,
    from_object,
)
from shardwright.deploy.jobs import has_failed, is_awaited, is_complete
from shardwright.deploy.jobwatch import last_said, log_of
from shardwright.deploy.members import has_successor
from shardwright.deploy.progress import UNSTARTED, PodProgress, Stage, pod_progress
from shardwright.deploy.size import num_pods
from shardwright.model.cluster import Cluster, Object, pods_of_job, reference
from shardwright.model.errors import ShardwrightError


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job that what serves waits for, and how it is: in its own words where it has some."""

    name: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """One endpoint. revision 0: never became ready; pending: a deployment did not end.

    verified: what was found after the last start, as JSON; empty if nothing was. jobs: those that a
    pending deployment waits for; not looked for where all endpoints are listed. num_planned: pods
    that the manifests of its revision ask for; 0: they are lost.
    """

    name: str
    namespace: str
    revision: int
    pending: bool
    verified: str
    pods: tuple[PodProgress, ...]
    jobs: tuple[JobStatus, ...] = ()
    num_planned: int = 0

    @property
    def num_wanted(self) -> int:
        """Pods that should be ready: those planned, and those that a scaler added."""
        return max(self.num_planned, len(self.pods))

    @property
    def num_ready(self) -> int:
        """Pods that are ready."""
        return sum(each.stage is Stage.READY for each in self.pods)

    @property
    def is_ready(self) -> bool:
        """Tell whether every pod is there and ready, and no deployment is under way."""
        return bool(self.pods) and self.num_ready == self.num_wanted and not self.pending


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An endpoint whose record is damaged, or of a newer version; error: what is wrong with it."""

    name: str
    namespace: str
    error: ShardwrightError


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Every endpoint: those that can be told of, and those of which only the name is known."""

    endpoints: tuple[EndpointStatus, ...]
    unreadable: tuple[Unreadable, ...]


def endpoint_status(cluster: Cluster, inventory: Inventory) -> EndpointStatus:
    """Look at one endpoint: one list of its pods, and its jobs while it is deployed."""
    pods = [
        pod
        for instance in inventory.instances
        for pod in cluster.list(
            "v1",
            "Pod",
            namespace=inventory.namespace,
            labels={INSTANCE: instance, COMPONENT: "serving"},
        )
        if not has_successor(pod)
    ]
    status = _status(inventory, tuple(pod_progress(each) for each in pods))
    return replace(status, jobs=_jobs(cluster, inventory)) if inventory.pending else status


def _jobs(cluster: Cluster, inventory: Inventory) -> tuple[JobStatus, ...]:
    found = [
        job
        for instance in inventory.instances
        for job in cluster.list(
            "batch/v1", "Job", namespace=inventory.namespace, labels={INSTANCE: instance}
        )
    ]
    return tuple(
        JobStatus(name=job["metadata"]["name"], words=_words(cluster, job))
        for job in found
        if is_awaited(job) and not is_complete(job)
    )


def _words(cluster: Cluster, job: Object) -> str:
    if has_failed(job):
        return "failed"
    told = [(pod_progress(pod), pod) for pod in pods_of_job(cluster, job)]
    said = [last_said(log_of(cluster, pod)) for p, pod in told if p.stage not in UNSTARTED]
    waits = [f"{p.stage.value} {p.detail}".strip() for p, _ in told if p.stage in UNSTARTED]
    return next((each for each in (*said, *waits) if each), "runs")


def all_endpoints(cluster: Cluster, namespace: str | None = None) -> Listing:
    """Look at every endpoint, of one namespace or of all, in two requests, however many."""
    records = cluster.list(
        "v1", "ConfigMap", namespace=namespace, labels={**MANAGED, COMPONENT: "inventory"}
    )
    serving = cluster.list(
        "v1", "Pod", namespace=namespace, labels={**MANAGED, COMPONENT: "serving"}
    )
    pods: dict[tuple[str, str], list[PodProgress]] = {}
    for each in (pod for pod in serving if not has_successor(pod)):
        meta = each["metadata"]
        key = (meta["namespace"], meta["labels"][INSTANCE])
        pods.setdefault(key, []).append(pod_progress(each))
    found: list[EndpointStatus] = []
    unreadable: list[Unreadable] = []
    for obj in records:
        try:
            record = from_object(obj)
        except ShardwrightError as error:
            ref = reference(obj)
            name = endpoint_of(ref)
            unreadable.append(Unreadable(name=name, namespace=ref.namespace, error=error))
            continue
        own = [p for i in record.instances for p in pods.get((record.namespace, i), ())]
        found.append(_status(record, tuple(own)))
    return Listing(
        endpoints=tuple(sorted(found, key=lambda each: (each.namespace, each.name))),
        unreadable=tuple(sorted(unreadable, key=lambda each: (each.namespace, each.name))),
    )


def _status(inventory: Inventory, pods: tuple[PodProgress, ...]) -> EndpointStatus:
    return EndpointStatus(
        name=inventory.name,
        namespace=inventory.namespace,
        revision=inventory.revision,
        pending=inventory.pending,
        verified=inventory.verified,
        pods=tuple(sorted(pods, key=lambda each: each.name)),
        num_planned=num_pods(inventory.good),
    )
