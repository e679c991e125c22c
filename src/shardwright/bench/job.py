"""A bench as a plain Kubernetes Job beside the endpoint: no port-forward in between."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

from shardwright.bench import aiperf, vllm_bench
from shardwright.bench.aiperf import Target, aiperf_config
from shardwright.bench.endpoint import COMPONENT, INSTANCE, Endpoint
from shardwright.bench.scenario import Scenario
from shardwright.model.cluster import Object
from shardwright.model.errors import usage_error

AIPERF_IMAGE = f"nvcr.io/nvidia/aiperf:{aiperf.VERSION}"
"""What AIPerf itself deploys. Source: aiperf/cli_commands/kube/_kube_common.py of 0.13.0."""

FOLDER, SCRIPT, ASKED = "/etc/shardwright-bench", "send_load.py", "load.json"
WORK = "/tmp/bench"  # noqa: S108  (an emptyDir of the pod)
MOST_BYTES = 900_000  # a ConfigMap holds 1 MiB
DEADLINE_S = 6 * 3600
KEPT_S = 900
"""Seconds after its end that a Job waits to be read, before the cluster itself removes it."""
GRACE_S = 5
"""Seconds that a pod may take to end; nothing of an interrupted load is worth waiting for."""
CPU, MEMORY = "1", "4Gi"  # what is asked for; more cores are used where they are idle


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTool:
    """Which load tool runs in which image."""

    name: str
    image: str

    @property
    def is_aiperf(self) -> bool:
        """Whether it is AIPerf; else `vllm bench serve`."""
        return self.name == "aiperf"


def job_objects(
    name: str,
    tool: PodTool,
    endpoint: Endpoint,
    scenario: Scenario,
    target: Target,
    trace: str | None,
) -> tuple[Object, Object]:
    """Write the ConfigMap and the Job. trace: the content of the scenario's trace file."""
    asked = json.dumps(_asked(tool, scenario, target, trace), sort_keys=True)
    if len(asked) > MOST_BYTES:
        raise usage_error(
            "trace-too-large",
            f"the trace makes {len(asked):,} bytes, and a ConfigMap holds {MOST_BYTES:,}",
            remedy="cut the trace, or pass the endpoint's URL and send it from here",
        )
    meta = {
        "name": name,
        "namespace": endpoint.namespace,
        "labels": {
            "app.kubernetes.io/managed-by": "shardwright",
            INSTANCE: endpoint.name,
            COMPONENT: "bench",
        },
    }
    script = (resources.files("shardwright.bench.pods") / SCRIPT).read_text(encoding="utf-8")
    config: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta,
        "data": {SCRIPT: script, ASKED: asked},
    }
    job: Object = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta,
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_S,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {
                "metadata": {"labels": meta["labels"]},
                "spec": _pod(name, tool, endpoint),
            },
        },
    }
    return config, job


def owned(config: Object, job: Object) -> Object:
    """The ConfigMap as the property of the Job the cluster has: it goes when the Job goes."""
    owner = {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
    }
    return config | {"metadata": config["metadata"] | {"ownerReferences": [owner]}}


def _pod(config: str, tool: PodTool, endpoint: Endpoint) -> Object:
    out: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_S,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "tolerations": list(endpoint.tolerations),
        "imagePullSecrets": list(endpoint.pull_secrets),
        "containers": [_container(tool, endpoint)],
        "volumes": [
            {"name": "bench", "configMap": {"name": config}},
            {"name": "work", "emptyDir": {}},
            *endpoint.volumes,
        ],
    }
    if endpoint.volumes and endpoint.node:
        # a claim that one node at a time may mount is mounted where the endpoint is
        term = {"weight": 100, "preference": {"matchFields": [
            {"key": "metadata.name", "operator": "In", "values": [endpoint.node]}]}}  # fmt: skip
        out["affinity"] = {
            "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}
        }
    return out


def _container(tool: PodTool, endpoint: Endpoint) -> Object:
    env: list[Object] = [{"name": "HOME", "value": WORK}]
    if endpoint.api_key is not None:
        variable = aiperf.API_KEY_VARIABLE if tool.is_aiperf else vllm_bench.API_KEY_VARIABLE
        env.append({**endpoint.api_key, "name": variable})
    return {
        "name": "bench",
        "image": tool.image,
        "command": ["python3", f"{FOLDER}/{SCRIPT}", f"{FOLDER}/{ASKED}"],
        "env": env,
        "resources": {"requests": {"cpu": CPU, "memory": MEMORY}, "limits": {"memory": MEMORY}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "bench", "mountPath": FOLDER, "readOnly": True},
            {"name": "work", "mountPath": WORK},
            *endpoint.mounts,
        ],
    }


def _asked(tool: PodTool, scenario: Scenario, target: Target, trace: str | None) -> Object:
    files = {} if trace is None else {"trace.jsonl": trace}
    if tool.is_aiperf:
        config = aiperf_config(scenario, target, f"{WORK}/out")
        return {
            "argv": ["aiperf", "profile", "--config", f"{WORK}/aiperf.json"],
            "env": {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
            "files": files | {"aiperf.json": json.dumps(config)},
            "results": [
                aiperf.SUMMARY, aiperf.RECORDS, aiperf.SERVER_METRICS, aiperf.SERVER_SERIES,
                aiperf.GPU_SERIES,
            ],
        }  # fmt: skip
    if trace is not None:
        files = {"trace.jsonl": vllm_bench.with_blocks(trace)}
    return {
        "argv": vllm_bench.vllm_bench_argv(scenario, target, f"{WORK}/out"),
        "env": {
            "DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1",
            # its bar and phases are how far it is: unbuffered, and seldom written
            "PYTHONUNBUFFERED": "1", "TQDM_MININTERVAL": "5",
        },
        "files": files,
        "results": [vllm_bench.RESULT],
    }  # fmt: skip
