"""What the doctor needs when a deployment does not become ready: pods, events, logs; and its word.

Called by the rollout at the moment of failure, before anything is rolled back, and by `doctor NAME`
and `bundle NAME` at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from shardwright.deploy.inventory import INSTANCE, Inventory
from shardwright.deploy.reading import Reading
from shardwright.deploy.record import PLAN_FILE, recorded
from shardwright.deploy.surroundings import metrics, nodes, services, telemetry
from shardwright.diagnose.doctor import Report, examine
from shardwright.diagnose.evidence import Document
from shardwright.diagnose.planned import Planned
from shardwright.model.cluster import Cluster, Object

UNREAD_FILE = "unread.txt"

WORKLOADS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
    ("ray.io/v1", "RayCluster"),
)
"""What creates pods: where it cannot (quota, admission), the reason is an event on it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Evidence by file name. unread: what the cluster refused to show, and why."""

    files: dict[str, str]
    unread: tuple[str, ...] = ()
    planned: Planned | None = None

    def as_files(self) -> dict[str, str]:
        """Return all of it as files, to be kept."""
        return self.files | (
            {UNREAD_FILE: "".join(f"{each}\n" for each in self.unread)} if self.unread else {}
        )


def collect(cluster: Cluster, pods: Iterable[Object], namespace: str) -> Gathered:
    """Collect each pod, its containers' logs, its node, and the events about the pods, the claims
    they mount and what owns them.
    """
    reading = Reading(cluster)
    files = _of_pods(reading, tuple(pods), namespace, set())
    return Gathered(files=files, unread=reading.unread)


def evidence_of(cluster: Cluster, inventory: Inventory, *, deploying: bool = False) -> Gathered:
    """Collect what there is of a deployed endpoint: its record, pods, logs, events, nodes, claims,
    what its Services reach, and the engine's metrics. deploying: as in `recorded`.
    """
    reading, namespace = Reading(cluster), inventory.namespace
    labels = [{INSTANCE: each} for each in inventory.instances]

    def listed(version: str, kind: str) -> tuple[Object, ...]:
        return tuple(
            each
            for label in labels
            for each in reading.list(version, kind, namespace=namespace, labels=label)
        )

    names = {inventory.name, *(ref.name for ref in inventory.owned)}
    for version, kind in WORKLOADS:
        names |= {each["metadata"]["name"] for each in listed(version, kind)}
    files: dict[str, str] = {}
    for kind, file in (("PersistentVolumeClaim", "claims.json"), ("Service", "services.json")):
        objects = listed("v1", kind)
        names |= {each["metadata"]["name"] for each in objects}
        if objects:
            shown = [{**each, "metadata": _short(each["metadata"])} for each in objects]
            files[file] = json.dumps(shown, indent=1, sort_keys=True) + "\n"
        if objects and kind == "Service":
            reached = services(reading, namespace, [each["metadata"]["name"] for each in objects])
            files |= {"endpointslices.txt": reached} if reached else {}
    pods = listed("v1", "Pod")
    files |= {**_of_pods(reading, pods, namespace, names), **metrics(reading, pods)}
    files |= telemetry(reading, pods)
    record = recorded(reading, inventory, deploying=deploying)
    files[PLAN_FILE] = record.text
    return Gathered(files=files, unread=reading.unread, planned=record.planned)


def diagnose(evidence: Gathered) -> Report:
    """Ask the doctor what happened."""
    documents = [
        Document(name=name, chunks=[text.encode()]) for name, text in sorted(evidence.files.items())
    ]
    return examine(documents, planned=evidence.planned, unread=evidence.unread)


def _of_pods(
    reading: Reading, pods: tuple[Object, ...], namespace: str, names: set[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for pod in pods:
        name = pod["metadata"]["name"]
        names |= {name, *_claims(pod), *_owners(pod)}
        spec = {key: value for key, value in pod.items() if key != "metadata"}
        text = json.dumps({**spec, "metadata": _short(pod["metadata"])}, indent=1, sort_keys=True)
        found[f"{name}/pod.json"] = text + "\n"
        for container in _containers(pod):
            for previous in (True, False):
                log = reading.logs(pod, container, previous=previous)
                if log:
                    suffix = ".previous" if previous else ""
                    found[f"{name}/{container}{suffix}.log"] = log
    events = reading.list("v1", "Event", namespace=namespace)
    told = [each for each in events if each["involvedObject"].get("name") in names]
    if told:
        found["events.txt"] = "".join(_event_line(each) for each in sorted(told, key=last_seen))
    described = nodes(reading, pods)
    return found | ({"nodes.txt": described} if described else {})


def _short(metadata: Object) -> Object:
    return {key: value for key, value in metadata.items() if key != "managedFields"}


def _containers(pod: Object) -> list[str]:
    spec = pod.get("spec", {})
    return [c["name"] for c in (*spec.get("initContainers", []), *spec.get("containers", []))]


def last_seen(event: Object) -> str:
    """Return when an event was last seen; RFC 3339 in UTC sorts as text."""
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


def _event_line(event: Object) -> str:
    about = event["involvedObject"]
    return (
        f"{last_seen(event)} {event.get('type', '')} {event.get('reason', '')} "
        f"{about.get('kind', '').lower()}/{about.get('name', '')} {event.get('message', '')}\n"
    )
