"""How a change reaches an endpoint that serves: said before it happens, never by surprise.

Pure. Called by `shardwright deploy` between the dry run and the first write.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shardwright.deploy.capacity import FabricRoom
from shardwright.deploy.changes import ObjectChange, Verb
from shardwright.deploy.inventory import Inventory
from shardwright.model.launch import LaunchPlan


class Way(Enum):
    """How a change is made."""

    FIRST = "first"
    """Nothing serves yet."""
    NOTHING = "nothing"
    """Nothing changes."""
    IN_PLACE = "in-place"
    """Objects change, pods go on."""
    BESIDE = "beside"
    """A second group starts beside the one that serves; traffic moves once it is verified."""
    STOP_THEN_START = "stop-then-start"
    """The group stops, then starts again: nobody is served in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a second group beside the first would need.

    num_slots: pods that fit besides those that run; None: not known. is_shared_storage:
    several nodes may mount its claims. taken: why the second set of names is not free; None: it is.
    fabric: what fits where, if a group must be within one fabric.
    """

    num_slots: int | None
    is_shared_storage: bool
    taken: str | None = None
    fabric: FabricRoom | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """The way chosen. reason: for people, one or two sentences."""

    way: Way
    reason: str


def choose(
    plan: LaunchPlan, changes: tuple[ObjectChange, ...], record: Inventory | None, room: Room,
    *, asked: Way | None = None,
) -> Strategy:  # fmt: skip
    """Choose the gentlest way that the cluster has room for. asked: BESIDE or STOP_THEN_START."""
    if record is None or not record.revision:
        return Strategy(way=Way.FIRST, reason="nothing of this name serves yet")
    if all(each.verb is Verb.KEEP for each in changes):
        return Strategy(way=Way.NOTHING, reason="nothing changes")
    if record.pending:
        # pods of an unfinished change serve nobody that counts on them
        way = Way.BESIDE if record.next_slot != record.slot else Way.IN_PLACE
        return Strategy(way=way, reason="an earlier deployment did not end; this goes on with it")
    if not any(each.stops_pods for each in changes):
        return Strategy(way=Way.IN_PLACE, reason="no pod restarts")
    why_not = _why_not_beside(plan, changes, room)
    if asked is Way.STOP_THEN_START:
        why_not = "asked for"
    if why_not is None:
        wanted = plan.replicas * len(plan.group.members)
        return Strategy(
            way=Way.BESIDE,
            reason=f"a second group fits beside the first ({room.num_slots} pods fit, {wanted} are "
            "needed): traffic moves once it is ready and verified; nothing stops",
        )
    minutes = -(-plan.budgets.startup_s // 60)
    return Strategy(
        way=Way.STOP_THEN_START,
        reason=f"the pods stop before new ones start: nobody is served until they are ready, up to "
        f"{minutes} minutes. No second group beside the first: {why_not}",
    )


def _why_not_beside(plan: LaunchPlan, changes: tuple[ObjectChange, ...], room: Room) -> str | None:
    wanted = plan.replicas * len(plan.group.members)
    if room.taken is not None:
        return room.taken
    if room.num_slots is None:
        return "the nodes may not be read, so nobody knows what is free"
    if room.num_slots < wanted:
        return f"{room.num_slots} more pods fit now, {wanted} are needed"
    fabric = room.fabric
    if fabric is not None and fabric.num_groups < plan.replicas:
        return (
            f"{fabric.num_groups} more groups fit now within one fabric ({fabric.key}) each, "
            f"{plan.replicas} are needed ({fabric})"
        )
    if not room.is_shared_storage:
        return "its claim can be mounted by one node at a time"
    mounted = {config.name for config in plan.configs}
    for each in changes:
        if each.ref.kind == "ConfigMap" and each.ref.name in mounted and each.verb is Verb.CHANGE:
            return f"{each.ref}, which the running group reads too, changes"
    return None
