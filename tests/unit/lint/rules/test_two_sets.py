"""One group of ranks in two StatefulSets: a leader's and its workers'."""

import pytest

GROUP = """
apiVersion: v1
kind: Service
metadata: {{name: group, namespace: llm}}
spec: {{clusterIP: None, publishNotReadyAddresses: true, selector: {{app: v}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: head, namespace: llm}}
spec:
  serviceName: group
  podManagementPolicy: Parallel
  updateStrategy: {{type: OnDelete}}
  selector: {{matchLabels: {{app: v, role: head}}}}
  template:
    metadata: {{labels: {{app: v, role: head}}}}
    spec:
      containers:
      - name: vllm
        image: {image}
        command: [bash, -c, '{head}']
        resources: {{limits: {{nvidia.com/gpu: 8, memory: 100Gi}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: worker, namespace: llm}}
spec:
  serviceName: group
  replicas: {workers}
  ordinals: {{start: {start}}}
  podManagementPolicy: Parallel
  updateStrategy: {{type: OnDelete}}
  selector: {{matchLabels: {{app: v, role: worker}}}}
  template:
    metadata: {{labels: {{app: v, role: worker}}}}
    spec:
      containers:
      - name: vllm
        image: {image}
        env:
        - name: INDEX
          valueFrom: {{fieldRef: {{fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}}}
        command: [bash, -c, '{worker}']
        resources: {{limits: {{nvidia.com/gpu: {worker_gpus}, memory: 100Gi}}}}
"""


def ray(workers, worker_gpus=8, pipeline=2):
    engine = "vllm serve m --distributed-executor-backend ray --tensor-parallel-size 8"
    return GROUP.format(
        image="example/vllm-ray:v0.9.1",
        head=f"ray start --head --port=6379 && {engine} --pipeline-parallel-size {pipeline}",
        worker="ray start --address=head-0.group:6379 --block",
        workers=workers, worker_gpus=worker_gpus, start=0,
    )  # fmt: skip


def torch(workers, nodes=2, start=1, rank="$INDEX"):
    engine = f"vllm serve m -tp 8 -pp {workers + 1} --nnodes {nodes} --master-addr head-0.group"
    return GROUP.format(
        image="vllm/vllm-openai:v0.33.0",
        head=f"{engine} --node-rank 0",
        worker=f"{engine} --node-rank {rank} --headless",
        workers=workers, worker_gpus=8, start=start,
    )  # fmt: skip


COUNTS = {"gpus-do-not-match-ranks", "group-size-mismatch", "node-rank-wrong"}


@pytest.mark.parametrize("text", [ray(1), ray(3, pipeline=4), torch(1), torch(3, nodes=4)])
def test_groups_that_add_up_earn_nothing(linted, text):
    assert not linted(text).codes & COUNTS


def test_ranks_are_held_against_the_gpus_of_head_and_workers_together(linted):
    few = linted(ray(1, worker_gpus=4))
    assert "gpus-do-not-match-ranks" in few.errors
    found = few.one("gpus-do-not-match-ranks")
    assert found.what == "vLLM starts 16 ranks (TP=8 x PP=2); the group of 2 pods has 12 GPUs"
    many = linted(ray(2))
    assert "gpus-do-not-match-ranks" in many.codes - many.errors


def test_nodes_are_held_against_the_pods_of_both_sets(linted):
    found = linted(torch(1, nodes=3)).one("group-size-mismatch")
    assert found.what == "the engine waits for 3 nodes; the group has 2 pods"


def test_workers_that_count_from_0_take_the_leaders_rank(linted):
    found = linted(torch(1, start=0)).one("node-rank-wrong")
    assert found.object == "StatefulSet/llm/worker"
    assert found.what == (
        "pods of worker count from 0, so its first has node rank 0, which is that of head"
    )
    assert "node-rank-wrong" not in linted(torch(1, start=0, rank="$((INDEX + 1))")).codes
