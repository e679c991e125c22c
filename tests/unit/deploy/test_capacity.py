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


def init(count, *, sidecar=False):
    container = {"resources": {"limits": {GPU: str(count)}}}
    return container | ({"restartPolicy": "Always"} if sidecar else {})


@pytest.mark.parametrize(
    ("inits", "left"),
    [
        ([init(2)], 5),  # ends before the containers with their 3 start
        ([init(6)], 2),  # holds more than they will
        ([init(2, sidecar=True)], 3),  # runs beside them
        ([init(2, sidecar=True), init(5)], 1),  # runs beside the init container after it
        ([init(5), init(2, sidecar=True)], 3),  # and not beside the one before
    ],
)
def test_init_containers_and_sidecars_count_as_the_scheduler_counts_them(inits, left):
    held = pod("Running", 2, 1)
    held["spec"]["initContainers"] = inits
    assert free(held) == left


def test_an_amount_with_a_suffix_is_read_and_no_error():
    assert free(pod("Pending", "1k")) == 8 - 1000
