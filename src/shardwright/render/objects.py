"""From a launch plan to Kubernetes objects: the entry point of this room."""

from __future__ import annotations

from collections.abc import Callable

from shardwright.model.launch import LaunchPlan
from shardwright.model.request import Mechanism
from shardwright.render.deployment import deployment_objects
from shardwright.render.emit import Object, plain
from shardwright.render.gang import pod_groups
from shardwright.render.jobs import job, job_service
from shardwright.render.keys import key_objects
from shardwright.render.kuberay import kuberay_objects
from shardwright.render.lws import lws_objects
from shardwright.render.monitoring import monitoring_objects
from shardwright.render.prepull import pre_pull_job
from shardwright.render.route import routes
from shardwright.render.scaling import scaler
from shardwright.render.services import network_policy, serving_service
from shardwright.render.statefulset import statefulset_objects
from shardwright.render.storage import claim_object, config_object, disruption_budget

MECHANISMS: dict[Mechanism, Callable[[LaunchPlan], list[Object]]] = {
    Mechanism.DEPLOYMENT: deployment_objects,
    Mechanism.STATEFULSET: statefulset_objects,
    Mechanism.RAY_STATEFULSET: statefulset_objects,
    Mechanism.LWS: lws_objects,
    Mechanism.KUBERAY: kuberay_objects,
    Mechanism.MPI: statefulset_objects,
}


def explained_objects(plan: LaunchPlan) -> tuple[Object, ...]:
    """Render every object of an endpoint, in the order to apply them, with reasons in place."""
    workloads = MECHANISMS[plan.mechanism](plan)
    objects = [
        *(config_object(plan, config) for config in plan.configs),
        *(claim_object(plan, claim) for claim in plan.claims if claim.is_ours),
        network_policy(plan),
        serving_service(plan),
        *routes(plan),
        *key_objects(plan),
        pre_pull_job(plan),
        *pod_groups(plan),
        *(job_service(plan, task) for task in plan.tasks),
        *(job(plan, task) for task in plan.tasks),
        *workloads,
        scaler(plan, workloads),
        disruption_budget(plan),
        *monitoring_objects(plan),
    ]
    return tuple(each for each in objects if each is not None)


def kubernetes_objects(plan: LaunchPlan) -> tuple[Object, ...]:
    """Render every object of an endpoint, in the order to apply them."""
    return tuple(plain(each) for each in explained_objects(plan))
