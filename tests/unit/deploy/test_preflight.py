"""Each thing that would keep an endpoint from starting is found before anything is applied."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import pytest

from shardwright.cli.render import launch_plan
from shardwright.deploy.capacity import NodeGpus, usable_gpus
from shardwright.deploy.changes import ObjectChange, Verb
from shardwright.deploy.inventory import Inventory
from shardwright.deploy.preflight import preflight, room_beside
from shardwright.deploy.strategy import Way, choose
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object, ObjectRef
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Severity
from shardwright.model.launch import LaunchPlan, Placement
from shardwright.model.monitoring import Metrics, Monitoring
from shardwright.render.objects import kubernetes_objects

REQUEST = Path(__file__).parents[2] / "golden" / "render" / "vllm-statefulset" / "request.yaml"
SCALED = REQUEST.parents[1] / "vllm-lws-keda" / "request.yaml"
GPU = "nvidia.com/gpu"
SERVES = Inventory(name="llama", namespace="default", revision=1)
WORKLOAD = ObjectRef(api_version="apps/v1", kind="StatefulSet", name="llama", namespace="default")
RESTART = (ObjectChange(ref=WORKLOAD, verb=Verb.REPLACE),)


@pytest.fixture(scope="module")
def plan() -> LaunchPlan:
    """Two members with 8 GPUs each, a claim of ours, Secrets hf-token and llama-keys."""
    return launch_plan(REQUEST)


def an_object(kind: str, name: str, **rest: object) -> Object:
    apis = {"StorageClass": "storage.k8s.io/v1"}
    meta: Object = {"name": name, "labels": rest.pop("labels", {})}
    if kind not in ("Node", "Namespace", "StorageClass", "PersistentVolume"):
        meta["namespace"] = "default"
    meta["annotations"] = rest.pop("annotations", {})
    return {"apiVersion": apis.get(kind, "v1"), "kind": kind, "metadata": meta, **rest}


def node(name: str, plan: LaunchPlan, gpus: int = 8, **spec: object) -> Object:
    labels = dict(plan.placement.node_selector)
    return an_object(
        "Node", name, labels=labels, spec=spec, status={"allocatable": {GPU: str(gpus)}}
    )


def secret(name: str, key: str) -> Object:
    return an_object("Secret", name, data={key: base64.b64encode(b"x").decode()})


def default_class() -> Object:
    marked = {"storageclass.kubernetes.io/is-default-class": "true"}
    return an_object("StorageClass", "standard", annotations=marked)


def a_cluster(plan: LaunchPlan, *without: str, more: tuple[Object, ...] = ()) -> MemoryCluster:
    everything = [
        an_object("Namespace", "default"),
        node("gpu-1", plan),
        node("gpu-2", plan),
        secret("hf-token", "token"),
        secret("llama-keys", "api-key"),
        default_class(),
    ]
    kept = [each for each in everything if each["metadata"]["name"] not in without]
    cluster = MemoryCluster(*kept, *more)
    cluster.stats = {name: disk_free(200) for name in ("gpu-1", "gpu-2")}
    return cluster


def disk_free(gib: int) -> Object:
    """As a kubelet says it: https://kubernetes.io/docs/reference/instrumentation/node-metrics."""
    return {"node": {"runtime": {"imageFs": {"availableBytes": gib * 2**30}}}, "pods": []}


def codes(cluster: MemoryCluster, plan: LaunchPlan) -> list[str]:
    return [each.code for each in preflight(cluster, plan, kubernetes_objects(plan))]


def test_a_fit_cluster_has_no_findings(plan: LaunchPlan) -> None:
    assert codes(a_cluster(plan), plan) == []


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("default", "namespace-missing"),
        ("gpu-2", "too-few-gpus"),
        ("hf-token", "secret-missing"),
        ("standard", "no-default-storage-class"),
    ],
)
def test_what_is_missing_is_named(plan: LaunchPlan, missing: str, code: str) -> None:
    assert codes(a_cluster(plan, missing), plan) == [code]


def test_a_secret_without_its_key(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan, "hf-token", more=(secret("hf-token", "wrong"),))
    (finding,) = preflight(cluster, plan, kubernetes_objects(plan))
    assert finding.code == "secret-key-missing"
    assert finding.why == "its keys are wrong"


def test_gpus_in_use_by_others_do_not_count(plan: LaunchPlan) -> None:
    limits = {"resources": {"limits": {GPU: "1"}}}
    taken = an_object("Pod", "other", spec={"nodeName": "gpu-1", "containers": [limits]})
    (finding,) = preflight(a_cluster(plan, more=(taken,)), plan, kubernetes_objects(plan))
    assert finding.what == "2 pods with 8 nvidia.com/gpu each; 1 fit now"
    assert finding.why == "gpu-1 7 of 8 free; gpu-2 8 of 8 free"


def test_its_own_pods_do_not_count_against_an_update(plan: LaunchPlan) -> None:
    limits = {"resources": {"limits": {GPU: "8"}}}
    own = an_object(
        "Pod",
        "mine",
        labels={"app.kubernetes.io/instance": plan.name},
        spec={"nodeName": "gpu-1", "containers": [limits]},
    )
    assert codes(a_cluster(plan, more=(own,)), plan) == []


def test_a_kind_that_is_not_served(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan)
    cluster.unserved = frozenset({"StatefulSet"})
    assert codes(cluster, plan) == ["kind-not-served"]


def test_a_kind_one_can_do_without_says_how(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan)
    cluster.unserved = frozenset({"PodMonitor"})
    watched = replace(plan, monitoring=Monitoring(metrics=Metrics()))
    (finding,) = preflight(cluster, watched, kubernetes_objects(watched))
    assert finding.remedy == "install it, or leave spec.monitoring out"


def test_a_verb_that_is_not_allowed(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan)
    cluster.forbidden.add(("patch", "StatefulSet"))
    (finding,) = preflight(cluster, plan, kubernetes_objects(plan))
    assert finding.what == "you may not patch StatefulSet in default"


def test_a_claim_that_only_one_node_can_mount(plan: LaunchPlan) -> None:
    claim = an_object(
        "PersistentVolumeClaim", plan.claims[0].name, spec={"accessModes": ["ReadWriteOnce"]}
    )
    assert codes(a_cluster(plan, more=(claim,)), plan) == ["claim-access-mode"]


def test_a_quota_that_is_too_small(plan: LaunchPlan) -> None:
    status = {"hard": {f"requests.{GPU}": "20"}, "used": {f"requests.{GPU}": "8"}}
    quota = an_object("ResourceQuota", "team", spec={}, status=status)
    (finding,) = preflight(a_cluster(plan, more=(quota,)), plan, kubernetes_objects(plan))
    assert finding.what == "quota team leaves 12 GPUs; 16 GPUs are needed"


def priority(operator: str, *values: str) -> Object:
    scope = {"scopeName": "PriorityClass", "operator": operator, "values": list(values)}
    return {"scopeSelector": {"matchExpressions": [scope]}}


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"scopes": ["NotTerminating"]}, True),
        ({"scopes": ["NotBestEffort", "NotTerminating"]}, True),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopes": ["Terminating"]}, False),
        (priority("In", "batch"), False),
        (priority("In", "batch", "serving"), True),
        (priority("NotIn", "serving"), False),
        (priority("Exists"), True),
        (priority("DoesNotExist"), False),
    ],
)
def test_a_quota_counts_the_pods_of_its_scopes_alone(
    plan: LaunchPlan, spec: Object, *, counts: bool
) -> None:
    status = {"hard": {"pods": "1"}, "used": {"pods": "1"}}
    quota = an_object("ResourceQuota", "team", spec=spec, status=status)
    placement = replace(plan.placement, priority_class="serving")
    of_class = replace(plan, placement=placement)
    assert codes(a_cluster(plan, more=(quota,)), of_class) == ["quota-exceeded"] * counts


TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ((), False),
        ((("key", "nvidia.com/gpu"), ("operator", "Exists")), True),
        ((("key", "nvidia.com/gpu"), ("value", "present"), ("effect", "NoSchedule")), True),
        ((("key", "nvidia.com/gpu"), ("value", "other")), False),
        ((("operator", "Exists"), ("effect", "NoExecute")), False),
        ((("operator", "Exists"),), True),
    ],
)
def test_taints_follow_kubernetes_rule(
    plan: LaunchPlan, toleration: tuple[tuple[str, str], ...], fits: bool
) -> None:
    """Source: kubernetes.io/docs, Taints and Tolerations."""
    tainted = node("a", plan, taints=[TAINT])
    tolerations = (toleration,) if toleration else ()
    placement: Placement = replace(plan.placement, tolerations=tolerations)
    wanted = (NodeGpus(node="a", total=8, free=8),) if fits else ()
    assert usable_gpus([tainted], [], placement) == wanted


def test_a_cordoned_node_takes_nothing(plan: LaunchPlan) -> None:
    assert usable_gpus([node("a", plan, unschedulable=True)], [], plan.placement) == ()


def found(cluster: MemoryCluster, plan: LaunchPlan) -> dict[str, str]:
    return {f.code: f.what for f in preflight(cluster, plan, kubernetes_objects(plan))}


def test_everything_that_is_forbidden_is_said_at_once(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan)
    cluster.forbidden |= {("create", "Service"), ("patch", "Service"), ("get", "Secret")}
    assert found(cluster, plan) == {"not-allowed": "you may not create, patch Service in default"}


def test_the_workloads_that_are_watched_must_be_listed(plan: LaunchPlan) -> None:
    """Else everything is applied, and then the watch for it ends with a 403."""
    cluster = a_cluster(plan)
    kinds = {each["kind"] for each in kubernetes_objects(plan)}
    assert "StatefulSet" in kinds
    assert "Deployment" not in kinds
    cluster.forbidden |= {("list", "StatefulSet"), ("list", "Deployment")}
    assert found(cluster, plan) == {"not-allowed": "you may not list StatefulSet in default"}


def test_what_is_only_useful_is_a_warning(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan)
    cluster.forbidden.add(("get", "Pod/log"))
    assert found(cluster, plan) == {"not-allowed-to-look": "you may not get Pod/log in default"}


def test_an_old_kubernetes(plan: LaunchPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryCluster, "server_version", lambda _: "1.27.16+vendor")
    assert codes(a_cluster(plan), plan) == ["kubernetes-too-old"]


def test_volumes_of_images_need_a_newer_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = launch_plan(REQUEST.parents[1] / "vllm-weights-image" / "request.yaml")
    plan = replace(cell, namespace="default")
    monkeypatch.setattr(MemoryCluster, "server_version", lambda _: "1.34.4")
    assert "kubernetes-too-old" in found(a_cluster(plan), plan)
    monkeypatch.setattr(MemoryCluster, "server_version", lambda _: "1.35.0")
    assert "kubernetes-too-old" not in found(a_cluster(plan), plan)


def test_a_namespace_on_its_way_out(plan: LaunchPlan) -> None:
    space = an_object("Namespace", "default", status={"phase": "Terminating"})
    assert codes(a_cluster(plan, "default", more=(space,)), plan) == ["namespace-ends"]


def a_class(provisioner: str) -> Object:
    return default_class() | {"provisioner": provisioner}


def test_a_block_device_cannot_be_shared(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan, "standard", more=(a_class("ebs.csi.aws.com"),))
    assert codes(cluster, plan) == ["storage-class-one-node"]


@pytest.mark.parametrize(
    ("capacity", "modes", "fits"),
    [("1Ti", ["ReadWriteMany"], True), ("1Gi", ["ReadWriteMany"], False),
     ("1Ti", ["ReadWriteOnce"], False)],
)  # fmt: skip
def test_a_class_without_provisioner_needs_a_volume(
    plan: LaunchPlan, capacity: str, modes: list[str], fits: bool
) -> None:
    volume = an_object(
        "PersistentVolume",
        "pv-1",
        spec={
            "storageClassName": "standard",
            "capacity": {"storage": capacity},
            "accessModes": modes,
        },
        status={"phase": "Available"},
    )
    cluster = a_cluster(plan, "standard", more=(a_class("kubernetes.io/no-provisioner"), volume))
    assert codes(cluster, plan) == ([] if fits else ["no-volume-fits"])


def test_a_claim_too_small_for_the_weights(plan: LaunchPlan) -> None:
    claim = an_object(
        "PersistentVolumeClaim",
        plan.claims[0].name,
        spec={"accessModes": ["ReadWriteMany"]},
        status={"phase": "Bound", "capacity": {"storage": "100Gi"}},
    )
    cluster = a_cluster(plan, more=(claim,))
    assert codes(cluster, plan) == ["claim-too-small"]
    assert "holds 100Gi" in found(cluster, plan)["claim-too-small"]


def test_gpus_of_another_model_are_pointed_out(plan: LaunchPlan) -> None:
    other = node("gpu-2", plan)
    other["metadata"]["labels"]["nvidia.com/gpu.product"] = "NVIDIA-L4"
    cluster = a_cluster(plan, "gpu-2", more=(other,))
    assert codes(cluster, plan) == ["other-gpu"]


@pytest.mark.parametrize("part", ["-80GB-HBM3-MIG-1g.10gb", "-SHARED"])
def test_nodes_that_count_parts_of_the_planned_gpu(plan: LaunchPlan, part: str) -> None:
    other = node("gpu-2", plan)
    whole = "NVIDIA-" + plan.placement.gpu_product.split("-")[0]
    other["metadata"]["labels"]["nvidia.com/gpu.product"] = f"{whole}{part}"
    assert codes(a_cluster(plan, "gpu-2", more=(other,)), plan) == ["other-gpu"]
    other["metadata"]["labels"]["nvidia.com/gpu.product"] = whole
    assert codes(a_cluster(plan, "gpu-2", more=(other,)), plan) == []


def test_a_group_that_no_fabric_holds_together(plan: LaunchPlan) -> None:
    """A GPU node in each of two fabrics: room for both members, but not side by side."""
    key = "topology.example/rack"
    apart = replace(plan, group=replace(plan.group, topology_domain=key))
    racks = []
    for number in (1, 2):
        each = node(f"gpu-{number}", plan)
        each["metadata"]["labels"][key] = f"rack-{number}"
        racks.append(each)
    cluster = a_cluster(plan, "gpu-1", "gpu-2", more=tuple(racks))
    assert codes(cluster, apart) == ["no-fabric-fits"]
    racks[1]["metadata"]["labels"][key] = "rack-1"
    assert codes(a_cluster(plan, "gpu-1", "gpu-2", more=tuple(racks)), apart) == []


def test_a_second_group_must_be_within_one_fabric_as_the_first_is(plan: LaunchPlan) -> None:
    """Racks of two GPU nodes each: the first group has a node of both, or a rack of its own."""
    key = "topology.example/rack"
    together = replace(plan, group=replace(plan.group, topology_domain=key))
    nodes = []
    for number, rack in ((1, "a"), (2, "a"), (3, "b"), (4, "b")):
        each = node(f"gpu-{number}", plan)
        each["metadata"]["labels"][key] = f"rack-{rack}"
        nodes.append(each)

    def way_with_pods_on(*names: str, planned: LaunchPlan = together) -> tuple[Way, str]:
        limits = {"resources": {"limits": {GPU: "8"}}}
        held = [
            an_object("Pod", f"on-{name}", spec={"nodeName": name, "containers": [limits]})
            for name in names
        ]
        cluster = a_cluster(plan, "gpu-1", "gpu-2", more=(*nodes, *held))
        found = choose(planned, RESTART, SERVES, room_beside(cluster, planned))
        return found.way, found.reason

    assert way_with_pods_on("gpu-1", "gpu-2")[0] is Way.BESIDE
    way, reason = way_with_pods_on("gpu-1", "gpu-3")
    assert way is Way.STOP_THEN_START
    assert reason.endswith(
        f"0 more groups fit now within one fabric ({key}) each, 1 are needed "
        "(rack-a: 1 fit; rack-b: 1 fit)"
    )
    assert way_with_pods_on("gpu-1", "gpu-3", planned=plan)[0] is Way.BESIDE


def test_nodes_whose_memory_is_too_small(plan: LaunchPlan) -> None:
    small = []
    for number in (1, 2):
        each = node(f"gpu-{number}", plan)
        each["status"]["allocatable"] |= {"memory": "64Gi", "cpu": "96"}
        small.append(each)
    cluster = a_cluster(plan, "gpu-1", "gpu-2", more=tuple(small))
    assert codes(cluster, plan) == ["node-too-small"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('pods "a" is forbidden: violates PodSecurity "restricted:latest"', "pod-security-refuses"),
        ("maximum memory usage per Container is 64Gi, but limit is 116Gi", "limit-range-refuses"),
        ('no PriorityClass with name "high" was found', "priority-class-missing"),
        ("admission webhook says no", "pod-refused"),
    ],
)
def test_the_server_judges_a_pod_before_there_is_one(
    plan: LaunchPlan, said: str, code: str
) -> None:
    """Messages of Kubernetes 1.34's admission plugins."""
    cluster = a_cluster(plan)
    cluster.refuses["Pod"] = ShardwrightError(code="cluster-forbidden", what=said, remedy="ask")
    assert codes(cluster, plan) == [code]
    assert not [ref for ref in cluster.objects if ref.kind == "Pod"]


def test_the_level_of_the_namespace_where_pods_may_not_be_tried(plan: LaunchPlan) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster = a_cluster(plan, "default", more=(an_object("Namespace", "default", labels=labels),))
    cluster.forbidden.add(("create", "Pod"))
    assert codes(cluster, plan) == []  # vLLM's own image has a user without root
    members = tuple(replace(member, run_as=None) for member in plan.group.members)
    as_root = replace(plan, group=replace(plan.group, members=members))
    assert codes(cluster, as_root) == ["pod-security-refuses"]
    tasks = tuple(replace(task, image="python:3.13") for task in plan.tasks)
    assert tasks
    assert codes(cluster, replace(plan, tasks=tasks)) == ["pod-security-refuses"]


class Counting(MemoryCluster):
    """Keeps account of what is listed."""

    asked: ClassVar[list[str]] = []

    def list(self, api_version: str, kind: str, **where: Any) -> tuple[Object, ...]:
        self.asked.append(kind)
        return super().list(api_version, kind, **where)


def test_nodes_and_pods_of_a_large_cluster_are_read_once(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan)
    cluster.__class__, Counting.asked = Counting, []
    assert codes(cluster, plan) == []
    assert [Counting.asked.count(kind) for kind in ("Node", "Pod")] == [1, 1]


def test_ctrl_c_does_not_wait_for_a_server_that_is_slow(plan: LaunchPlan) -> None:
    begun, ended, may_end = Event(), Event(), Event()

    class Slow(MemoryCluster):
        def list(self, api_version: str, kind: str, **options: Any) -> tuple[Object, ...]:
            if kind == "Node":
                begun.set()
                may_end.wait(10)
                ended.set()
            return super().list(api_version, kind, **options)

        def get(self, ref: ObjectRef) -> Object | None:
            assert begun.wait(10)
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            preflight(Slow(), plan, kubernetes_objects(plan))
        assert not ended.is_set()
    finally:
        may_end.set()


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "LocalQueue"])
def test_what_a_role_may_not_read_is_said_and_the_rest_is_checked(
    kind: str, plan: LaunchPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim of the user's own and a queue are objects that we never make, so may not see."""
    claim = replace(plan.claims[0], is_ours=False)
    placement = replace(plan.placement, queue="team")
    theirs = replace(plan, claims=(claim,), placement=placement)
    cluster = a_cluster(plan)
    for name, other in ((claim.name, "PersistentVolumeClaim"), ("team", "LocalQueue")):
        there = an_object(other, name, spec={"accessModes": ["ReadWriteMany"]}, status={})
        if other == "LocalQueue":
            there["apiVersion"] = "kueue.x-k8s.io/v1beta2"
        cluster.put(there)
    get = cluster.get

    def refused(ref: ObjectRef) -> Object | None:
        if ref.kind == kind:
            raise ShardwrightError(code="cluster-forbidden", what=f"no {kind}", remedy="ask")
        return get(ref)

    monkeypatch.setattr(cluster, "get", refused)
    assert codes(cluster, theirs) == ["not-checked"]
    room = room_beside(cluster, theirs)
    assert (room.taken == f"no {kind}") == (kind == "PersistentVolumeClaim")


def test_a_claim_of_the_users_that_is_being_deleted(plan: LaunchPlan) -> None:
    leaving = {"deletionTimestamp": "2026-11-27T10:00:00Z", "finalizers": ["kubernetes.io/pvc"]}
    claim = an_object("PersistentVolumeClaim", plan.claims[0].name, spec={"accessModes": ["RWX"]})
    claim["metadata"] |= leaving
    assert codes(a_cluster(plan, more=(claim,)), plan) == []  # waited for, and made anew
    theirs = replace(plan, claims=(replace(plan.claims[0], is_ours=False),))
    assert codes(a_cluster(plan, more=(claim,)), theirs) == ["claim-is-leaving"]


def test_quota_of_memory_counts_the_whole_group(plan: LaunchPlan) -> None:
    status = {"hard": {"requests.memory": "200Gi"}, "used": {"requests.memory": "0"}}
    quota = an_object("ResourceQuota", "team", spec={}, status=status)
    # 2 x (16 + 8 x 12 + 4 GiB of shared memory)
    assert found(a_cluster(plan, more=(quota,)), plan) == {
        "quota-exceeded": "quota team leaves 200 GiB of memory; 232 GiB of memory are needed"
    }


def test_a_queue_must_be_there_and_open(plan: LaunchPlan) -> None:
    queued = replace(plan, placement=replace(plan.placement, queue="llm"))
    assert codes(a_cluster(plan), queued) == ["queue-missing"]
    closed = an_object("LocalQueue", "llm", status={"conditions": [
        {"type": "Active", "status": "False", "message": "ClusterQueue is stopped"}
    ]}) | {"apiVersion": "kueue.x-k8s.io/v1beta2"}  # fmt: skip
    assert codes(a_cluster(plan, more=(closed,)), queued) == ["queue-closed"]


def test_a_node_without_room_for_the_image(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan)
    cluster.stats["gpu-2"] = disk_free(7)
    (found,) = preflight(cluster, plan, kubernetes_objects(plan))
    assert (found.code, found.severity) == ("image-without-room", Severity.WARNING)
    assert "1 of 2 nodes" in found.what
    assert "gpu-2 has 7 GiB" in found.why


def test_a_full_node_that_has_the_image_needs_no_room(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan)
    cluster.stats["gpu-2"] = disk_free(7)
    (member, *_) = plan.group.members
    held = node("gpu-2", plan)
    held["status"]["images"] = [{"names": ["sha256:0", member.image], "sizeBytes": 1}]
    cluster.put(held)
    assert codes(cluster, plan) == []


def test_an_image_that_lost_its_name_is_no_image_of_ours(plan: LaunchPlan) -> None:
    """A kubelet writes null for the names of an image whose tag was given to another."""
    cluster = a_cluster(plan)
    cluster.stats["gpu-2"] = disk_free(7)
    orphaned = node("gpu-2", plan)
    orphaned["status"]["images"] = [{"names": None, "sizeBytes": 1}]
    cluster.put(orphaned)
    assert codes(cluster, plan) == ["image-without-room"]


def test_a_kubelet_that_may_not_be_asked_is_said(plan: LaunchPlan) -> None:
    cluster = a_cluster(plan)
    cluster.stats.clear()
    (found,) = preflight(cluster, plan, kubernetes_objects(plan))
    assert (found.code, found.what) == ("not-checked", "room for the image not checked")


def test_what_a_scaler_may_ask_for_at_most_is_a_warning(plan: LaunchPlan) -> None:
    """Two members of 8 GPUs; three replicas are six pods, and four nodes hold four of them."""
    scaled = replace(plan, scaling=launch_plan(SCALED).scaling)
    more = (node("gpu-3", plan), node("gpu-4", plan))
    found = preflight(a_cluster(plan, more=more), scaled, kubernetes_objects(plan))
    (finding,) = [each for each in found if each.code == "too-few-gpus-scaled-out"]
    assert finding.severity is Severity.WARNING
    assert finding.what == f"3 replicas are 6 pods with 8 {GPU} each; 4 fit now"
    assert finding.remedy.startswith("set spec.autoscaling.maxReplicas to 2, add nodes")
    enough = (*more, node("gpu-5", plan), node("gpu-6", plan))
    found = preflight(a_cluster(plan, more=enough), scaled, kubernetes_objects(plan))
    assert "too-few-gpus-scaled-out" not in {each.code for each in found}


def test_too_few_for_the_replicas_that_are_planned_is_said_once(plan: LaunchPlan) -> None:
    scaled = replace(plan, scaling=launch_plan(SCALED).scaling)
    found = preflight(a_cluster(plan, "gpu-2"), scaled, kubernetes_objects(plan))
    assert [each.code for each in found if each.code.startswith("too-few")] == ["too-few-gpus"]
