"""GPUs that are there, less those that pods hold now."""

import pytest

from shardwright.deploy.capacity import usable_gpus
from shardwright.model.launch import Placement

GPU = "nvidia.com/gpu"
NODE = {"metadata": {"name": "a"}, "status": {"allocatable": {GPU: "8"}}}


def pod(phase, *limits, node="a"):
    containers = [{"resources": {"limits": {GPU: str(n)}} if n else {}} for n in limits]
    return {"spec": {"nodeName": node, "containers": containers}, "status": {"phase": phase}}


def free(*pods):
    placement = Placement(gpu_resource=GPU, gpu_product="H100-SXM")
    (node,) = usable_gpus([NODE], pods, placement)
    return node.free


@pytest.mark.parametrize(
    ("phase", "left"), [("Running", 3), ("Pending", 3), ("Succeeded", 8), ("Failed", 8)]
)
def test_a_pod_holds_its_gpus_until_it_has_ended(phase, left):
    assert free(pod(phase, 4, 0, 1)) == left


def test_pods_of_other_nodes_and_of_none_take_nothing_here():
    assert free(pod("Running", 4, node="b"), pod("Pending", 4, node=None)) == 8
