"""Deployment: groups of one pod each."""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan
from shardwright.render.emit import Because, Object
from shardwright.render.gang import queued_metadata
from shardwright.render.labels import selector
from shardwright.render.meeting import steps_after, steps_before
from shardwright.render.names import object_name
from shardwright.render.pod import Wiring, pod_template
from shardwright.render.scaling import replicas_field
from shardwright.render.symbols import ALONE


def deployment_objects(plan: LaunchPlan) -> list[Object]:
    """Write the Deployment. A lost pod is replaced; with one pod there is no group to break.

    An update never holds more GPUs than the endpoint has: the old pod goes before the new one.
    """
    leader = plan.group.members[0]
    wiring = Wiring(
        symbols=ALONE,
        before=steps_before(plan, leader, ALONE),
        after=steps_after(plan, leader, ALONE),
    )
    if plan.max_replicas == 1:
        strategy: Object = {"type": Because("Recreate", "the old pod holds the GPUs")}
    else:
        surge = {"maxSurge": Because(0, "no GPUs beyond those in use"), "maxUnavailable": 1}
        strategy = {"type": "RollingUpdate", "rollingUpdate": surge}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": queued_metadata(plan, object_name("Deployment", plan.name)),
            "spec": {
                **replicas_field(plan),
                "selector": {"matchLabels": selector(plan)},
                "strategy": strategy,
                "progressDeadlineSeconds": Because(
                    plan.budgets.image_pull_s + plan.budgets.startup_s + 60,
                    "600 by default, shorter than image pull and start together",
                ),
                "template": pod_template(plan, leader, wiring),
            },
        }
    ]
