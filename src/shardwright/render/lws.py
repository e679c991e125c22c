"""LeaderWorkerSet: groups that are created, and recreated, whole."""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan, Member, Start
from shardwright.render.emit import Because, Object
from shardwright.render.gang import queued_metadata
from shardwright.render.guard import guard_objects, guarded
from shardwright.render.meeting import steps_after, steps_before
from shardwright.render.names import object_name
from shardwright.render.pod import Wiring, pod_template
from shardwright.render.scaling import replicas_field
from shardwright.render.symbols import Symbols

API_VERSION = "leaderworkerset.x-k8s.io/v1"
GROUP_INDEX = "metadata.labels['leaderworkerset.sigs.k8s.io/group-index']"


def lws_objects(plan: LaunchPlan) -> list[Object]:
    """Write the LeaderWorkerSet. A lost or restarted member recreates its whole group.

    The controller sees pods and containers alone, so the watch of `guard` finds what is lost but
    not gone: its liveness probe restarts a container, and that recreates the group.

    The controller makes the headless Service, and sets LWS_LEADER_ADDRESS, LWS_GROUP_SIZE and (from
    0.6) LWS_WORKER_INDEX in every container.
    """
    name = object_name("LeaderWorkerSet", plan.name, "group")
    host = f"{name}-$(GROUP_INDEX)-{{index}}.{name}.{plan.namespace}"
    symbols = Symbols(
        leader_host="$(LWS_LEADER_ADDRESS)",
        member_host=host,
        member_index="$(LWS_WORKER_INDEX)",
        group_size="$(LWS_GROUP_SIZE)",
        fields=(("GROUP_INDEX", GROUP_INDEX),),
    )
    templates = [
        pod_template(plan, member, _wiring(plan, member, symbols))
        for member in plan.group.members[:2]
    ]
    leader_worker: Object = {
        "size": len(plan.group.members),
        "restartPolicy": Because(
            "RecreateGroupOnPodRestart", "ranks cannot rejoin: one lost member costs its group"
        ),
        "leaderTemplate": templates[0],
        "workerTemplate": templates[-1],
    }
    policy = "LeaderReady" if plan.group.start is Start.LEADER_FIRST else "LeaderCreated"
    return [
        *guard_objects(plan),
        {
            "apiVersion": API_VERSION,
            "kind": "LeaderWorkerSet",
            "metadata": queued_metadata(plan, name),
            "spec": {
                **replicas_field(plan),
                "startupPolicy": Because(
                    policy, "members meet while they start; a leader waits for its workers"
                ),
                "networkConfig": {"subdomainPolicy": "Shared"},
                "rolloutStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdateConfiguration": {
                        "maxSurge": Because(0, "no GPUs beyond those in use"),
                        "maxUnavailable": 1,
                    },
                },
                "leaderWorkerTemplate": leader_worker,
            },
        },
    ]


def _wiring(plan: LaunchPlan, member: Member, symbols: Symbols) -> Wiring:
    before, after = steps_before(plan, member, symbols), steps_after(plan, member, symbols)
    return guarded(plan, member, Wiring(symbols=symbols, before=before, after=after))
