"""What can be known before anything is applied: each finding is a deployment that would not start.

Called by `shardwright deploy` first. Reads the cluster, changes nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from shardwright.deploy.capacity import num_slots, usable_gpus
from shardwright.deploy.inventory import INSTANCE
from shardwright.model.cluster import Cluster, Object, ObjectRef, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding, Severity
from shardwright.model.launch import LaunchPlan

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
NEEDED_TO_WATCH = (("list", "v1", "Pod"), ("get", "v1", "Pod"))


def preflight(
    cluster: Cluster, plan: LaunchPlan, objects: tuple[Object, ...]
) -> tuple[Finding, ...]:
    """Look for everything that would keep an endpoint from starting, gravest first."""
    if (missing := _namespace(cluster, plan.namespace)) is not None:
        return (missing,)  # the rest would only say the same again
    unserved = tuple(_unserved(cluster, objects))
    if unserved:
        return unserved
    found = [
        *_forbidden(cluster, plan, objects),
        *_secrets(cluster, plan),
        *_storage(cluster, plan),
        *gpu_shortage(cluster, plan),
        *_quota(cluster, plan),
    ]
    order = list(Severity)
    return tuple(sorted(found, key=lambda each: order.index(each.severity)))


def _error(code: str, what: str, why: str, remedy: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, what=what, why=why, remedy=remedy)


def _not_checked(what: str, error: ShardwrightError) -> Finding:
    return Finding(
        code="not-checked",
        severity=Severity.NOTE,
        what=f"{what} not checked",
        why=error.what,
        remedy=error.remedy or "",
    )


def _namespace(cluster: Cluster, name: str) -> Finding | None:
    ref = ObjectRef(api_version="v1", kind="Namespace", name=name)
    try:
        if cluster.get(ref) is not None:
            return None
    except ShardwrightError as error:
        if error.code != "cluster-forbidden":
            raise
        return None  # many tenants may not read namespaces; applying will tell
    return _error(
        "namespace-missing",
        f"there is no namespace {name}",
        "metadata.namespace of the spec names it, or the context's default",
        f"kubectl create namespace {name}",
    )


def _unserved(cluster: Cluster, objects: Iterable[Object]) -> Iterator[Finding]:
    for api_version, kind in sorted({(each["apiVersion"], each["kind"]) for each in objects}):
        if not cluster.serves(api_version, kind):
            yield _error(
                "kind-not-served",
                f"the cluster does not know {kind} ({api_version})",
                "its controller is not installed",
                "install it, or set spec.launch to statefulset, which needs none",
            )


def _forbidden(
    cluster: Cluster, plan: LaunchPlan, objects: tuple[Object, ...]
) -> Iterator[Finding]:
    def ref(api_version: str, kind: str) -> ObjectRef:
        return ObjectRef(
            api_version=api_version, kind=kind, name=plan.name, namespace=plan.namespace
        )

    needed = {
        ("v1", "ConfigMap"),
        *((each["apiVersion"], each["kind"]) for each in objects),
    }
    asked = [(verb, *kind) for kind in sorted(needed) for verb in ("patch", "delete")]
    for verb, api_version, kind in (*asked, *NEEDED_TO_WATCH):
        if not cluster.may(verb, ref(api_version, kind)):
            yield _error(
                "not-allowed",
                f"you may not {verb} {kind} in {plan.namespace}",
                "the API server was asked (SelfSubjectAccessReview)",
                "ask for a Role with this verb on this kind, or use another --context",
            )


def _secrets(cluster: Cluster, plan: LaunchPlan) -> Iterator[Finding]:
    wanted = [(each.name, each.keys) for each in plan.secrets]
    wanted += [(name, ()) for name in plan.placement.pull_secrets]
    for name, keys in wanted:
        ref = ObjectRef(api_version="v1", kind="Secret", name=name, namespace=plan.namespace)
        try:
            secret = cluster.get(ref)
        except ShardwrightError as error:
            yield _not_checked(f"Secret {name}", error)
            continue
        flags = " ".join(f"--from-literal={key}=..." for key in keys)
        create = f"kubectl -n {plan.namespace} create secret generic {name} {flags}".strip()
        if secret is None:
            yield _error("secret-missing", f"there is no Secret {name}", "pods name it", create)
            continue
        data = secret.get("data", {})
        for key in keys:
            if not base64.b64decode(data.get(key, "")):
                why = f"its keys are {', '.join(sorted(data)) or 'none'}"
                yield _error("secret-key-missing", f"Secret {name} has no {key}", why, create)


def _storage(cluster: Cluster, plan: LaunchPlan) -> Iterator[Finding]:
    for claim in plan.claims:
        ref = ObjectRef(
            api_version="v1",
            kind="PersistentVolumeClaim",
            name=claim.name,
            namespace=plan.namespace,
        )
        live = cluster.get(ref)
        if live is not None:
            yield from _access(live, claim.access_mode)
            continue
        if not claim.is_ours:
            yield _error(
                "claim-missing",
                f"there is no claim {claim.name} in {plan.namespace}",
                "spec.storage.claim names it",
                "create it, or leave spec.storage.claim out to have one made",
            )
            continue
        try:
            classes = cluster.list("storage.k8s.io/v1", "StorageClass")
        except ShardwrightError as error:
            yield _not_checked("the storage class", error)
            continue
        names = sorted(each["metadata"]["name"] for each in classes)
        defaults = [c for c in classes if _is_default(c)]
        if claim.storage_class and claim.storage_class not in names:
            why = f"there are {', '.join(names) or 'none'}"
            what = f"there is no storage class {claim.storage_class}"
            yield _error("storage-class-missing", what, why, "set spec.storage.storageClass")
        elif not claim.storage_class and not defaults:
            yield _error(
                "no-default-storage-class",
                f"nothing will provide the claim {claim.name}",
                f"no class is the default; there are {', '.join(names) or 'none'}",
                "set spec.storage.storageClass, or make a claim and set spec.storage.claim",
            )


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations", {})
    return bool(annotations.get(DEFAULT_CLASS) == "true")


def _access(claim: Object, mode: str) -> Iterator[Finding]:
    modes = claim["spec"].get("accessModes", [])
    if mode not in modes:
        yield _error(
            "claim-access-mode",
            f"the claim {claim['metadata']['name']} is {', '.join(modes)}, not {mode}",
            "pods on several nodes mount it",
            "use a claim of a storage class that offers ReadWriteMany",
        )


def gpu_shortage(cluster: Cluster, plan: LaunchPlan) -> tuple[Finding, ...]:
    """Say whether the members of a plan find their GPUs now; nothing if they do."""
    per_pod = max((each.gpus for each in plan.group.members), default=0)
    if not per_pod:
        return ()
    try:
        nodes = cluster.list("v1", "Node")
        pods = cluster.list("v1", "Pod")
    except ShardwrightError as error:
        return (_not_checked("free GPUs", error),)
    others = [each for each in pods if not _is_own(each, plan)]
    usable = usable_gpus(nodes, others, plan.placement)
    wanted = plan.replicas * len(plan.group.members)
    fitting = num_slots(usable, per_pod)
    if fitting >= wanted:
        return ()
    selector = ", ".join(f"{key}={value}" for key, value in plan.placement.node_selector)
    none = f"no usable node has {plan.placement.gpu_resource}"
    why = "; ".join(f"{each.node} {each.free} of {each.total} free" for each in usable)
    finding = _error(
        "too-few-gpus",
        f"{wanted} pods with {per_pod} {plan.placement.gpu_resource} each; {fitting} fit now",
        why or none + (f" and the labels {selector}" if selector else ""),
        "free GPUs, add nodes, or choose a smaller spec.parallelism",
    )
    return (finding,)


def _is_own(pod: Object, plan: LaunchPlan) -> bool:
    meta = pod["metadata"]
    return (
        meta.get("labels", {}).get(INSTANCE) == plan.name
        and reference(pod).namespace == plan.namespace
    )


def _quota(cluster: Cluster, plan: LaunchPlan) -> Iterator[Finding]:
    resource = f"requests.{plan.placement.gpu_resource}"
    wanted = plan.replicas * sum(each.gpus for each in plan.group.members)
    try:
        quotas = cluster.list("v1", "ResourceQuota", namespace=plan.namespace)
        own = [
            pod for pod in cluster.list("v1", "Pod", namespace=plan.namespace) if _is_own(pod, plan)
        ]
    except ShardwrightError as error:
        yield _not_checked("quota", error)
        return
    if own:  # an update replaces its own pods, whose share is counted as used
        return
    for quota in quotas:
        hard = quota.get("status", {}).get("hard", quota["spec"].get("hard", {})).get(resource)
        if hard is None:
            continue
        used = quota.get("status", {}).get("used", {}).get(resource, "0")
        if int(used) + wanted > int(hard):
            yield _error(
                "quota-exceeded",
                f"quota {quota['metadata']['name']} leaves {int(hard) - int(used)} GPUs; "
                f"{wanted} are needed",
                f"{resource}: {used} of {hard} used",
                "ask for more quota, or use another namespace",
            )
