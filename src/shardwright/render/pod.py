"""The pod of a member: its container, and everything the pod needs around it."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.launch import LaunchPlan, Member, RunAs, Task
from shardwright.model.process import Port, Probes
from shardwright.model.units import format_cpu, format_quantity
from shardwright.model.volumes import Mount
from shardwright.render.emit import Because, Object
from shardwright.render.gang import gang_annotations, gang_fields
from shardwright.render.labels import GROUP, ROLE, labels_of, selector
from shardwright.render.names import bounded
from shardwright.render.probes import probe_fields
from shardwright.render.script import Step
from shardwright.render.start import environment, start_fields
from shardwright.render.symbols import Symbols
from shardwright.render.volumes import volume_mount, volumes

LEAVE_S = 5
"""Seconds between a pod's deletion and SIGTERM, for proxies to learn that it is going; assumed. An
exec, since the sleep action of preStop came on by default in Kubernetes 1.30 only.
"""
NODE_LOST_S = 30
"""Seconds a pod of a group stays bound to a node that is lost; Kubernetes' default is 300."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a mechanism adds to the pod of a member.

    before, after: steps around the member's own processes. group: the index of the group, where
    each group has pods of its own template. probes: in place of the processes' own. pre_stop: a
    line of shell that ends once the member may.
    """

    symbols: Symbols
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    group: int | None = None
    probes: Probes | None = None
    mounts: tuple[Mount, ...] = ()
    subdomain: str | None = None
    pre_stop: str | None = None


def pod_template(plan: LaunchPlan, member: Member, wiring: Wiring) -> Object:
    """Write the pod template of a member."""
    labels = {**labels_of(plan, "serving"), ROLE: member.role.value}
    if wiring.group is not None:
        labels[GROUP] = str(wiring.group)
    mounts = (*member.mounts, *wiring.mounts)
    spec: Object = {
        **_isolation(plan, member.run_as),
        **_placement(plan, wiring),
        **gang_fields(plan, wiring.group),
        "containers": [_container(plan, member, wiring, mounts)],
        "terminationGracePeriodSeconds": Because(
            plan.budgets.drain_s,
            f"requests in flight have {plan.budgets.requests_s} s, then processes end",
        ),
        "volumes": volumes(mounts),
    }
    waiting = [_await_task(plan, member, task) for task in plan.tasks if _must_wait(task)]
    if waiting:
        spec["initContainers"] = waiting
    if wiring.subdomain:
        spec["subdomain"] = wiring.subdomain
    meta: Object = {"labels": labels}
    if annotations := gang_annotations(plan, wiring.group):
        meta["annotations"] = annotations
    return {"metadata": meta, "spec": spec}


def _container(
    plan: LaunchPlan, member: Member, wiring: Wiring, mounts: tuple[Mount, ...]
) -> Object:
    ports = tuple(port for process in member.processes for port in process.ports)
    start = start_fields(wiring.before, member, wiring.symbols, wiring.after)
    out: Object = {
        "name": plan.engine,
        "image": member.image,
        **start,
        "env": wiring.symbols.env(environment(plan, member), start),
        "resources": _resources(plan, member),
        "securityContext": container_security(member.capabilities),
        "volumeMounts": [volume_mount(mount) for mount in mounts],
        **probe_fields(wiring.probes or own_probes(member), wiring.symbols),
    }
    if ports:
        out["ports"] = [container_port(port) for port in ports]
    if wiring.pre_stop is not None:
        why = "its group ends together, once it answered what is in flight"
        out["lifecycle"] = _pre_stop(Because(["/bin/bash", "-c", wiring.pre_stop], why))
    elif len(plan.group.members) == 1:
        why = "Services stop sending before it is told to end"
        out["lifecycle"] = _pre_stop(Because(["sleep", str(LEAVE_S)], why))
    return out


def _pre_stop(command: Because) -> Object:
    return {"preStop": {"exec": {"command": command}}}


def container_port(port: Port) -> Object:
    """Name a port of a container."""
    return {"name": port.name, "containerPort": port.number, "protocol": "TCP"}


def own_probes(member: Member) -> Probes:
    """Probes of the process the container is there for: the one with a readiness probe."""
    ready = (p.probes for p in member.processes if p.probes.readiness is not None)
    return next(ready, Probes())


def _resources(plan: LaunchPlan, member: Member) -> Object:
    counted = {plan.placement.gpu_resource: member.gpus, **dict(member.extra_resources)}
    devices = {name: str(count) for name, count in counted.items() if count}
    memory = format_quantity(member.memory_bytes)
    return {
        "requests": {"cpu": format_cpu(member.cpu_millis), "memory": memory, **devices},
        "limits": {
            "memory": Because(memory, _memory_why(member)),
            **devices,
        },
    }


def _memory_why(member: Member) -> str:
    return f"shared memory ({format_quantity(member.shm_bytes)}) included"


def container_security(capabilities: tuple[str, ...]) -> Object:
    """Give a container no right it does not need."""
    allowed: Object = {"drop": ["ALL"]}
    if capabilities:
        allowed["add"] = list(capabilities)
    return {"allowPrivilegeEscalation": False, "capabilities": allowed}


def pod_security(run_as: RunAs | None) -> Object:
    """Give a pod the default seccomp profile, and a user of its own where the image can."""
    security: Object = {"seccompProfile": {"type": "RuntimeDefault"}}
    if run_as is not None:
        security |= {
            "runAsNonRoot": True,
            "runAsUser": run_as.user,
            "runAsGroup": run_as.group,
            "fsGroup": run_as.group,
            "fsGroupChangePolicy": "OnRootMismatch",
        }
    return security


def _isolation(plan: LaunchPlan, run_as: RunAs | None) -> Object:
    out: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": Because(
            value=False, why="a Service named vllm would set VLLM_PORT, which vLLM reads"
        ),
        "securityContext": pod_security(run_as),
    }
    if plan.placement.host_network:
        out |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    return out


def _placement(plan: LaunchPlan, wiring: Wiring) -> Object:
    out = scheduling(plan)
    if len(plan.group.members) > 1:
        lost = [
            {
                "key": f"node.kubernetes.io/{taint}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": Because(
                    NODE_LOST_S, "a group without this member serves nobody; 300 s by default"
                ),
            }
            for taint in ("not-ready", "unreachable")
        ]
        out["tolerations"] = [*out.get("tolerations", []), *lost]
    if plan.group.topology_domain and len(plan.group.members) > 1:
        out["affinity"] = {"podAffinity": _one_domain(plan, wiring)}
    return out


def scheduling(plan: LaunchPlan) -> Object:
    """Write where pods of the endpoint may run."""
    placement = plan.placement
    fields: Object = {
        "nodeSelector": dict(placement.node_selector),
        "tolerations": [dict(toleration) for toleration in placement.tolerations],
        "priorityClassName": placement.priority_class,
        "schedulerName": "volcano" if plan.group.gang == "volcano" else None,
        "imagePullSecrets": [{"name": name} for name in placement.pull_secrets],
    }
    return {name: value for name, value in fields.items() if value}


def _one_domain(plan: LaunchPlan, wiring: Wiring) -> Object:
    """Keep a group within one fabric; groups that share a template are told apart by its index."""
    term: Object = {
        "topologyKey": plan.group.topology_domain,
        "labelSelector": {"matchLabels": selector(plan, group=wiring.group)},
    }
    if wiring.group is None and plan.max_replicas > 1:
        term["matchLabelKeys"] = ["leaderworkerset.sigs.k8s.io/group-index"]
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def _must_wait(task: Task) -> bool:
    return task.blocks and task.done_marker is not None


def _await_task(plan: LaunchPlan, member: Member, task: Task) -> Object:
    """Hold a pod back until a task is done: a partial download is never served."""
    patience = plan.budgets.image_pull_s + (task.deadline_s or plan.budgets.download_s)
    lines = [
        f"for ((i = 0; i < {patience}; i += 5)); do",
        f"  if grep -qxF {task.key} {task.done_marker} 2>/dev/null; then exit 0; fi",
        "  sleep 5",
        "done",
        f'echo "{task.done_marker} was not written within {patience} s: see job {task.name}" >&2',
        "exit 1",
        "",
    ]
    sources = {mount.source for mount in task.mounts}
    claims = [each for each in member.mounts if each.source in sources and not each.sub_path]
    return {
        "name": bounded(f"await-{task.kind.value}", 63),
        "image": member.image,
        "command": ["/bin/bash", "-c"],
        "args": ["\n".join(lines)],
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"memory": "64Mi"},
        },
        "securityContext": container_security(()),
        "volumeMounts": [volume_mount(mount) for mount in claims],
    }
