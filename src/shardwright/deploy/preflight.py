"""What can be known before anything is applied: each finding is a deployment that would not start.

Called by `shardwright deploy` first. Reads the cluster and asks for dry runs, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shardwright.deploy.capacity import fabric_room, num_slots, usable_gpus
from shardwright.deploy.checks.access import namespace, rights, versions
from shardwright.deploy.checks.admission import admission, queue, quota
from shardwright.deploy.checks.disk import disk
from shardwright.deploy.checks.gpus import gpus, gpus_per_pod
from shardwright.deploy.checks.manifests import manifests
from shardwright.deploy.checks.scene import Scene
from shardwright.deploy.checks.secrets import secrets
from shardwright.deploy.checks.storage import SEVERAL, claims
from shardwright.deploy.inventory import inventory_ref
from shardwright.deploy.slots import Slot, instance
from shardwright.deploy.strategy import Room
from shardwright.model.cluster import Cluster, Object
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding, Severity
from shardwright.model.launch import LaunchPlan

FIRST: tuple[Callable[[Scene], Iterator[Finding]], ...] = (namespace, versions)
"""Where one of these finds something, the rest would only say the same again."""
REST: tuple[Callable[[Scene], Iterator[Finding]], ...] = (
    secrets, claims, gpus, disk, quota, queue, manifests, admission,
)  # fmt: skip

LONGEST = (("v1", "Node"), ("v1", "Pod"))
"""What takes longest to read of a large cluster: begun first, while the rest is asked."""


def preflight(
    cluster: Cluster, plan: LaunchPlan, objects: tuple[Object, ...]
) -> tuple[Finding, ...]:
    """Look for everything that would keep an endpoint from starting, gravest first."""
    scene = _scene(cluster, plan, objects)
    for api_version, kind in LONGEST:
        scene.look_ahead(api_version, kind)
    return _checked(scene)


def _checked(scene: Scene) -> tuple[Finding, ...]:
    for check in FIRST:
        if found := tuple(check(scene)):
            return found
    allowed = tuple(rights(scene))
    if any(each.severity is Severity.ERROR for each in allowed):
        return allowed  # what may not be read cannot be checked either
    found = (*allowed, *(finding for check in REST for finding in check(scene)))
    once = dict.fromkeys(found)
    order = list(Severity)
    return tuple(sorted(once, key=lambda each: order.index(each.severity)))


def gpu_shortage(cluster: Cluster, plan: LaunchPlan) -> tuple[Finding, ...]:
    """Say whether the members of a plan find their GPUs now; nothing if they do."""
    found = gpus(_scene(cluster, plan, ()))
    return tuple(each for each in found if each.severity is not Severity.WARNING)


def room_beside(cluster: Cluster, plan: LaunchPlan) -> Room:
    """See whether a second group has room beside the one that serves."""
    green = instance(plan.name, Slot.GREEN)
    other = cluster.get(inventory_ref(green, plan.namespace))
    taken = f"an endpoint called {green} exists" if other is not None else None
    scene = _scene(cluster, plan, ())
    claimed = [scene.ref("v1", "PersistentVolumeClaim", claim.name) for claim in plan.claims]
    try:
        live = [cluster.get(ref) for ref in claimed]
    except ShardwrightError as error:
        return Room(num_slots=None, is_shared_storage=False, taken=taken or error.what)
    modes = [set(each["spec"].get("accessModes", [])) for each in live if each is not None]
    is_shared = all(each & set(SEVERAL) for each in modes)
    try:
        nodes, pods = cluster.list("v1", "Node"), cluster.list("v1", "Pod")
    except ShardwrightError:
        return Room(num_slots=None, is_shared_storage=is_shared, taken=taken)
    per_pod = gpus_per_pod(plan)
    usable = usable_gpus(nodes, pods, plan.placement)
    return Room(
        num_slots=num_slots(usable, per_pod) if per_pod else 0,
        is_shared_storage=is_shared,
        taken=taken,
        fabric=fabric_room(usable, nodes, plan.group, per_pod) if per_pod else None,
    )


def _scene(cluster: Cluster, plan: LaunchPlan, objects: tuple[Object, ...]) -> Scene:
    instances = frozenset(instance(plan.name, slot) for slot in Slot)
    return Scene(cluster=cluster, plan=plan, objects=objects, instances=instances)
