"""What stands between a pod and its node besides room: quota, limits, security levels, queues.

The server judges best: each pod template is sent to it as a pod, as a dry run, so that quota,
LimitRange, Pod Security, priority classes and every webhook say now what they would say later.
"""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.deploy.checks.gpus import cpu_millis
from shardwright.deploy.checks.scene import Scene, error, not_checked, warning
from shardwright.model.cluster import Object
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding
from shardwright.model.launch import LaunchPlan
from shardwright.model.units import parse_quantity
from shardwright.render.jobs import job_user

LEVEL = "pod-security.kubernetes.io/enforce"
QUEUES = (("kueue.x-k8s.io/v1beta2", "LocalQueue"), ("kueue.x-k8s.io/v1beta1", "LocalQueue"))
_REFUSALS = (
    ("PodSecurity", "pod-security-refuses", "the namespace's Pod Security level refuses the pods",
     "label the namespace pod-security.kubernetes.io/enforce=baseline (privileged for IPC_LOCK)"),
    ("exceeded quota", "quota-exceeded", "a quota of the namespace refuses one pod alone",
     "ask for more quota, or use another namespace"),
    ("failed quota", "quota-exceeded", "a quota of the namespace refuses the pods",
     "set what the message names, or use another namespace"),
    ("usage per Container", "limit-range-refuses", "a LimitRange of the namespace refuses the pods",
     "ask for a higher maximum, or use another namespace"),
    ("usage per Pod", "limit-range-refuses", "a LimitRange of the namespace refuses the pods",
     "ask for a higher maximum, or use another namespace"),
    ("PriorityClass", "priority-class-missing", "the priority class does not exist",
     "change spec.scheduling.priorityClass"),
)  # fmt: skip


def admission(scene: Scene) -> Iterator[Finding]:
    """Let the server judge one pod of each template, as a dry run."""
    if not scene.cluster.may("create", scene.ref("v1", "Pod")):
        yield from _by_label(scene)
        return
    said = set()
    for pod in _pods(scene.objects):
        try:
            scene.cluster.apply(pod, dry_run=True)
        except ShardwrightError as caught:
            if caught.code in ("cluster-unreachable", "cluster-unauthorized"):
                raise
            known = [each for each in _REFUSALS if each[0] in caught.what]
            code, what, remedy = (
                known[0][1:] if known else
                ("pod-refused", "the server refuses the pods", "change what the message names")
            )  # fmt: skip
            if code not in said:
                said.add(code)
                yield error(code, what, caught.what, remedy)


def _pods(objects: tuple[Object, ...]) -> Iterator[Object]:
    """Write the pods that workloads would make, one per template."""
    for each in objects:
        for number, template in enumerate(_templates(each.get("spec", {}))):
            meta = each["metadata"]
            yield {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{meta['name'][:50]}-preflight-{number}",
                    "namespace": meta["namespace"],
                    "labels": {"shardwright.dev/preflight": "true"},
                },
                "spec": template["spec"],
            }


def _templates(value: object) -> Iterator[Object]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.lower().endswith("template") and isinstance(inner, dict) and "spec" in inner:
                yield inner
            else:
                yield from _templates(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _templates(inner)


def _by_label(scene: Scene) -> Iterator[Finding]:
    """Judge from the namespace's label alone, where we may not ask the server."""
    try:
        space = scene.cluster.get(scene.ref("v1", "Namespace", scene.plan.namespace))
    except ShardwrightError as caught:
        yield not_checked("the namespace's Pod Security level", caught)
        return
    level = (space or {}).get("metadata", {}).get("labels", {}).get(LEVEL)
    users = [each.run_as for each in scene.plan.group.members]
    users += [job_user(scene.plan, each) for each in scene.plan.tasks]
    as_root = None in users
    needs_host = scene.plan.placement.host_network or any(
        each.capabilities for each in scene.plan.group.members
    )
    if (level == "restricted" and as_root) or (level in ("restricted", "baseline") and needs_host):
        code, what, remedy = _REFUSALS[0][1:]
        yield error(code, what, f"{LEVEL}={level}", remedy)


def quota(scene: Scene) -> Iterator[Finding]:
    """Add up what the whole endpoint asks for, and hold it against every quota."""
    plan = scene.plan
    try:
        there = scene.cluster.list("v1", "ResourceQuota", namespace=plan.namespace)
        quotas = [each for each in there if _counts_us(each, plan)]
        if not quotas:
            return
        pods = scene.cluster.list("v1", "Pod", namespace=plan.namespace)
    except ShardwrightError as caught:
        yield not_checked("quota", caught)
        return
    if any(scene.is_own(pod) for pod in pods):
        return  # an update replaces its own pods, whose share is counted as used
    members = plan.group.members
    wanted = {
        f"requests.{plan.placement.gpu_resource}": sum(each.gpus for each in members),
        "requests.cpu": sum(each.cpu_millis for each in members),
        "cpu": sum(each.cpu_millis for each in members),
        "requests.memory": sum(each.memory_bytes for each in members),
        "memory": sum(each.memory_bytes for each in members),
        "limits.memory": sum(each.memory_bytes for each in members),
        "pods": len(members),
    }
    for each in quotas:
        status = each.get("status", {})
        hard = status.get("hard") or each["spec"].get("hard", {})
        for resource, one in wanted.items():
            if resource not in hard:
                continue
            limit, used = (
                _amount(resource, str(value))
                for value in (hard[resource], status.get("used", {}).get(resource, "0"))
            )
            if limit is not None and (used or 0) + one * plan.replicas > limit:
                left = _words(resource, limit - (used or 0))
                yield error(
                    "quota-exceeded",
                    f"quota {each['metadata']['name']} leaves {left}; "
                    f"{_words(resource, one * plan.replicas)} are needed",
                    f"{resource}: {status.get('used', {}).get(resource, '0')} of "
                    f"{hard[resource]} used",
                    "ask for more quota, or use another namespace",
                )


def _counts_us(quota: Object, plan: LaunchPlan) -> bool:
    """Tell whether a quota counts pods that ask for resources, have no deadline of their own, and
    have the plan's priority class: every scope of a quota must hold.
    """
    spec = quota.get("spec", {})
    scopes = [{"scopeName": each, "operator": "Exists"} for each in spec.get("scopes") or ()]
    scopes += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_holds(each, plan.placement.priority_class) for each in scopes)


def _holds(scope: Object, priority_class: str | None) -> bool:
    if scope["scopeName"] != "PriorityClass":
        return scope["scopeName"] in ("NotTerminating", "NotBestEffort")
    values = scope.get("values") or ()
    return {
        "In": priority_class in values,
        "NotIn": priority_class not in values,
        "Exists": priority_class is not None,
        "DoesNotExist": priority_class is None,
    }[scope["operator"]]


def _amount(resource: str, text: str) -> int | None:
    return cpu_millis(text) if resource.endswith("cpu") else parse_quantity(text)


def _words(resource: str, amount: int) -> str:
    if resource.endswith("cpu"):
        return f"{amount / 1000:g} CPUs"
    if resource.endswith("memory"):
        return f"{amount / 2**30:.0f} GiB of memory"
    return f"{amount} pods" if resource == "pods" else f"{amount} GPUs"


def queue(scene: Scene) -> Iterator[Finding]:
    """Look for the queue that admits the endpoint, and whether it is open."""
    name = scene.plan.placement.queue
    if not name:
        return
    served = [each for each in QUEUES if scene.cluster.serves(*each)]
    if not served:
        yield warning(
            "queue-not-checked",
            f"queue {name} is named, and the cluster has no Kueue",
            "nothing admits by queue here, or a scheduler we do not know does",
            "install Kueue, or leave spec.scheduling.queue out",
        )
        return
    try:
        found = scene.cluster.get(scene.ref(*served[0], name))
    except ShardwrightError as caught:
        yield not_checked(f"queue {name}", caught)
        return
    if found is None:
        yield error(
            "queue-missing",
            f"there is no LocalQueue {name} in {scene.plan.namespace}",
            "pods of a queue that is not there are never admitted",
            "change spec.scheduling.queue; kubectl get localqueue shows what there is",
        )
        return
    for condition in found.get("status", {}).get("conditions", []):
        if condition["type"] == "Active" and condition["status"] == "False":
            yield error(
                "queue-closed",
                f"LocalQueue {name} admits nothing now",
                str(condition.get("message", "")),
                "ask who runs the ClusterQueue behind it",
            )
