"""Whether the members find their GPUs: free ones, per node, per fabric, of the planned model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shardwright.deploy.capacity import FabricRoom, NodeGpus, fabric_room, num_slots, usable_gpus
from shardwright.deploy.checks.scene import Scene, error, not_checked, warning
from shardwright.model.cluster import Object
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding
from shardwright.model.launch import LaunchPlan
from shardwright.model.units import parse_quantity

PRODUCT = "nvidia.com/gpu.product"
"""Label of GPU feature discovery, such as NVIDIA-H100-80GB-HBM3."""
_PARTS = ("-MIG-", "-SHARED")
"""In that label: what is counted as nvidia.com/gpu is a slice of a GPU, or shared with others.
Source: NVIDIA GPU Operator, "Time-Slicing GPUs in Kubernetes" (MIG strategy single)."""


def gpus(scene: Scene) -> Iterator[Finding]:
    """Say whether the members of a plan find their GPUs now; nothing if they do."""
    plan = scene.plan
    per_pod = gpus_per_pod(plan)
    if not per_pod:
        return
    try:
        nodes = scene.everywhere("v1", "Node")
        pods = scene.everywhere("v1", "Pod")
    except ShardwrightError as caught:
        yield not_checked("free GPUs", caught)
        return
    others = [each for each in pods if not scene.is_own(each)]
    usable = usable_gpus(nodes, others, plan.placement)
    yield from _enough(plan, usable, per_pod)
    by_name = {node["metadata"]["name"]: node for node in nodes}
    chosen = [by_name[each.node] for each in usable]
    yield from _products(plan, chosen)
    yield from _one_fabric(plan, fabric_room(usable, nodes, plan.group, per_pod), per_pod)
    yield from _rest_of_node(plan, chosen)


def gpus_per_pod(plan: LaunchPlan) -> int:
    """GPUs that the largest member asks for; 0 for engines on processors."""
    return max((each.gpus for each in plan.group.members), default=0)


def _enough(plan: LaunchPlan, usable: tuple[NodeGpus, ...], per_pod: int) -> Iterator[Finding]:
    wanted = plan.replicas * len(plan.group.members)
    fitting = num_slots(usable, per_pod)
    if fitting >= wanted:
        yield from _enough_scaled_out(plan, fitting, per_pod)
        return
    selector = ", ".join(f"{key}={value}" for key, value in plan.placement.node_selector)
    none = f"no usable node has {plan.placement.gpu_resource}"
    why = "; ".join(f"{each.node} {each.free} of {each.total} free" for each in usable)
    yield error(
        "too-few-gpus",
        f"{wanted} pods with {per_pod} {plan.placement.gpu_resource} each; {fitting} fit now",
        why or none + (f" and the labels {selector}" if selector else ""),
        "free GPUs, add nodes, or choose a smaller spec.parallelism",
    )


def _enough_scaled_out(plan: LaunchPlan, fitting: int, per_pod: int) -> Iterator[Finding]:
    """Compare what fits with the most groups a scaler may ask for; nodes may yet be added."""
    most = plan.max_replicas * len(plan.group.members)
    if fitting >= most:
        return
    resource = plan.placement.gpu_resource
    groups = fitting // len(plan.group.members)
    smaller = f"set spec.autoscaling.maxReplicas to {groups}"
    if groups <= plan.replicas:
        smaller = "leave spec.autoscaling out"
    yield warning(
        "too-few-gpus-scaled-out",
        f"{plan.max_replicas} replicas are {most} pods with {per_pod} {resource} each;"
        f" {fitting} fit now",
        f"beyond {groups} replicas the scaler's pods stay pending while the load is at its highest",
        f"{smaller}, add nodes, or let a cluster autoscaler add them",
    )


def _products(plan: LaunchPlan, nodes: Iterable[Object]) -> Iterator[Finding]:
    family = plan.placement.gpu_product.split("-")[0]
    other = {
        node["metadata"]["name"]: product
        for node in nodes
        if (product := node["metadata"].get("labels", {}).get(PRODUCT))
        and (family.lower() not in product.lower() or any(mark in product for mark in _PARTS))
    }
    if other:
        named = ", ".join(f"{node} has {product}" for node, product in sorted(other.items()))
        yield warning(
            "other-gpu",
            f"the plan is for {plan.placement.gpu_product}; pods may land on other GPUs",
            named,
            f"set spec.cluster.nodeSelector to {PRODUCT} of the nodes meant, or plan for theirs",
        )


def _one_fabric(plan: LaunchPlan, room: FabricRoom | None, per_pod: int) -> Iterator[Finding]:
    if room is None or room.num_groups >= plan.replicas:
        return
    yield error(
        "no-fabric-fits",
        f"no fabric group ({room.key}) has room for {room.members} members "
        f"with {per_pod} GPUs each",
        str(room),
        "free GPUs of one group, or leave spec.cluster.topologyKey out and accept slower links",
    )


def _rest_of_node(plan: LaunchPlan, nodes: list[Object]) -> Iterator[Finding]:
    """Compare processors and memory of a member with what a whole node has."""
    member = max(plan.group.members, key=lambda each: each.memory_bytes)
    short = []
    for node in nodes:
        allocatable = node.get("status", {}).get("allocatable", {})
        memory = parse_quantity(str(allocatable.get("memory", "")))
        cpu = cpu_millis(str(allocatable.get("cpu", "")))
        if memory is not None and memory < member.memory_bytes:
            gib = member.memory_bytes / 2**30
            short.append(f"{node['metadata']['name']} has {memory / 2**30:.0f} of {gib:.0f} GiB")
        elif cpu is not None and cpu < member.cpu_millis:
            asked = member.cpu_millis / 1000
            short.append(f"{node['metadata']['name']} has {cpu / 1000:.0f} of {asked:.0f} CPUs")
    if nodes and len(short) == len(nodes):
        yield error(
            "node-too-small",
            "no node with GPUs has the processors and memory that a member asks for",
            "; ".join(short),
            "use larger nodes, or spread the model over more of them",
        )


def cpu_millis(text: str) -> int | None:
    """Read a quantity of processors as thousandths.

    >>> cpu_millis("2"), cpu_millis("1930m"), cpu_millis("")
    (2000, 1930, None)
    """
    try:
        return int(text[:-1]) if text.endswith("m") else round(float(text) * 1000)
    except ValueError:
        return None
