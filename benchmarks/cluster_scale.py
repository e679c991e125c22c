"""What `list`, `status` and preflight cost on a large cluster. Run by `make bench-scale`.

Needs the test bed with kwok (`python -m testbed up --with kuberay,lws,kwok`), which acts out 1,000
nodes of eight GPUs and 200 endpoints of two pods. Every command is a process of its own, run five
times; the least of each figure counts, since other work only adds. Writes docs/scale.md.
"""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.layout import kubeconfig_path

from shardwright.deploy.inventory import Inventory, to_object
from shardwright.drive.kube import KubeCluster, connect
from shardwright.model.cluster import Object, ObjectRef

ROOT = Path(__file__).parents[1]
NUM_NODES, NUM_ENDPOINTS, RUNS = 1_000, 200, 5
LIMIT_S, LIMIT_MB = 2.0, 200
LABELS = {
    "app.kubernetes.io/managed-by": "shardwright",
    "app.kubernetes.io/component": "serving",
}
SPEC = """\
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: newcomer, namespace: {namespace}}}
spec:
  model: {{id: meta-llama/Llama-3.1-405B-Instruct-FP8}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: 2}}
  parallelism: {{tensor: 8, pipeline: 2}}
  launch: statefulset
"""
PAGE = """# On a large cluster

{nodes:,} nodes of eight GPUs and {endpoints} endpoints of two pods, acted out by kwok on the
test bed: a real API server of Kubernetes 1.34.4, on two cores that ran it, etcd and other work
as well. Each figure is the least of {runs} runs of the command as a process of its own; the
elapsed time holds the start of Python and the API server's own work. The machine's load average
over the last five minutes was {load:.0f}: above 2, commands waited for processors, and the
elapsed time says so.

| Command | Elapsed | Processor | Memory |
|---|---|---|---|
{rows}
The aim is {limit} s elapsed and {mb} MB. `status --watch` and a deployment that waits list the pods
of one endpoint by label every two seconds, some kilobytes each, however large the cluster is.

Written by `benchmarks/cluster_scale.py`; do not edit.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one run: seconds elapsed, of processor time, and the most memory, MB (10^6 bytes)."""

    elapsed_s: float
    cpu_s: float
    memory_mb: float


def a_node(number: int) -> Object:
    """Describe a node for kwok."""
    meta = {"name": f"fake-{number}", "labels": {"type": "kwok"}}
    sizes = {"nvidia.com/gpu": "8", "cpu": "96", "memory": "1Ti", "pods": "110"}
    taint = {"key": "kwok.x-k8s.io/node", "effect": "NoSchedule"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": meta,
        "spec": {"taints": [taint]},
        "status": {"capacity": sizes, "allocatable": sizes},
    }


def a_pod(endpoint: int, member: int, namespace: str) -> Object:
    """Describe a member of an endpoint, bound to a node."""
    labels = LABELS | {"app.kubernetes.io/instance": f"endpoint-{endpoint}"}
    meta = {"name": f"endpoint-{endpoint}-{member}", "namespace": namespace, "labels": labels}
    gpus = {"limits": {"nvidia.com/gpu": "8"}, "requests": {"nvidia.com/gpu": "8"}}
    container = {"name": "vllm", "image": "none", "resources": gpus}
    spec = {"nodeName": f"fake-{2 * endpoint + member}", "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


@contextmanager
def crowd(cluster: KubeCluster, namespace: str) -> Iterator[None]:
    """Fill the cluster, wait until every pod is ready, and empty it again."""
    with ThreadPoolExecutor(4) as pool:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        cluster.apply(space)
        try:
            list(pool.map(cluster.apply, map(a_node, range(NUM_NODES))))
            members = [(e, m, namespace) for e in range(NUM_ENDPOINTS) for m in (0, 1)]
            list(pool.map(lambda each: cluster.apply(a_pod(*each)), members))
            for number in range(NUM_ENDPOINTS):
                record = Inventory(name=f"endpoint-{number}", namespace=namespace, revision=1)
                cluster.apply(to_object(record))
            wait_ready(cluster, namespace)
            yield
        finally:
            cluster.delete(ObjectRef(api_version="v1", kind="Namespace", name=namespace))
            nodes = [f"fake-{number}" for number in range(NUM_NODES)]
            refs = [ObjectRef(api_version="v1", kind="Node", name=name) for name in nodes]
            list(pool.map(cluster.delete, refs))


def wait_ready(cluster: KubeCluster, namespace: str) -> None:
    """Wait until kwok says that every pod is ready."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        pods = cluster.list("v1", "Pod", namespace=namespace)
        conditions = [pod.get("status", {}).get("conditions", []) for pod in pods]
        if sum(any(c["type"] == "Ready" for c in each) for each in conditions) == len(pods):
            return
        time.sleep(2)
    sys.exit("pods did not become ready: is the bed up with kwok?")


def cost(*argv: str) -> Cost:
    """Run shardwright with these words, and say what it took."""
    began = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, dict(os.environ), file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ])  # fmt: skip
    _, status, used = os.wait4(pid, 0)
    elapsed = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 1):
        sys.exit(f"{' '.join(argv)} ended with {code}")
    return Cost(
        elapsed_s=elapsed,
        cpu_s=used.ru_utime + used.ru_stime,
        memory_mb=used.ru_maxrss * 1024 / 1e6,
    )


def least(argv: list[str]) -> Cost:
    """Return the least of each figure."""
    runs = [cost(*argv) for _ in range(RUNS)]
    return Cost(
        elapsed_s=min(each.elapsed_s for each in runs),
        cpu_s=min(each.cpu_s for each in runs),
        memory_mb=min(each.memory_mb for each in runs),
    )


def main() -> int:
    """Measure, print, write the page; 1 if a figure misses its limit."""
    namespace = f"scale-{uuid.uuid4().hex[:6]}"
    config = kubeconfig_path()
    spec = Path(f"/tmp/{namespace}.yaml")
    spec.write_text(SPEC.format(namespace=namespace), encoding="utf-8")
    program = str(Path(sys.executable).with_name("shardwright"))
    commands = {
        "list": ["list"],
        "status NAME": ["status", "endpoint-7", "-n", namespace],
        "deploy --dry-run (with preflight)": ["deploy", str(spec), "--dry-run"],
    }
    rows, missed = [], False
    with connect(config) as cluster, crowd(cluster, namespace):
        for name, words in commands.items():
            found = least([program, *words, "--kubeconfig", str(config)])
            missed |= found.elapsed_s > LIMIT_S or found.memory_mb > LIMIT_MB
            row = f"{found.elapsed_s:.2f} s | {found.cpu_s:.2f} s | {found.memory_mb:.0f} MB"
            rows.append(f"| `{name}` | {row} |\n")
            print(rows[-1], end="")
    spec.unlink()
    page = PAGE.format(
        nodes=NUM_NODES, endpoints=NUM_ENDPOINTS, runs=RUNS, rows="".join(rows), limit=LIMIT_S,
        mb=LIMIT_MB, load=os.getloadavg()[1],
    )  # fmt: skip
    (ROOT / "docs" / "scale.md").write_text(page, encoding="utf-8")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
