"""The evidence of a deployed endpoint, and what the doctor says of it."""

from shardwright.deploy.evidence import diagnose, evidence_of
from shardwright.drive.kube_memory import MemoryCluster

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
