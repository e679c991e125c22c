"""A first spec file, commented, from a few answers."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.spec.load import name_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What `shardwright init` asks."""

    model: str
    gpu: str
    gpus_per_node: int
    nodes: int
    fabric: str | None
    concurrency: int


def starter(answers: Answers) -> str:
    """Write a spec file that loads as it is and shows the next fields as comments."""
    fabric = ""
    if answers.fabric:
        fabric = f"\n    fabric: {answers.fabric}"
    elif answers.nodes > 1:
        fabric = "\n    # fabric: infiniband-400g      # between nodes; or roce-200g, ethernet-100g"
    return f"""\
# For completion in editors: shardwright schema > shardwright.schema.json
# yaml-language-server: $schema=./shardwright.schema.json
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata:
  name: {name_from(answers.model)}
  # namespace: default
spec:
  model:
    id: {answers.model}
    # revision: main               # pin it for repeatable deployments
  cluster:
    gpu: {answers.gpu}
    gpusPerNode: {answers.gpus_per_node}
    nodes: {answers.nodes}{fabric}
    # rdmaResource: rdma/ib        # the name your RDMA device plugin gives its resource
  parallelism: auto                # or {{tensor: 8, pipeline: 2}}
  # launch: auto                   # deployment, lws, statefulset, ray-statefulset, kuberay, mpi
  workload:
    inputTokens: 2048
    outputTokens: 256
    concurrency: {answers.concurrency}
  # slo: {{ttftMs: 800, itlMs: 40, percentile: 95}}
  # storage: {{claim: model-cache}}  # an existing claim; one is created if left out
  # access: {{hfTokenSecret: hf-token}}
"""
