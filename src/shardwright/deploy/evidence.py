"""What the doctor needs when a deployment does not become ready: pods, events, logs; and its word.

Called by the rollout at the moment of failure, before anything is rolled back, and by `doctor NAME`
and `bundle NAME` at any time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from shardwright.deploy.inventory import INSTANCE
from shardwright.diagnose.doctor import Report, examine
from shardwright.diagnose.evidence import Document
from shardwright.model.cluster import Cluster, Object, reference
from shardwright.model.errors import ShardwrightError

LOG_LINES = 5000
"""Last lines taken of each container: a first cause stands well above the traceback it ends in."""


WORKLOADS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
    ("ray.io/v1", "RayCluster"),
)
"""What creates pods: where it cannot (quota, admission), the reason is an event on it alone."""


def collect(
    cluster: Cluster, pods: Iterable[Object], namespace: str, about: Collection[str] = ()
) -> dict[str, str]:
    """Return file name to text: each pod, its containers' logs, and the events about the pods, the
    claims they mount, what owns them, and the other objects named in `about`.
    """
    found: dict[str, str] = {}
    names = set(about)
    for pod in pods:
        name = pod["metadata"]["name"]
        names |= {name, *_claims(pod), *_owners(pod)}
        spec = {key: value for key, value in pod.items() if key != "metadata"}
        text = json.dumps({**spec, "metadata": _short(pod["metadata"])}, indent=1, sort_keys=True)
        found[f"{name}/pod.json"] = text + "\n"
        for container in _containers(pod):
            for previous in (True, False):
                log = _log(cluster, pod, container, previous=previous)
                if log:
                    suffix = ".previous" if previous else ""
                    found[f"{name}/{container}{suffix}.log"] = log
    try:
        events = cluster.list("v1", "Event", namespace=namespace)
    except ShardwrightError as error:  # many roles may not read them
        found["events.txt"] = f"(not readable: {error})\n"
        return found
    told = _last_words(e for e in events if e["involvedObject"].get("name") in names)
    lines = [_event_line(each) for each in told]
    if lines:
        found["events.txt"] = "".join(lines)
    return found


def evidence_of(cluster: Cluster, name: str, namespace: str) -> dict[str, str]:
    """Collect what there is of a deployed endpoint: its pods, logs, events, claims and Services."""
    labels = {INSTANCE: name}
    pods = cluster.list("v1", "Pod", namespace=namespace, labels=labels)
    found: dict[str, str] = {}
    names = {name}
    for version, kind in WORKLOADS:
        names |= {
            each["metadata"]["name"] for each in _listed(cluster, version, kind, name, namespace)
        }
    for kind, file in (("PersistentVolumeClaim", "claims.json"), ("Service", "services.json")):
        objects = _listed(cluster, "v1", kind, name, namespace)
        names |= {each["metadata"]["name"] for each in objects}
        if objects:
            shown = [{**each, "metadata": _short(each["metadata"])} for each in objects]
            found[file] = json.dumps(shown, indent=1, sort_keys=True) + "\n"
    return {**collect(cluster, pods, namespace, names), **found}


def diagnose(evidence: dict[str, str]) -> Report:
    """Ask the doctor what happened."""
    return examine(
        Document(name=name, chunks=[text.encode()]) for name, text in sorted(evidence.items())
    )


def _short(metadata: Object) -> Object:
    return {key: value for key, value in metadata.items() if key != "managedFields"}


def _containers(pod: Object) -> list[str]:
    spec = pod.get("spec", {})
    return [c["name"] for c in (*spec.get("initContainers", []), *spec.get("containers", []))]


def _log(cluster: Cluster, pod: Object, container: str, *, previous: bool) -> str:
    try:
        return cluster.logs(reference(pod), container, previous=previous, tail_lines=LOG_LINES)
    except ShardwrightError as error:
        return f"(not readable: {error})\n"


def _last_words(events: Iterable[Object]) -> list[Object]:
    """Order events by time and keep only the scheduler's latest about each pod: what kept it from a
    node an hour ago, such as a claim not bound yet, may long be mended.
    """
    ordered = sorted(events, key=_when)
    latest = {
        each["involvedObject"].get("name"): index
        for index, each in enumerate(ordered)
        if each.get("reason") == "FailedScheduling"
    }
    kept = set(latest.values())
    return [
        each
        for index, each in enumerate(ordered)
        if each.get("reason") != "FailedScheduling" or index in kept
    ]


def _when(event: Object) -> str:
    """Return when it was last seen; RFC 3339 in UTC sorts as text."""
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


def _claims(pod: Object) -> set[str]:
    volumes = pod.get("spec", {}).get("volumes", [])
    return {
        v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v
    }


def _owners(pod: Object) -> set[str]:
    return {owner["name"] for owner in pod["metadata"].get("ownerReferences", [])}


def _listed(
    cluster: Cluster, version: str, kind: str, name: str, namespace: str
) -> tuple[Object, ...]:
    """List an endpoint's objects of a kind; none where the cluster lacks the kind or the right."""
    try:
        return cluster.list(version, kind, namespace=namespace, labels={INSTANCE: name})
    except ShardwrightError:
        return ()


def _event_line(event: Object) -> str:
    about = event["involvedObject"]
    return (
        f"{_when(event)} {event.get('type', '')} {event.get('reason', '')} "
        f"{about.get('kind', '').lower()}/{about.get('name', '')} {event.get('message', '')}\n"
    )
