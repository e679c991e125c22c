"""Jobs: what runs to completion before or beside serving."""

from __future__ import annotations

import shlex

from shardwright.model.cluster import JOB_NAME
from shardwright.model.launch import LaunchPlan, RunAs, Task, TaskKind
from shardwright.model.text import Text
from shardwright.model.units import format_cpu, format_quantity
from shardwright.render.emit import Because, Object
from shardwright.render.gang import queued_metadata
from shardwright.render.labels import labels_of, metadata
from shardwright.render.names import object_name
from shardwright.render.pod import container_security, pod_security, scheduling
from shardwright.render.symbols import ALONE, Symbols
from shardwright.render.volumes import volume, volume_mount


def job(plan: LaunchPlan, task: Task) -> Object:
    """Write the Job of a task. A Job cannot be changed, so its name carries the task's key."""
    name = object_name("Job", f"{task.name}-{task.key[:10].lower()}")
    several = task.pods > 1
    symbols = _in_job(name, plan.namespace, task.pods) if several else ALONE
    meta = queued_metadata if task.gpus else metadata
    spec: Object = {
        "backoffLimit": task.retries,
        "template": {
            "metadata": {"labels": labels_of(plan, task.kind.value)},
            "spec": _pod(plan, task, symbols, name if several else None),
        },
    }
    if task.deadline_s:
        spec["activeDeadlineSeconds"] = task.deadline_s
    if several:
        spec |= {"completionMode": "Indexed", "completions": task.pods, "parallelism": task.pods}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta(plan, name, task.kind.value),
        "spec": spec,
    }


def job_user(plan: LaunchPlan, task: Task) -> RunAs | None:
    """Name the user a task runs as: that of the members, in their image; None for any other image.

    What it writes to the claim is then theirs to read and to go on with.
    """
    member = plan.group.members[0]
    return member.run_as if task.image == member.image and not task.capabilities else None


def job_service(plan: LaunchPlan, task: Task) -> Object | None:
    """Give the pods of a task that runs on several host names; None for a task of one pod."""
    if task.pods == 1:
        return None
    name = object_name("Job", f"{task.name}-{task.key[:10].lower()}")
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(plan, name, task.kind.value),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {JOB_NAME: name},
        },
    }


def _in_job(name: str, namespace: str, pods: int) -> Symbols:
    host = f"{name}-{{index}}.{name}.{namespace}.svc"
    return Symbols(
        leader_host=host.format(index=0),
        member_host=host,
        member_index="$(JOB_COMPLETION_INDEX)",
        group_size=str(pods),
    )


def _pod(plan: LaunchPlan, task: Task, symbols: Symbols, subdomain: str | None) -> Object:
    out: Object = {
        **scheduling(plan),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(job_user(plan, task)),
        "restartPolicy": "Never" if subdomain else "OnFailure",
        "containers": [_container(plan, task, symbols)],
        "volumes": [volume(mount) for mount in task.mounts],
    }
    if subdomain:
        out["subdomain"] = subdomain
    if task.kind is TaskKind.HARDWARE_CHECK:
        out |= _where_members_go(plan, subdomain)
    if not task.gpus:
        out.pop("nodeSelector", None)  # no GPU, so any node will do
        out.pop("priorityClassName", None)
        out.pop("schedulerName", None)
    return out


def _where_members_go(plan: LaunchPlan, job_name: str | None) -> Object:
    """Put the pods of a check where the members would go: several nodes, the same network."""
    out: Object = {}
    if plan.placement.host_network:
        out |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    if job_name:
        out["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {JOB_NAME: job_name}},
            }
        ]
    return out


def _container(plan: LaunchPlan, task: Task, symbols: Symbols) -> Object:
    counted = {plan.placement.gpu_resource: task.gpus, **dict(task.extra_resources)}
    devices = {name: str(count) for name, count in counted.items() if count}
    memory = format_quantity(task.memory_bytes)
    start = _command(task, symbols)
    return {
        "name": task.kind.value,
        "image": task.image,
        **start,
        "env": symbols.env(task.env, start),
        "resources": {
            "requests": {"cpu": format_cpu(task.cpu_millis), "memory": memory, **devices},
            "limits": {"memory": memory, **devices},
        },
        "securityContext": container_security(task.capabilities),
        "volumeMounts": [volume_mount(mount) for mount in task.mounts],
    }


def _command(task: Task, symbols: Symbols) -> Object:
    """Run the task once per key: the marker, written last, holds the key."""
    if task.done_marker is None:
        return {"command": [symbols.word(words) for words in task.argv]}
    marker, key = shlex.quote(task.done_marker), shlex.quote(task.key)
    lines = [
        "set -euo pipefail",
        f'if grep -qxF {key} {marker} 2>/dev/null; then echo "already done"; exit 0; fi',
        f"rm -f {marker}",
        _words(task.argv, symbols),
        f"echo {key} >{marker}",
        "",
    ]
    script = "\n".join(lines).replace("$(", "$$(")
    return {
        "command": ["/bin/bash", "-c"],
        "args": [Because(script, "done once per model and revision; resumes after a failure")],
    }


def _words(argv: tuple[Text, ...], symbols: Symbols) -> str:
    return " ".join(symbols.shell(words) for words in argv)
