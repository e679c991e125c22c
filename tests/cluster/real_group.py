"""A group in which the real engine serves, in a namespace that is gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.stock import ENGINE_IMAGE

from shardwright.cli.cluster_drill import Group
from shardwright.cli.progress import Progress
from shardwright.cli.rehearse_cluster import (
    Where,
    endpoint_client,
    own_namespace,
    scene_of,
    start_group,
)
from shardwright.cli.resolve import resolve
from shardwright.deploy.rollout import Outcome
from shardwright.drive.kube import connect
from shardwright.drive.kubectl import Kubectl

SPEC = """\
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: {name}}}
spec:
  model: {{id: {model}}}
  engine: {{name: vllm{image}}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 1, nodes: {pods}}}
  parallelism: {{tensor: 1, pipeline: {pods}}}
  storage: {storage}
  launch: {launch}
"""


@contextmanager
def standing(
    name: str, launch: str, kubeconfig: Path, folder: Path, storage: str = "{}"
) -> Iterator[tuple[Group, Outcome]]:
    """Rehearse 70B at TP=1 PP=2 until it serves, or 8B in the one pod that a Deployment has.

    storage: its spec.storage.
    """
    model, pods = ("8B", 1) if launch == "deployment" else ("70B", 2)
    image = ", image: 'registry.example/vllm-with-ray:0.33.0'" if "ray" in launch else ""
    spec = folder / "spec.yaml"
    spec.write_text(
        SPEC.format(
            name=name, launch=launch, image=image, storage=storage, pods=pods,
            model=f"meta-llama/Llama-3.1-{model}-Instruct",
        )
    )  # fmt: skip
    where = Where(kubeconfig=kubeconfig, context=None, image=ENGINE_IMAGE, out=folder)
    scene, _ = scene_of(resolve(spec), folder, None, where)
    with connect(kubeconfig) as cluster, own_namespace(cluster, scene, Progress()):
        outcome = start_group(cluster, scene)
        client = endpoint_client(cluster, scene)
        yield (
            Group(
                plan=scene.plan, cluster=cluster,
                kubectl=Kubectl(kubeconfig=kubeconfig, context=None),
                ask=lambda: client.chat("Which layers does stage 1 hold?", 4, timeout_s=30),
            ),
            outcome,
        )  # fmt: skip
