"""The hardware check on real pods: two members over Gloo, on the nodes of the test bed."""

from pathlib import Path

import pytest

from shardwright import shape
from shardwright.deploy.hardware import check_hardware, check_objects
from shardwright.drive.clock import SystemClock
from shardwright.drive.kube import connect
from shardwright.launch.build import build_launch_plan
from shardwright.launch.hardware import hardware_check
from shardwright.model.cluster import ObjectRef, reference
from shardwright.model.request import Fabric, FabricKind
from shardwright.planner.plan import make_plan
from shardwright.spec.load import load
from shardwright.verify.hardware_expected import Expected
from shardwright.verify.hardware_rules import judge

SPEC = """
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: hw, namespace: {space}}}
spec:
  model: {{id: meta-llama/Llama-3.1-405B-Instruct-FP8}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: 2, fabric: infiniband-400g}}
  parallelism: {{tensor: 8, pipeline: 2}}
"""


@pytest.fixture
def space(kubeconfig: Path):
    name = "shardwright-test-hardware"
    ref = ObjectRef(api_version="v1", kind="Namespace", name=name)
    with connect(kubeconfig) as cluster:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield name
        cluster.delete(ref)


def test_two_pods_measure_each_other_and_leave_nothing(kubeconfig, space):
    request = load(SPEC.format(space=space), "spec.yaml").request
    model = shape.load(request.model.id)
    plan = build_launch_plan(request, model, make_plan(request, model))
    check = hardware_check(
        plan, image="testbed.local/vllm-cpu:1", cpu_ranks=2, seconds=150, has_claim=False
    )
    with connect(kubeconfig) as cluster:
        checked = check_hardware(cluster, SystemClock(), check, print)
        assert [cluster.get(reference(o)) for o in check_objects(check)] == [None, None, None]
    assert checked.problems == ()
    assert [m.member for m in checked.members] == [0, 1]
    assert all(not m.names and not any(r.error for r in m.ranks) for m in checked.members)
    fabric = Fabric(kind=FabricKind.ETHERNET, bits_per_s=10**9)
    verdict = judge(
        Expected(plan=check, gpu=None, fabric=fabric, read_bytes_per_s=None), checked.members
    )
    assert verdict.passed, verdict.findings
    rates = {row.check for row in verdict.rows}
    assert {"all-reduce inside", "all-reduce of the group", "send/recv 0 to 2"} <= rates
