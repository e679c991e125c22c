"""An endpoint of a cluster, and a load for it."""

from shardwright.bench.aiperf import Target
from shardwright.bench.endpoint import find_endpoint
from shardwright.bench.job import PodTool
from shardwright.bench.scenario import Scenario
from shardwright.drive.kube_memory import MemoryCluster

LABELS = {"app.kubernetes.io/instance": "llama", "app.kubernetes.io/component": "serving"}
AIPERF = PodTool(name="aiperf", image="corp.example/aiperf:1")
VLLM = PodTool(name="vllm", image="vllm/vllm-openai:v0.33.0")
SCENARIO = Scenario(
    concurrency=4, requests_per_s=None, input_tokens=100, output_tokens=10, prefix_tokens=40,
    num_requests=60, num_warmup=4, input_stddev=20.0,
)  # fmt: skip
TARGET = Target(url="http://llama.ml.svc:8000", model="m", tokenizer="/t")


def service(name="llama", **spec):
    spec = {"clusterIP": "10.0.0.1", "selector": {"role": "leader"},
            "ports": [{"name": "http", "port": 8000}], **spec}  # fmt: skip
    meta = {"name": name, "namespace": "ml", "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def pod(name="llama-0", ready=True, role="leader"):
    times = {"PodScheduled": "12:00:05Z", "Initialized": "12:01:00Z", "Ready": "12:03:00Z"}
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": f"2026-11-26T{at}"}
        for kind, at in times.items()
        if ready or kind != "Ready"
    ]
    container = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.33.0",
        "command": ["vllm", "serve", "/models/meta/llama"],
        "args": ["--served-model-name", "meta/llama"],
        "env": [{"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": "k", "key": "a"}}}],
        "volumeMounts": [
            {"name": "models", "mountPath": "/models"}, {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "ml", "labels": {**LABELS, "role": role},
            "creationTimestamp": "2026-11-26T12:00:00Z",
        },
        "spec": {
            "nodeName": "gpu-1", "containers": [container],
            "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "m"}},
                        {"name": "shm", "emptyDir": {}}],
        },
        "status": {"conditions": conditions},
    }  # fmt: skip


def endpoint():
    return find_endpoint(MemoryCluster(service(), pod()), "llama", "ml")
