"""KubeRay: a RayCluster per group, with the engine on its head."""

from __future__ import annotations

from dataclasses import replace

from shardwright.model.launch import LaunchPlan, Ray, Role
from shardwright.model.process import ExecCheck, Probe, Probes
from shardwright.model.text import text
from shardwright.render.emit import Because, Object
from shardwright.render.gang import queued_metadata
from shardwright.render.guard import guard_objects, guarded
from shardwright.render.meeting import RAY_PRESENT
from shardwright.render.names import object_name
from shardwright.render.pod import Wiring, own_probes, pod_template
from shardwright.render.script import Step
from shardwright.render.symbols import Symbols

API_VERSION = "ray.io/v1"
SYMBOLS = Symbols(
    leader_host="$(FQ_RAY_IP)",  # set by KubeRay in workers: the head's Service
    member_host="$(FQ_RAY_IP)",
    member_index="0",
    group_size="1",
)
WATCHED_HEAD = replace(SYMBOLS, leader_host="127.0.0.1")
WATCHED_WORKER = replace(SYMBOLS, member_index="$(HOSTNAME)")
"""Workers have no number. A container's host name is its pod's, and bash always knows it."""
RAY_START = 'bash -c "${KUBERAY_GEN_RAY_START_CMD}"'


def kuberay_objects(plan: LaunchPlan) -> list[Object]:
    """Write one RayCluster per group.

    KubeRay replaces a lost worker, but the engine on the head waits 300 s for an answer of the old
    one (RAY_CGRAPH_get_timeout, as vLLM sets it). The watch ends both sooner: see `guard`.
    """
    return [*guard_objects(plan), *(_cluster(plan, group) for group in range(plan.replicas))]


def _cluster(plan: LaunchPlan, group: int) -> Object:
    ray = plan.group.rendezvous
    if not isinstance(ray, Ray):
        raise AssertionError("a RayCluster without Ray")
    suffix = str(group) if plan.replicas > 1 else ""
    meta = queued_metadata(plan, object_name("RayCluster", plan.name, suffix))
    meta["annotations"] = {
        "ray.io/overwrite-container-cmd": Because(
            "true", "the head runs the engine beside Ray; ours starts KubeRay's own ray command"
        )
    }
    leader, *workers = plan.group.members
    patience = plan.budgets.rendezvous_s
    start = Step(command=RAY_START, stays=True, opens=ray.port, patience_s=patience)
    head = Wiring(symbols=SYMBOLS, before=(RAY_PRESENT, start), group=group)
    spec: Object = {
        "headGroupSpec": {
            "rayStartParams": {},
            "template": pod_template(plan, leader, guarded(plan, leader, head, WATCHED_HEAD)),
        }
    }
    if ray.version:
        spec["rayVersion"] = ray.version
    if workers:
        wiring = Wiring(
            symbols=SYMBOLS,
            before=(RAY_PRESENT, Step(command=RAY_START, stays=True)),
            group=group,
            probes=_worker_probes(ray, own_probes(workers[0])),
        )
        spec["workerGroupSpecs"] = [
            {
                "groupName": Role.WORKER.value,
                "replicas": len(workers),
                "minReplicas": len(workers),
                "maxReplicas": len(workers),
                "rayStartParams": {},
                "template": pod_template(
                    plan, workers[0], guarded(plan, workers[0], wiring, WATCHED_WORKER)
                ),
            }
        ]
    return {"apiVersion": API_VERSION, "kind": "RayCluster", "metadata": meta, "spec": spec}


def _worker_probes(ray: Ray, own: Probes) -> Probes:
    """Ask the head instead of KubeRay's default, which needs wget in the image."""
    script = text('(: </dev/tcp/"${FQ_RAY_IP}"/', str(ray.port), ")")
    argv = (text("/bin/bash"), text("-c"), script)
    reached = Probe(check=ExecCheck(argv=argv), period_s=10, timeout_s=5, failures=3)
    return replace(own, readiness=reached, liveness=reached)
