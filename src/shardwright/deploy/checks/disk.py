"""Whether nodes have room for the engine's image: who holds it already, what is free elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from shardwright.deploy.capacity import usable_gpus
from shardwright.deploy.checks.scene import Scene, not_checked, warning
from shardwright.launch.budgets import IMAGE_BYTES
from shardwright.model.cluster import Object
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding
from shardwright.model.units import GIB

MAX_LOOKED = 8
"""Nodes whose kubelet is asked, one request each: a large cluster is not read through."""


def disk(scene: Scene) -> Iterator[Finding]:
    """Name nodes that would take a member and have no room for its image."""
    try:
        nodes = {each["metadata"]["name"]: each for each in scene.everywhere("v1", "Node")}
        pods = [each for each in scene.everywhere("v1", "Pod") if not scene.is_own(each)]
        usable = usable_gpus(nodes.values(), pods, scene.plan.placement)
        lacking = [
            each.node for each in usable if each.free and not _has_images(scene, nodes[each.node])
        ]
        short = list(_short(scene, islice(lacking, MAX_LOOKED)))
    except ShardwrightError as caught:
        yield not_checked("room for the image", caught)
        return
    if short:
        of = f"{len(short)} of {min(len(lacking), MAX_LOOKED)} nodes that lack the image"
        yield warning(
            "image-without-room",
            f"{of} have less free than the {IMAGE_BYTES / GIB:.0f} GiB that an engine's takes",
            "; ".join(short) + ": the kubelet would evict pods, or the pull would fail",
            "remove images there (crictl rmi --prune), or use nodes with a larger disk",
        )


def _has_images(scene: Scene, node: Object) -> bool:
    """Tell whether a node reports every image of the group; it reports no more than 50."""
    held = {
        name
        for image in node.get("status", {}).get("images") or ()
        for name in image.get("names") or ()  # null for an image whose tag another one has now
    }
    return {each.image for each in scene.plan.group.members} <= held


def _short(scene: Scene, names: Iterator[str]) -> Iterator[str]:
    for name in names:
        runtime = scene.cluster.node_stats(name).get("node", {}).get("runtime", {})
        free = runtime.get("imageFs", {}).get("availableBytes")
        if free is not None and free < IMAGE_BYTES:
            yield f"{name} has {free / GIB:.0f} GiB"
