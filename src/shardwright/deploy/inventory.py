"""The record, in the cluster, of what an endpoint owns: one ConfigMap beside it.

Written before anything else is, so that an interrupted deployment leaves nothing unknown; it also
keeps the last manifests that became ready, to go back to. Lost, it is rebuilt from labels.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from shardwright.deploy.slots import Slot, instance
from shardwright.launch.transport import PlannedLinks
from shardwright.model.cluster import Object, ObjectRef, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import Rank
from shardwright.model.request import parse_fabric

MANAGED = {"app.kubernetes.io/managed-by": "shardwright"}
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"

_SUFFIX = "-inventory"

OWNED_KINDS = (
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
    ("ray.io/v1", "RayCluster"),
    ("networking.k8s.io/v1", "Ingress"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("scheduling.volcano.sh/v1beta1", "PodGroup"),
    ("scheduling.k8s.io/v1alpha2", "PodGroup"),
    ("scheduling.k8s.io/v1beta1", "PodGroup"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
)
"""Every kind that we render: where to look for our labels when the inventory is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankPlace:
    """A rank of a group, the member that holds it, and its place in the layout."""

    rank: int
    member: int
    pipeline: int
    tensor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What an endpoint owns.

    revision counts deployments that became ready; 0 before the first. good: the manifests of that
    revision, in the order to apply them. pending: a deployment began and did not end. slot: which
    set of names serves; next_slot: which one a pending deployment fills. outdated: uids of pods
    that a pending deployment replaces. engine, ranks: which rank is in which member; verified:
    what was found out after the last start, as JSON for people and scripts. links: what connects
    its GPUs by plan, for the doctor.
    """

    name: str
    namespace: str
    revision: int = 0
    owned: tuple[ObjectRef, ...] = ()
    good: tuple[Object, ...] = ()
    pending: bool = False
    slot: str = ""
    next_slot: str = ""
    outdated: tuple[str, ...] = ()
    engine: str = ""
    ranks: tuple[RankPlace, ...] = ()
    verified: str = ""
    links: PlannedLinks | None = None

    @property
    def filled_slot(self) -> Slot:
        """The slot that a deployment goes on with: a pending one's, else the one that serves."""
        return Slot(self.next_slot if self.pending else self.slot)

    @property
    def instances(self) -> tuple[str, ...]:
        """Values of the instance label that pods of this endpoint carry or may carry."""
        slots = (self.slot, self.next_slot) if self.pending else (self.slot,)
        return tuple(dict.fromkeys(instance(self.name, Slot(each)) for each in slots))


def inventory_ref(name: str, namespace: str) -> ObjectRef:
    """Name the ConfigMap of an endpoint's inventory."""
    return ObjectRef(
        api_version="v1", kind="ConfigMap", name=f"{name}{_SUFFIX}", namespace=namespace
    )


def endpoint_of(ref: ObjectRef) -> str:
    """Name the endpoint whose inventory this is.

    >>> endpoint_of(inventory_ref("llama", "ml"))
    'llama'
    """
    return ref.name.removesuffix(_SUFFIX)


def to_object(inventory: Inventory) -> Object:
    """Write an inventory as its ConfigMap. The manifests are packed: a ConfigMap holds 1 MiB."""
    ref = inventory_ref(inventory.name, inventory.namespace)
    owned = [
        {"apiVersion": each.api_version, "kind": each.kind, "name": each.name}
        for each in inventory.owned
    ]
    packed = gzip.compress(json.dumps(inventory.good, sort_keys=True).encode(), mtime=0)
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {**MANAGED, INSTANCE: inventory.name, COMPONENT: "inventory"},
        },
        "data": {
            "revision": str(inventory.revision),
            "pending": json.dumps(inventory.pending),
            "owned": json.dumps(owned, sort_keys=True),
            "slot": inventory.slot,
            "nextSlot": inventory.next_slot,
            "outdated": json.dumps(inventory.outdated),
            "engine": inventory.engine,
            "ranks": json.dumps(
                [[r.rank, r.member, r.pipeline, r.tensor] for r in inventory.ranks]
            ),
            "verified": inventory.verified,
            "links": json.dumps(_links_json(inventory.links), sort_keys=True),
            "good.json.gz": base64.b64encode(packed).decode(),
        },
    }


def from_object(obj: Object) -> Inventory:
    """Read an inventory back. Raises ShardwrightError for one that somebody has changed.

    >>> inventory = Inventory(name="llama", namespace="ml", revision=3, pending=True)
    >>> from_object(to_object(inventory)) == inventory
    True
    """
    try:
        return _read(obj)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OSError,
        EOFError,
        zlib.error,
    ) as error:
        ref = reference(obj)
        raise ShardwrightError(
            code="record-not-readable",
            what=f"{ref} in namespace {ref.namespace} is no whole record of an endpoint",
            cause=f"{type(error).__name__}: {error}",
            remedy="if a newer shardwright wrote it, use that one; else "
            f"kubectl -n {ref.namespace} delete configmap {ref.name}: what the endpoint "
            "owns is then found by its labels; the manifests to go back to are lost",
        ) from error


def _read(obj: Object) -> Inventory:
    meta, data = obj["metadata"], obj["data"]
    return Inventory(
        name=meta["labels"][INSTANCE],
        namespace=meta["namespace"],
        revision=int(data["revision"]),
        pending=bool(json.loads(data["pending"])),
        owned=tuple(
            ObjectRef(
                api_version=each["apiVersion"],
                kind=each["kind"],
                name=each["name"],
                namespace=meta["namespace"],
            )
            for each in json.loads(data["owned"])
        ),
        slot=Slot(data.get("slot", "")).value,
        next_slot=Slot(data.get("nextSlot", "")).value,
        outdated=tuple(json.loads(data.get("outdated", "[]"))),
        engine=data.get("engine", ""),
        ranks=tuple(
            RankPlace(rank=rank, member=member, pipeline=pipeline, tensor=tensor)
            for rank, member, pipeline, tensor in json.loads(data.get("ranks", "[]"))
        ),
        verified=_whole_json(data.get("verified", "")),
        links=_links(json.loads(data.get("links", "null"))),
        good=tuple(json.loads(gzip.decompress(base64.b64decode(data["good.json.gz"])))),
    )


def _whole_json(text: str) -> str:
    if text:
        json.loads(text)
    return text


def _links_json(links: PlannedLinks | None) -> dict[str, object] | None:
    if links is None:
        return None
    return {**asdict(links), "fabric": None if links.fabric is None else str(links.fabric)}


def _links(raw: dict[str, Any] | None) -> PlannedLinks | None:
    if raw is None:
        return None
    fabric = raw.pop("fabric")
    return PlannedLinks(**raw, fabric=parse_fabric(fabric) if fabric else None)


def rank_places(members: tuple[tuple[Rank, ...], ...]) -> tuple[RankPlace, ...]:
    """Place the ranks of each member of a group, member 0 first."""
    return tuple(
        RankPlace(rank=rank.index, member=member, pipeline=rank.pipeline, tensor=rank.tensor)
        for member, ranks in enumerate(members)
        for rank in ranks
    )


def references(objects: Iterable[Object]) -> tuple[ObjectRef, ...]:
    """Name objects, in their order."""
    return tuple(reference(each) for each in objects)


def union(first: tuple[ObjectRef, ...], second: tuple[ObjectRef, ...]) -> tuple[ObjectRef, ...]:
    """Join two lists of objects, each named once, the order of the first kept."""
    return tuple(dict.fromkeys(first + second))


def is_kept(ref: ObjectRef) -> bool:
    """Tell whether an object outlives its endpoint: weights are costly to fetch again."""
    return ref.kind == "PersistentVolumeClaim"
