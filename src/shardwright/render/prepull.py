"""The Job that pulls images to the nodes ahead, so that no start or update waits for it."""

from __future__ import annotations

import hashlib

from shardwright.model.launch import LaunchPlan
from shardwright.render.emit import Because, Object
from shardwright.render.labels import COMPONENT, INSTANCE, labels_of, metadata
from shardwright.render.names import bounded, object_name
from shardwright.render.pod import container_security, pod_security, scheduling

PRE_PULL = "pre-pull"


def pulled_images(plan: LaunchPlan) -> list[str]:
    """Every image that a pod of the endpoint runs, sorted."""
    return sorted({m.image for m in plan.group.members} | {t.image for t in plan.tasks})


def pull_key(images: list[str]) -> str:
    """Tell jobs apart that pull other images: the pods of a Job cannot be changed."""
    return hashlib.sha256("\n".join(images).encode()).hexdigest()[:10]


def pre_pull_job(plan: LaunchPlan) -> Object | None:
    """Run every image once on each of as many nodes as the endpoint needs; None if not asked.

    It asks for no GPU, so it runs beside pods that hold them.
    """
    num_nodes = plan.placement.pre_pull_nodes
    if not num_nodes:
        return None
    images = pulled_images(plan)
    name = object_name("Job", f"{bounded(plan.name, 36)}-{PRE_PULL}-{pull_key(images)}")
    spread = {
        "labelSelector": {"matchLabels": {INSTANCE: bounded(plan.name, 63), COMPONENT: PRE_PULL}},
        "topologyKey": "kubernetes.io/hostname",
    }
    tainted = {"key": plan.placement.gpu_resource, "operator": "Exists", "effect": "NoSchedule"}
    placed = scheduling(plan)
    placed.pop("schedulerName", None)
    spec: Object = {
        **placed,
        "tolerations": [
            *placed.get("tolerations", []),
            Because(tainted, "GPU nodes are often tainted so, and this job asks for no GPU"),
        ],
        "affinity": {
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [spread]}
        },
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(plan.group.members[0].run_as),
        "restartPolicy": "Never",
        "containers": [
            {
                "name": f"image-{number}",
                "image": image,
                "command": ["/bin/bash", "-c", ":"],
                "resources": {
                    "requests": {"cpu": "10m", "memory": "32Mi"},
                    "limits": {"memory": "32Mi"},
                },
                "securityContext": container_security(()),
            }
            for number, image in enumerate(images)
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(plan, name, PRE_PULL),
        "spec": {
            "backoffLimit": 6,
            "completions": num_nodes,
            "parallelism": Because(num_nodes, "one pod on each node, all at once"),
            "activeDeadlineSeconds": plan.budgets.image_pull_s,
            "template": {"metadata": {"labels": labels_of(plan, PRE_PULL)}, "spec": spec},
        },
    }
