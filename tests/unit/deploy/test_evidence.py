"""The evidence of a deployed endpoint, and what the doctor says of it."""

from shardwright.deploy.evidence import diagnose, evidence_of
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.errors import ShardwrightError

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
    found = evidence_of(MemoryCluster(killed, claim("Bound")), "llama", "ml")
    assert {"llama-0/pod.json", "claims.json"} <= set(found)
    assert "managedFields" not in found["llama-0/pod.json"]
    assert diagnose(found).findings[0].code == "host-oom-killed"


def test_unschedulable_pod_is_named():
    message = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pending = pod("llama-0", phase="Pending", conditions=[{**condition, "message": message}])
    first = diagnose(evidence_of(MemoryCluster(pending), "llama", "ml")).findings[0]
    assert (first.code, first.confidence >= 0.7) == ("unschedulable", True)


def test_other_endpoints_are_left_out():
    other = pod("other-0", phase="Pending")
    other["metadata"]["labels"] = {"app.kubernetes.io/instance": "other"}
    assert evidence_of(MemoryCluster(other), "llama", "ml") == {}


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
    found = evidence_of(MemoryCluster(claim("Pending"), said, other), "llama", "ml")
    assert "storageclass not found" in found["events.txt"]
    assert "no matter" not in found["events.txt"]


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
    found = evidence_of(MemoryCluster(workload, refused), "llama", "ml")
    assert "exceeded quota" in found["events.txt"]
    assert diagnose(found).findings[0].confidence >= 0.7


def test_events_that_may_not_be_read_are_said_to_be_missing():
    class Guarded(MemoryCluster):
        def list(self, api_version, kind, **asked):
            if kind == "Event":
                raise ShardwrightError(code="forbidden", what="may not list events")
            return super().list(api_version, kind, **asked)

    found = evidence_of(Guarded(pod("llama-0", phase="Pending")), "llama", "ml")
    assert "may not list events" in found["events.txt"]


def test_the_schedulers_last_word_goes_before_what_kept_a_pod_earlier():
    early = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    late = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    cluster = MemoryCluster(
        pod("llama-0", phase="Pending"),
        event("Pod", "llama-0", "FailedScheduling", late, "2026-11-26T11:00:00Z"),
        event("Pod", "llama-0", "FailedScheduling", early, "2026-11-26T10:00:00Z"),
    )
    found = evidence_of(cluster, "llama", "ml")
    assert "unbound" not in found["events.txt"]
    assert diagnose(found).findings[0].code == "unschedulable"
