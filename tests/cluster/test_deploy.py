"""Deployments on a real API server, with controllers and kubelets that do what theirs do.

What serves is a small process, so that every path of a deployment runs in seconds; the real engine
has tests of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.cluster.shell_endpoint import GOOD, IMAGE, endpoint

from shardwright.deploy.changes import Verb
from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.removal import find_inventory, read_inventory, remove
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.status import all_endpoints
from shardwright.deploy.target import Target
from shardwright.drive.clock import SystemClock
from shardwright.drive.kube import KubeCluster
from shardwright.model.cluster import Object, ObjectRef, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import Budgets

GOLDEN = Path(__file__).parents[1] / "golden" / "render"
BUDGETS = Budgets(
    image_pull_s=60, download_s=60, rendezvous_s=30, load_s=30, compile_s=0, graphs_s=0,
    startup_s=60, engine_ready_s=60, distributed_timeout_s=60, drain_s=1,
)  # fmt: skip


def manifests(namespace: str, command: str, image: str = IMAGE) -> tuple[Object, ...]:
    return endpoint(namespace, command, num_pods=2, container={"image": image})


def deploy(cluster: KubeCluster, namespace: str, objects: tuple[Object, ...]) -> Outcome:
    target = Target(name="small", namespace=namespace, num_pods=2, budgets=BUDGETS)
    changes = planned_changes(cluster, target, objects)
    return Rollout(cluster, SystemClock(), target, print).deploy(objects, changes)


def pod_uids(cluster: KubeCluster, namespace: str) -> set[str]:
    pods = cluster.list("v1", "Pod", namespace=namespace)
    return {pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def test_the_life_of_an_endpoint(cluster: KubeCluster, namespace: str) -> None:
    """First deployment, the same again, a change that restarts, removal."""
    objects = manifests(namespace, GOOD)
    assert deploy(cluster, namespace, objects).revision == 1
    first = pod_uids(cluster, namespace)

    again = deploy(cluster, namespace, objects)
    assert (again.result, again.revision) == (Result.UNCHANGED, 1)
    assert pod_uids(cluster, namespace) == first

    changed = manifests(namespace, GOOD + "; true")
    target = Target(name="small", namespace=namespace, num_pods=2, budgets=BUDGETS)
    said = {each.ref.kind: each for each in planned_changes(cluster, target, changed)}
    assert said["StatefulSet"].restarts
    assert said["Service"].verb is Verb.KEEP
    assert deploy(cluster, namespace, changed).revision == 2
    assert not pod_uids(cluster, namespace) & first

    (listed,) = [
        each for each in all_endpoints(cluster, namespace).endpoints if each.name == "small"
    ]
    assert (listed.revision, listed.num_ready, listed.is_ready) == (2, 2, True)

    record = find_inventory(cluster, "small", namespace)
    assert record is not None
    remove(cluster, record, purge=False)
    left = find_inventory(cluster, "small", namespace)
    assert left is not None
    assert [str(ref) for ref in left.owned] == ["PersistentVolumeClaim/small-models"]
    remove(cluster, left, purge=True)
    assert find_inventory(cluster, "small", namespace) is None


def test_deployed_again_while_the_old_claim_is_still_going(
    cluster: KubeCluster, namespace: str
) -> None:
    """A claim that is deleted stays until its last pod has ended: the new one is another."""
    objects = manifests(namespace, GOOD)
    objects[2]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 8
    deploy(cluster, namespace, objects)
    claim = cluster.get(reference(objects[0]))
    record = find_inventory(cluster, "small", namespace)
    assert record is not None
    assert claim is not None
    remove(cluster, record, purge=True)
    assert deploy(cluster, namespace, objects).result is Result.READY
    again = cluster.get(reference(objects[0]))
    assert again is not None
    assert again["metadata"]["uid"] != claim["metadata"]["uid"]
    assert "deletionTimestamp" not in again["metadata"]


def test_a_crashing_first_deployment_is_explained_and_removed(
    cluster: KubeCluster, namespace: str
) -> None:
    crash = "echo 'torch.OutOfMemoryError: CUDA out of memory.'; exit 1"
    outcome = deploy(cluster, namespace, manifests(namespace, crash))
    assert outcome.result is Result.FAILED
    assert any("ended with 1 (Error)" in each for each in outcome.problems)
    logs = [text for name, text in outcome.evidence.items() if name.endswith(".log")]
    assert any("CUDA out of memory" in text for text in logs)
    assert outcome.report is not None
    assert not outcome.report.unknown
    left = find_inventory(cluster, "small", namespace)
    assert left is not None
    assert {ref.kind for ref in left.owned} == {"PersistentVolumeClaim"}


def test_a_failed_update_brings_the_old_pods_back(cluster: KubeCluster, namespace: str) -> None:
    assert deploy(cluster, namespace, manifests(namespace, GOOD)).revision == 1
    outcome = deploy(cluster, namespace, manifests(namespace, GOOD, "Not A Valid Image"))
    assert outcome.rolled_back_to == 1
    record = read_inventory(cluster, "small", namespace)
    assert record is not None
    assert not record.pending
    (listed,) = all_endpoints(cluster, namespace).endpoints
    assert (listed.revision, listed.is_ready) == (1, True)


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("*/expected")), ids=lambda path: path.parent.name
)
def test_rendered_manifests_pass_the_servers_own_checks(
    cluster: KubeCluster, namespace: str, path: Path
) -> None:
    """Every golden, as our client applies it: schema, defaults and the controllers' webhooks."""
    order = yaml.safe_load((path / "kustomization.yaml").read_text())["resources"]
    for name in order:
        for obj in yaml.safe_load_all((path / name).read_text()):
            obj["metadata"]["namespace"] = namespace  # the golden's own need not exist here
            if not cluster.serves(obj["apiVersion"], obj["kind"]):
                pytest.skip(f"this cluster does not serve {obj['kind']}")
            applied = cluster.apply(obj, dry_run=True)
            assert reference(applied) == reference(obj)
            assert cluster.get(reference(obj)) is None


def test_what_the_server_refuses_is_said_in_our_words(cluster: KubeCluster, namespace: str) -> None:
    service = manifests(namespace, GOOD)[1]
    with pytest.raises(ShardwrightError) as refused:
        cluster.apply(service | {"spec": {"ports": [{"port": 99999999}]}}, dry_run=True)
    assert refused.value.code == "object-refused"
    assert "99999999" in refused.value.what
    unknown = ObjectRef(api_version="no.such.group/v1", kind="Thing", name="a", namespace=namespace)
    assert not cluster.serves(unknown.api_version, unknown.kind)
    with pytest.raises(ShardwrightError) as not_served:
        cluster.get(unknown)
    assert not_served.value.code == "kind-not-served"
    assert cluster.may("patch", reference(service))
