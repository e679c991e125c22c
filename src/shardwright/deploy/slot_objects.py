"""The objects of an endpoint under either of its two sets of names. Pure."""

from __future__ import annotations

from dataclasses import replace

from shardwright.deploy.slots import Slot, instance, is_service
from shardwright.model.cluster import Object, reference
from shardwright.model.launch import LaunchPlan, Role
from shardwright.render.labels import selector
from shardwright.render.names import object_name
from shardwright.render.objects import kubernetes_objects

ROUTES = ("HTTPRoute", "Ingress")


def in_slot(plan: LaunchPlan, slot: Slot) -> LaunchPlan:
    """Give a plan the names of a slot; claims, tasks and configurations keep theirs."""
    return replace(plan, name=instance(plan.name, slot))


def slot_objects(plan: LaunchPlan, slot: Slot) -> tuple[Object, ...]:
    """Render an endpoint in a slot, in the order to apply, the clients' Service last.

    Routes lead to that Service whichever slot serves: two for one host would fight for it.
    """
    own = {reference(each): each for each in kubernetes_objects(plan)}
    rendered = kubernetes_objects(in_slot(plan, slot))
    public = object_name("Service", plan.name)
    objects = [own.get(reference(each), each) for each in rendered if each["kind"] not in ROUTES]
    routes = [each for each in own.values() if each["kind"] in ROUTES]
    services = [each for each in own.values() if is_service(each, public)]
    moved = [
        {**each, "spec": {**each["spec"], "selector": selector(in_slot(plan, slot), Role.LEADER)}}
        for each in services
    ]
    return (*(each for each in objects if not is_service(each, public)), *routes, *moved)
