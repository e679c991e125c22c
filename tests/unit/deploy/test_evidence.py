"""The evidence of a deployed endpoint, and what the doctor says of it."""

from dataclasses import replace

import pytest

from shardwright.deploy.evidence import diagnose, evidence_of
from shardwright.deploy.inventory import Inventory, RankPlace, from_object, to_object
from shardwright.diagnose.answer import as_text
from shardwright.diagnose.doctor import as_json
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.launch.transport import PlannedLinks
from shardwright.model.cluster import ObjectRef
from shardwright.model.errors import ShardwrightError
from shardwright.model.request import parse_fabric
from shardwright.model.running import Reply

RECORD = Inventory(name="llama", namespace="ml", revision=1)
LABELS = {"app.kubernetes.io/instance": "llama"}


def pod(name, **status):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "ml",
            "labels": LABELS,
            "managedFields": [{"a": 1}],
        },
        "spec": {"containers": [{"name": "engine"}]},
        "status": status,
    }


def claim(phase):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "cache", "namespace": "ml", "labels": LABELS},
        "status": {"phase": phase},
    }


def test_oom_killed_pod_is_named():
    state = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    killed = pod("llama-0", containerStatuses=[{"name": "engine", "lastState": state}])
    found = evidence_of(MemoryCluster(killed, claim("Bound")), RECORD)
    assert {"llama-0/pod.json", "claims.json"} <= set(found.files)
    assert "managedFields" not in found.files["llama-0/pod.json"]
    assert diagnose(found).findings[0].code == "host-oom-killed"


def test_unschedulable_pod_is_named():
    message = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pending = pod("llama-0", phase="Pending", conditions=[{**condition, "message": message}])
    first = diagnose(evidence_of(MemoryCluster(pending), RECORD)).findings[0]
    assert (first.code, first.confidence >= 0.7) == ("unschedulable", True)


def test_other_endpoints_are_left_out():
    other = pod("other-0", phase="Pending")
    other["metadata"]["labels"] = {"app.kubernetes.io/instance": "other"}
    assert set(evidence_of(MemoryCluster(other), RECORD).files) == {"plan.txt"}


def event(kind, name, reason, message, when="2026-11-26T10:00:00Z"):
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{when}", "namespace": "ml"},
        "involvedObject": {"kind": kind, "name": name},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": when,
    }


def test_an_unbound_claim_without_any_pod_says_why():
    said = event("PersistentVolumeClaim", "cache", "ProvisioningFailed", "storageclass not found")
    other = event("PersistentVolumeClaim", "elsewhere", "ProvisioningFailed", "no matter")
    found = evidence_of(MemoryCluster(claim("Pending"), said, other), RECORD)
    assert "storageclass not found" in found.files["events.txt"]
    assert "no matter" not in found.files["events.txt"]


def test_a_workload_that_may_not_create_pods_says_why():
    message = (
        'create Pod llama-0 in StatefulSet llama failed error: pods "llama-0" is forbidden: '
        "exceeded quota: gpus, requested: requests.nvidia.com/gpu=8, used: 0, limited: 4"
    )
    workload = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "llama", "namespace": "ml", "labels": LABELS},
    }
    refused = event("StatefulSet", "llama", "FailedCreate", message)
    found = evidence_of(MemoryCluster(workload, refused), RECORD)
    assert "exceeded quota" in found.files["events.txt"]
    assert diagnose(found).findings[0].confidence >= 0.7


class Guarded(MemoryCluster):
    """A cluster whose role may not list or get some kinds, nor read logs."""

    hidden = frozenset({"Event", "Node", "EndpointSlice"})

    def list(self, api_version, kind, **asked):
        self._check(kind)
        return super().list(api_version, kind, **asked)

    def get(self, ref):
        self._check(ref.kind)
        return super().get(ref)

    def logs(self, pod, container, **asked):
        raise ShardwrightError(code="cluster-forbidden", what="pods/log is forbidden")

    def _check(self, kind):
        if kind in self.hidden:
            raise ShardwrightError(code="cluster-forbidden", what=f"{kind} is forbidden")


def test_what_may_not_be_read_is_said():
    pending = pod("llama-0", phase="Pending")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "llama", "namespace": "ml", "labels": LABELS},
    }
    found = evidence_of(Guarded(pending, service), RECORD)
    assert found.unread == (
        "EndpointSlice: EndpointSlice is forbidden",
        "Event: Event is forbidden",
        "Node: Node is forbidden",
        "log of llama-0/engine: pods/log is forbidden",
    )
    assert "Event is forbidden" in found.as_files()["unread.txt"]
    assert diagnose(found).unread == found.unread
    assert "Node: Node is forbidden" in as_text(diagnose(found))
    assert as_json(diagnose(found))["unread"] == list(found.unread)


def test_a_kind_that_the_cluster_lacks_is_no_refusal():
    lacking = MemoryCluster(unserved=frozenset({"LeaderWorkerSet", "RayCluster"}))
    assert evidence_of(lacking, RECORD).unread == ()


def node(name, ready="True", reason="KubeletReady", gpus="8", left="8", **labels):
    message = "kubelet is posting ready status"
    if ready != "True":
        message = "Kubelet stopped posting node status."
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
        "status": {
            "conditions": [
                {"type": "MemoryPressure", "status": "False", "reason": "Enough"},
                {"type": "Ready", "status": ready, "reason": reason, "message": message},
            ],
            "capacity": {"cpu": "64", "nvidia.com/gpu": gpus},
            "allocatable": {"cpu": "63", "nvidia.com/gpu": left},
        },
    }


def on_node(name, phase="Running", **more):
    running = pod("llama-0", phase=phase, **more)
    running["spec"]["nodeName"] = name
    return running


def test_a_node_that_fell_silent_is_named():
    lost = node("gpu-1", ready="Unknown", reason="NodeStatusUnknown")
    first = diagnose(evidence_of(MemoryCluster(on_node("gpu-1"), lost), RECORD)).findings[0]
    assert (first.code, first.confidence >= 0.7) == ("node-not-ready", True)
    assert first.evidence[0].document == "nodes.txt"
    assert "NodeStatusUnknown" in first.cause


def test_healthy_surroundings_are_quiet():
    found = evidence_of(MemoryCluster(on_node("gpu-1"), node("gpu-1")), RECORD)
    assert "nvidia.com/gpu:NoSchedule" in found.files["nodes.txt"]
    assert diagnose(found).findings == ()


@pytest.mark.parametrize(
    ("capacity", "left", "labels", "said"),
    [
        ("8", "6", {}, "6 of its 8"),
        ("0", "0", {"nvidia.com/gpu.count": "8"}, "0 of its 8"),
    ],
)
def test_a_node_that_offers_fewer_gpus_than_it_has_explains_a_pending_pod(
    capacity, left, labels, said
):
    message = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    waiting = pod("llama-0", phase="Pending", conditions=[
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    ])  # fmt: skip
    waiting["spec"]["nodeSelector"] = {"pool": "gpu"}
    short = node("gpu-1", gpus=capacity, left=left, pool="gpu", **labels)
    other = node("cpu-1", gpus="0", left="0")
    found = evidence_of(MemoryCluster(waiting, short, other), RECORD)
    assert "cpu-1" not in found.files["nodes.txt"]
    first, second = diagnose(found).findings[:2]
    assert (first.code, second.code) == ("gpus-not-offered", "unschedulable")
    assert second.consequence_of == first.code
    assert said in first.cause


def slice_of(service, *, ready):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-x",
            "namespace": "ml",
            "labels": {"kubernetes.io/service-name": service},
        },
        "ports": [{"name": "http", "port": 8000}],
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}]
        if ready is not None
        else None,
    }


def serving(*, ready, reached):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "llama", "namespace": "ml", "labels": LABELS},
    }
    condition = {"type": "Ready", "status": str(ready)}
    running = pod("llama-0", phase="Running", conditions=[condition])
    return MemoryCluster(running, service, slice_of("llama", ready=reached))


@pytest.mark.parametrize("reached", [None, False])
def test_a_service_that_reaches_nobody_while_a_pod_is_ready_is_named(reached):
    first = diagnose(evidence_of(serving(ready=True, reached=reached), RECORD)).findings[0]
    assert (first.code, first.confidence >= 0.7) == ("service-without-endpoints", True)


def test_a_service_is_not_blamed_for_pods_that_are_not_ready():
    assert diagnose(evidence_of(serving(ready=False, reached=False), RECORD)).findings == ()
    assert diagnose(evidence_of(serving(ready=True, reached=True), RECORD)).findings == ()


class Page:
    """Answers every request with one page of metrics."""

    def __init__(self, status=200):
        self.status = status
        self.urls = []

    def send(self, url, **_):
        self.urls.append(url)
        body = (
            b"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 3.0\npython_gc 1\n"
        )
        return Reply(status=self.status, body=body)


def test_the_engines_metrics_are_read_through_the_api_server():
    running = on_node("gpu-1")
    running["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8000}]
    cluster = MemoryCluster(running, node("gpu-1"))
    cluster.client = Page()
    found = evidence_of(cluster, RECORD)
    assert cluster.client.urls == ["Pod/ml/llama-0:8000/metrics"]
    assert "num_requests_running 3.0" in found.files["llama-0/metrics.txt"]
    assert "python_gc" not in found.files["llama-0/metrics.txt"]
    cluster.client = Page(status=403)
    assert "pods/proxy" in evidence_of(cluster, RECORD).unread[0]


class Dcgm:
    """Answers as DCGM's exporter does: one GPU of the node gave Xid 79."""

    def send(self, url, **_):
        page = 'DCGM_FI_DEV_XID_ERRORS{gpu="0",Hostname="gpu-1"} 0\n'
        page += 'DCGM_FI_DEV_XID_ERRORS{gpu="5",Hostname="gpu-1"} 79\nDCGM_FI_PROF_X{} 1\n'
        return Reply(status=200 if "9400" in url else 404, body=page.encode())


def test_the_counters_of_the_nodes_gpus_are_read_from_dcgms_exporter():
    exporters = []
    for name, where in (("dcgm-a", "gpu-1"), ("dcgm-b", "gpu-2")):
        each = pod(name, phase="Running")
        each["metadata"] |= {"namespace": "gpu-operator", "labels": {"app": "nvidia-dcgm-exporter"}}
        each["spec"]["nodeName"] = where
        exporters.append(each)
    cluster = MemoryCluster(on_node("gpu-1"), node("gpu-1"), *exporters)
    cluster.client = Dcgm()
    found = evidence_of(cluster, RECORD)
    assert "gpu-1/dcgm-metrics.txt" in found.files
    assert "gpu-2/dcgm-metrics.txt" not in found.files
    first = diagnose(found).findings[0]
    assert (first.code, first.confidence >= 0.7) == ("gpu-fault", True)
    assert "GPU 5 of gpu-1: Xid 79" in first.cause


LINKS = PlannedLinks(
    num_members=2, gpus_per_member=8, scaleup="NVLink 4", fabric=parse_fabric("infiniband-400g"),
    rdma_resource="rdma/ib",
)  # fmt: skip


def test_the_record_keeps_what_was_planned_between_gpus():
    record = replace(RECORD, links=LINKS)
    assert from_object(to_object(record)) == record


def test_the_transport_of_a_deployed_endpoint_is_held_against_its_record():
    cluster = MemoryCluster(pod("llama-0", phase="Running"))
    line = "n0:8:9 [0] NCCL INFO Channel 00/0 : 8[0] -> 0[0] [receive] via NET/Socket/0\n"
    cluster.container_logs["llama-0", "engine"] = line
    ranks = tuple(
        RankPlace(rank=n, member=n // 8, pipeline=n // 8, tensor=n % 8) for n in range(16)
    )
    found = evidence_of(cluster, replace(RECORD, links=LINKS, ranks=ranks, engine="vllm"))
    assert "tensor_parallel=8, pipeline_parallel=2" in found.files["plan.txt"]
    first = diagnose(found).findings[0]
    assert (first.code, first.confidence >= 0.7) == ("nccl-tcp-not-rdma", True)
    shown = [(each.document, each.text) for each in first.evidence]
    assert ("plan.txt", "planned fabric: infiniband-400g") in shown
    assert all(f.confidence < 0.7 for f in diagnose(evidence_of(cluster, RECORD)).findings)


def test_an_object_of_the_record_that_is_gone_is_named():
    ref = ObjectRef(api_version="v1", kind="Service", name="llama", namespace="ml")
    job = ObjectRef(api_version="batch/v1", kind="Job", name="download", namespace="ml")
    found = evidence_of(MemoryCluster(), replace(RECORD, owned=(ref, job)))
    assert "Job/download" not in found.files["plan.txt"]
    first = diagnose(found).findings[0]
    assert (first.code, "Service/llama" in first.cause) == ("owned-object-missing", True)


def test_an_endpoint_in_its_second_slot_is_read_there():
    green = pod("llama-green-0", phase="Running")
    green["metadata"]["labels"] = {"app.kubernetes.io/instance": "llama-green"}
    found = evidence_of(MemoryCluster(green), replace(RECORD, slot="green"))
    assert "llama-green-0/pod.json" in found.files


def test_the_schedulers_last_word_goes_before_what_kept_a_pod_earlier():
    early = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    late = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    cluster = MemoryCluster(
        pod("llama-0", phase="Pending"),
        event("Pod", "llama-0", "FailedScheduling", late, "2026-11-26T11:00:00Z"),
        event("Pod", "llama-0", "FailedScheduling", early, "2026-11-26T10:00:00Z"),
    )
    found = evidence_of(cluster, RECORD)
    first = diagnose(found).findings[0]
    assert first.code == "unschedulable"
    assert not any("unbound" in hit.text for hit in first.evidence)
