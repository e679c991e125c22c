"""How much of /dev/shm each pod uses, as its kubelet counts it. Needs the right to nodes/proxy."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shardwright.model.cluster import Cluster, Object
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan
from shardwright.model.volumes import VolumeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Shared memory of one pod, bytes. used_bytes: the most that was seen; None: not told."""

    pod: str
    used_bytes: int | None
    limit_bytes: int


class SharedPeaks:
    """The most that each pod was seen to use, whenever it was looked at."""

    def __init__(self, cluster: Cluster, plan: LaunchPlan) -> None:
        self._cluster = cluster
        self._plan = plan
        self._peaks: dict[str, int] = {}

    def look(self, pods: tuple[Object, ...]) -> tuple[Shared, ...]:
        """Look at these pods now; return their peaks until now."""
        found = shared_memory(self._cluster, self._plan, pods)
        for each in found:
            if each.used_bytes is not None:
                self._peaks[each.pod] = max(each.used_bytes, self._peaks.get(each.pod, 0))
        return tuple(replace(each, used_bytes=self._peaks.get(each.pod)) for each in found)


def shared_memory(
    cluster: Cluster, plan: LaunchPlan, pods: tuple[Object, ...]
) -> tuple[Shared, ...]:
    """Ask the kubelet of every pod's node; empty where we may not."""
    member = plan.group.members[0]
    volumes = [m.volume for m in member.mounts if m.kind is VolumeKind.SHARED_MEMORY]
    nodes = sorted({pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")})
    try:
        stats = [each for node in nodes for each in cluster.node_stats(node).get("pods", [])]
    except ShardwrightError:
        return ()
    used = {
        each["podRef"]["uid"]: volume.get("usedBytes")
        for each in stats
        for volume in each.get("volume", [])
        if volume["name"] in volumes
    }
    return tuple(
        Shared(
            pod=pod["metadata"]["name"],
            used_bytes=used.get(pod["metadata"].get("uid")),
            limit_bytes=member.shm_bytes,
        )
        for pod in pods
    )
