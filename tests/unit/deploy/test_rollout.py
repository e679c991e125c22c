"""Deployments against an API server in memory: what is applied, recorded, said and undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shardwright.deploy.changes import Verb
from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.inventory import COMPONENT, Inventory, inventory_ref, to_object
from shardwright.deploy.logs import chosen_pod
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.removal import find_inventory, read_inventory, remove
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.status import all_endpoints, endpoint_status
from shardwright.deploy.target import Event, Moved, Target, Told
from shardwright.deploy.watching import stale_pods
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import Object, ObjectRef, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import Budgets

LABELS = {
    "app.kubernetes.io/managed-by": "shardwright",
    "app.kubernetes.io/instance": "llama",
    "app.kubernetes.io/component": "serving",
}
BUDGETS = Budgets(
    image_pull_s=100, download_s=200, rendezvous_s=30, load_s=100, compile_s=0, graphs_s=0,
    startup_s=300, engine_ready_s=300, distributed_timeout_s=300, drain_s=10,
)  # fmt: skip
TARGET = Target(name="llama", namespace="ml", num_pods=2, budgets=BUDGETS)


def an_object(api_version: str, kind: str, name: str, spec: Any) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "ml", "labels": LABELS},
        "spec": spec,
    }


def manifests(image: str = "vllm:1") -> tuple[Object, ...]:
    template = {"spec": {"containers": [{"name": "vllm", "image": image}]}}
    return (
        an_object("v1", "PersistentVolumeClaim", "llama-models", {"accessModes": ["RWX"]}),
        an_object("v1", "Service", "llama", {"ports": [{"port": 8000}]}),
        an_object("apps/v1", "StatefulSet", "llama", {"replicas": 2, "template": template}),
    )


READY: Object = {
    "conditions": [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "True"},
    ]
}
CREATING: Object = {"conditions": [{"type": "PodScheduled", "status": "True"}]}


def crashed(restarts: int) -> Object:
    ended = {"exitCode": 1, "reason": "Error"}
    container = {
        "name": "vllm",
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }
    return CREATING | {"containerStatuses": [container]}


def pod(index: int, status: Object) -> Object:
    obj = an_object("v1", "Pod", f"llama-{index}", {"containers": [{"name": "vllm"}]})
    return obj | {"status": status}


class Kubelet:
    """A clock whose every sleep gives both pods the next status."""

    def __init__(self, cluster: MemoryCluster, *statuses: Object) -> None:
        self.cluster = cluster
        self.statuses = list(statuses)
        self.time = 0.0
        self._step()

    def _step(self) -> None:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        for index in (0, 1):
            self.cluster.put(pod(index, status))

    def now(self) -> float:
        return self.time

    def sleep(self, duration_s: float) -> None:
        self.time += duration_s
        self._step()


def deploy(
    cluster: MemoryCluster,
    clock: Kubelet,
    objects: tuple[Object, ...],
    tell: Callable[[Event], None] = lambda _: None,
    *,
    rollback: bool = True,
    target: Target = TARGET,
) -> Outcome:
    changes = planned_changes(cluster, target, objects)
    return Rollout(cluster, clock, target, tell).deploy(objects, changes, rollback=rollback)


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


def kinds(cluster: MemoryCluster) -> set[str]:
    return {ref.kind for ref in cluster.objects} - {"Pod"}


class Leaving(Kubelet):
    """The claim of the endpoint before is being deleted, and goes after some seconds."""

    def __init__(self, cluster: MemoryCluster, gone_at: float) -> None:
        self.claim = reference(manifests()[0])
        self.gone_at = gone_at
        claim = {**manifests()[0], "spec": {"accessModes": ["old"]}}
        meta = {**claim["metadata"], "deletionTimestamp": "2026-11-27T10:00:00Z"}
        cluster.put({**claim, "metadata": {**meta, "finalizers": ["kubernetes.io/pvc-protection"]}})
        super().__init__(cluster, READY)

    def _step(self) -> None:
        claim = self.cluster.get(self.claim)
        if self.time >= self.gone_at and claim and "deletionTimestamp" in claim["metadata"]:
            self.cluster.delete(self.claim)
        super()._step()


def test_a_claim_that_is_being_deleted_is_waited_for_and_made_anew(cluster: MemoryCluster) -> None:
    told: list[Event] = []
    outcome = deploy(cluster, Leaving(cluster, 5), manifests(), told.append)
    assert outcome.result is Result.READY
    claim = cluster.get(reference(manifests()[0]))
    assert claim is not None
    assert "deletionTimestamp" not in claim["metadata"]
    assert claim["spec"] == {"accessModes": ["RWX"]}
    said = [each.text for each in told if isinstance(each, Told)]
    assert said == [
        "PersistentVolumeClaim/llama-models is being deleted: waiting up to 600 s for it to go"
    ]


def test_a_claim_that_never_goes_is_named_with_what_holds_it(cluster: MemoryCluster) -> None:
    with pytest.raises(ShardwrightError) as caught:
        deploy(cluster, Leaving(cluster, 10_000), manifests())
    assert caught.value.code == "object-does-not-go"
    assert caught.value.cause == "it waits for kubernetes.io/pvc-protection"


def test_a_job_fills_a_claim_again_that_is_made_anew(cluster: MemoryCluster) -> None:
    claimed = {"persistentVolumeClaim": {"claimName": "llama-models"}}
    template = {"spec": {"volumes": [claimed]}}
    job = an_object("batch/v1", "Job", "llama-download", {"template": template})
    claim, *rest = manifests()
    objects = (claim, job, *rest)
    assert deploy(cluster, Kubelet(cluster, READY), objects).result is Result.READY
    kept = planned_changes(cluster, TARGET, objects)
    assert {each.verb for each in kept} == {Verb.KEEP}
    cluster.delete(reference(claim))
    verbs = {each.ref.kind: each.verb for each in planned_changes(cluster, TARGET, objects)}
    assert (verbs["PersistentVolumeClaim"], verbs["Job"]) == (Verb.CREATE, Verb.REPLACE)
    assert verbs["Service"] is Verb.KEEP


def test_pods_that_a_scaler_added_are_none_too_many(cluster: MemoryCluster) -> None:
    least = replace(TARGET, num_pods=1, may_have_more=True)
    outcome = deploy(cluster, Kubelet(cluster, CREATING, READY), manifests(), target=least)
    assert outcome.result is Result.READY


def test_a_first_deployment_is_recorded_as_revision_1(cluster: MemoryCluster) -> None:
    told: list[Event] = []
    outcome = deploy(cluster, Kubelet(cluster, CREATING, CREATING, READY), manifests(), told.append)
    assert (outcome.result, outcome.revision, outcome.seconds) == (Result.READY, 1, 4.0)
    record = read_inventory(cluster, "llama", "ml")
    assert record is not None
    assert not record.pending
    assert [str(ref) for ref in record.owned] == [
        "PersistentVolumeClaim/llama-models",
        "Service/llama",
        "StatefulSet/llama",
    ]
    moved = [(each.pod.name, each.pod.stage.value) for each in told if isinstance(each, Moved)]
    assert moved == [
        ("llama-0", "image"), ("llama-1", "image"), ("llama-0", "ready"), ("llama-1", "ready"),
    ]  # fmt: skip


def test_a_second_deployment_of_the_same_changes_nothing(cluster: MemoryCluster) -> None:
    deploy(cluster, Kubelet(cluster, READY), manifests())
    versions = {ref: obj["metadata"]["resourceVersion"] for ref, obj in cluster.objects.items()}
    changes = planned_changes(cluster, TARGET, manifests())
    assert {each.verb for each in changes} == {Verb.KEEP}
    outcome = Rollout(cluster, _still(cluster), TARGET, lambda _: None).deploy(manifests(), changes)
    assert outcome.result is Result.UNCHANGED
    assert versions == {r: o["metadata"]["resourceVersion"] for r, o in cluster.objects.items()}


def _still(cluster: MemoryCluster) -> Kubelet:
    clock = Kubelet.__new__(Kubelet)
    clock.cluster, clock.statuses, clock.time = cluster, [READY], 0.0
    return clock


def test_what_it_will_own_is_recorded_before_it_exists(cluster: MemoryCluster) -> None:
    """Killed between any two requests, nothing is left that the record does not name."""
    seen: list[ObjectRef] = []

    def note(obj: Object) -> None:
        if obj["metadata"]["name"] != "llama-inventory":
            record = read_inventory(cluster, "llama", "ml")
            assert record is not None
            assert record.pending
            assert reference(obj) in record.owned
            seen.append(reference(obj))

    cluster.on_apply = note
    deploy(cluster, Kubelet(cluster, READY), manifests())
    assert len(seen) == 3


def test_a_failed_first_deployment_leaves_only_the_claim(cluster: MemoryCluster) -> None:
    cluster.container_logs[("llama-0", "vllm")] = "torch.OutOfMemoryError: CUDA out of memory."
    outcome = deploy(cluster, Kubelet(cluster, CREATING, crashed(1), crashed(3)), manifests())
    assert outcome.result is Result.FAILED
    assert outcome.problems == (
        "llama-0: vllm ended with 1 (Error), restart 3",
        "llama-1: vllm ended with 1 (Error), restart 3",
    )
    assert outcome.rolled_back_to == 0
    assert kinds(cluster) == {"PersistentVolumeClaim"}
    assert "CUDA out of memory" in outcome.evidence["llama-0/vllm.log"]
    assert outcome.report is not None
    assert not outcome.report.unknown


def test_a_failure_is_told_with_the_record_of_what_was_planned(cluster: MemoryCluster) -> None:
    """What is not there yet, or no more, in the midst of a deployment is no finding of its own."""
    dropped = an_object("v1", "Service", "llama-extra", {})
    deploy(cluster, Kubelet(cluster, READY), (*manifests(), dropped))
    cluster.container_logs[("llama-0", "vllm")] = "torch.OutOfMemoryError: CUDA out of memory."
    outcome = deploy(
        cluster, Kubelet(cluster, CREATING, crashed(1), crashed(3)), manifests("vllm:2")
    )
    assert outcome.evidence["plan.txt"].startswith("endpoint llama: revision 1\n")
    assert "missing" not in outcome.evidence["plan.txt"]
    assert outcome.report is not None
    assert outcome.report.findings[0].code == "gpu-oom"


def test_keep_leaves_a_failure_to_be_looked_at(cluster: MemoryCluster) -> None:
    outcome = deploy(cluster, Kubelet(cluster, crashed(3)), manifests(), rollback=False)
    assert outcome.rolled_back_to is None
    assert kinds(cluster) == {"PersistentVolumeClaim", "Service", "StatefulSet", "ConfigMap"}


def test_a_failed_update_goes_back_to_the_last_good_manifests(cluster: MemoryCluster) -> None:
    deploy(cluster, Kubelet(cluster, READY), manifests("vllm:1"))
    wrong = (*manifests("vllm:wrong"), an_object("v1", "Service", "llama-extra", {}))
    pulling = {"name": "vllm", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    refused = CREATING | {"containerStatuses": [pulling]}
    outcome = deploy(cluster, Kubelet(cluster, *[refused] * 35, READY), wrong)
    assert outcome.rolled_back_to == 1
    assert outcome.seconds == pytest.approx(62, abs=2)  # a registry that refuses for 60 s
    live = cluster.get(reference(manifests()[2]))
    assert live is not None
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "vllm:1"
    assert cluster.get(reference(wrong[3])) is None
    record = read_inventory(cluster, "llama", "ml")
    assert record is not None
    assert (record.revision, record.pending) == (1, False)


def test_the_way_back_waits_for_the_pods_of_the_manifests_it_goes_back_to(
    cluster: MemoryCluster,
) -> None:
    """A third pod was asked for, and nothing makes it: the two of before serve all the while."""
    deploy(cluster, Kubelet(cluster, READY), manifests())
    claim, service, workload = manifests()
    larger = (claim, service, {**workload, "spec": {**workload["spec"], "replicas": 3}})
    clock = Kubelet(cluster, READY)
    outcome = deploy(cluster, clock, larger, target=replace(TARGET, num_pods=3))
    assert (outcome.result, outcome.rolled_back_to) == (Result.FAILED, 1)
    assert clock.now() == outcome.seconds


def test_a_way_back_that_does_not_serve_is_not_called_one(cluster: MemoryCluster) -> None:
    deploy(cluster, Kubelet(cluster, READY), manifests("vllm:1"))
    outcome = deploy(cluster, Kubelet(cluster, crashed(3)), manifests("vllm:2"))
    assert outcome.rolled_back_to is None
    assert outcome.problems[-1] == (
        "going back to revision 1: llama-1: vllm ended with 1 (Error), restart 3"
    )
    record = read_inventory(cluster, "llama", "ml")
    assert record is not None
    assert (record.revision, record.pending) == (1, True)


def test_the_way_back_keeps_a_new_claim_on_record(cluster: MemoryCluster) -> None:
    """Else nothing would tell `delete --purge` of it."""
    deploy(cluster, Kubelet(cluster, READY), manifests())
    claim = an_object("v1", "PersistentVolumeClaim", "llama-cache", {"accessModes": ["RWX"]})
    clock = Kubelet(cluster, CREATING, crashed(3), READY)
    outcome = deploy(cluster, clock, (claim, *manifests("vllm:2")))
    assert outcome.rolled_back_to == 1
    record = read_inventory(cluster, "llama", "ml")
    assert record is not None
    assert reference(claim) in record.owned
    remove(cluster, record, purge=True)
    assert kinds(cluster) == set()


@pytest.mark.parametrize("revision", [0, 1])
def test_a_failure_also_removes_what_an_interrupted_deployment_left(
    revision: int, cluster: MemoryCluster
) -> None:
    if revision:
        deploy(cluster, Kubelet(cluster, READY), manifests())
    left = an_object("apps/v1", "StatefulSet", "llama-left", {"replicas": 2})
    record = find_inventory(cluster, "llama", "ml") or Inventory(name="llama", namespace="ml")
    owned = (*record.owned, reference(left))
    cluster.apply(to_object(replace(record, owned=owned, pending=True)))
    cluster.apply(left)
    job = an_object("batch/v1", "Job", "llama-keys", {})
    job["metadata"] = {**job["metadata"], "labels": LABELS | {COMPONENT: "ssh-keys"}}
    failed = {"conditions": [{"type": "Failed", "status": "True"}]}

    def give_up(obj: Object) -> None:
        if obj["kind"] == "Job":
            cluster.put(job | {"status": failed})

    cluster.on_apply = give_up
    outcome = deploy(cluster, Kubelet(cluster, READY), (job, *manifests("vllm:2")))
    assert outcome.rolled_back_to == revision
    assert cluster.get(reference(left)) is None


@pytest.mark.parametrize("revision", [0, 1])
def test_what_the_server_refuses_halfway_is_gone_back_from(
    revision: int, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota that filled up after the dry run, or a webhook that lets every dry run pass."""
    if revision:
        deploy(cluster, Kubelet(cluster, READY), manifests())
    clock, objects = Kubelet(cluster, READY), (*manifests(), an_object("v1", "Secret", "s", {}))
    changes = planned_changes(cluster, TARGET, objects)
    what = 'secrets "s" is forbidden: exceeded quota: team'
    error = ShardwrightError(code="admission-refused", what=what, remedy="ask")
    monkeypatch.setitem(cluster.refuses, "Secret", error)
    outcome = Rollout(cluster, clock, TARGET, lambda _: None).deploy(objects, changes)
    assert outcome.problems == (f"Secret/s: {what}",)
    assert outcome.rolled_back_to == revision
    assert ("StatefulSet" in kinds(cluster)) == bool(revision)


def test_an_endpoint_that_lacks_a_pod_is_not_ready(cluster: MemoryCluster) -> None:
    """What cannot be made again (quota, a node away) is missing, and the rest is ready."""
    deploy(cluster, Kubelet(cluster, READY), manifests())
    cluster.delete(reference(pod(1, READY)))
    (found,) = all_endpoints(cluster).endpoints
    assert (found.num_ready, found.num_wanted, found.is_ready) == (1, 2, False)


def test_an_evicted_pod_of_long_ago_neither_fails_a_deployment_nor_counts(
    cluster: MemoryCluster,
) -> None:
    """Kubernetes keeps it, ended, beside the one that took its place."""
    evicted = pod(2, {"phase": "Failed", "reason": "Evicted"})
    owner = {"kind": "ReplicaSet", "name": "llama-5d4f7c9b8", "uid": "r"}
    evicted["metadata"]["ownerReferences"] = [owner]
    cluster.put(evicted)
    outcome = deploy(cluster, Kubelet(cluster, CREATING, READY), manifests())
    assert (outcome.result, outcome.problems) == (Result.READY, ())
    record = read_inventory(cluster, "llama", "ml")
    assert record is not None
    for found in (endpoint_status(cluster, record), *all_endpoints(cluster).endpoints):
        assert (found.num_ready, len(found.pods), found.is_ready) == (2, 2, True)
    with pytest.raises(ShardwrightError, match="member-unknown"):
        chosen_pod(cluster, record, group=2, rank=None, member=None)


def test_an_update_removes_what_is_no_longer_wanted(cluster: MemoryCluster) -> None:
    extra = an_object("v1", "Service", "llama-group", {})
    deploy(cluster, Kubelet(cluster, READY), (*manifests(), extra))
    outcome = deploy(cluster, Kubelet(cluster, READY), manifests())
    assert outcome.revision == 2
    assert cluster.get(reference(extra)) is None


def test_an_interrupted_deployment_is_taken_up_again(cluster: MemoryCluster) -> None:
    objects = manifests()
    owned = tuple(reference(each) for each in objects)
    cluster.apply(to_object(Inventory(name="llama", namespace="ml", owned=owned, pending=True)))
    cluster.apply(objects[0])
    outcome = deploy(cluster, Kubelet(cluster, READY), objects)
    assert (outcome.result, outcome.revision) == (Result.READY, 1)


def test_a_pod_that_outlasts_its_budget_is_stuck(cluster: MemoryCluster) -> None:
    outcome = deploy(cluster, Kubelet(cluster, CREATING), manifests())
    assert outcome.seconds == pytest.approx(102, abs=2)
    assert outcome.problems[0].startswith("llama-0: image for 102 s, budget 100 s")


class NoPods(Kubelet):
    """A cluster that refuses every pod; two warnings say why, the newest first by name."""

    def _step(self) -> None:
        for name, when, message in (
            ("llama.1", "2026-11-27T10:05:00Z", "exceeded quota: gpus"),
            ("llama.2", "2026-11-27T10:01:00Z", "failed calling webhook"),
        ):
            warning = {
                **an_object("v1", "Event", name, {}),
                "involvedObject": {"kind": "StatefulSet", "name": "llama"},
                "type": "Warning",
                "message": message,
                "lastTimestamp": when,
            }
            self.cluster.put(warning)


def test_where_no_pod_is_made_the_newest_warning_says_why(cluster: MemoryCluster) -> None:
    outcome = deploy(cluster, NoPods(cluster), manifests(), rollback=False)
    assert outcome.problems[0].startswith("0 of 2 pods exist after")
    assert outcome.problems[0].endswith(": exceeded quota: gpus")


class Rolling(Kubelet):
    """Replaces one pod at a time; each takes 400 s until it is ready. Both are there at first."""

    def __init__(self, cluster: MemoryCluster, *, replaces: int = 2) -> None:
        self.replaces = replaces
        super().__init__(cluster, READY)

    def _step(self) -> None:
        for index in (0, 1):
            begins = 10.0 + 400 * index
            is_new = self.time >= begins and index < self.replaces
            status = CREATING if is_new and self.time < begins + 400 else READY
            made = pod(index, status)
            made["metadata"]["uid"] = f"{'new' if is_new else 'old'}-{index}"
            if is_new:
                made["status"] = {**status, "containerStatuses": [{"state": {"running": {}}}]}
            self.cluster.put(made)


def test_a_rolling_update_may_take_a_start_for_every_group(cluster: MemoryCluster) -> None:
    """The second pod goes only when the first is ready again, 410 s after the change."""
    patient = replace(TARGET, budgets=replace(BUDGETS, startup_s=500))
    deploy(cluster, Rolling(cluster), manifests(), target=patient)
    outcome = deploy(cluster, Rolling(cluster), manifests("vllm:2"), target=patient)
    assert (outcome.result, outcome.problems) == (Result.READY, ())
    assert outcome.seconds == pytest.approx(810, abs=4)


def test_an_old_pod_that_is_never_replaced_ends_the_wait(cluster: MemoryCluster) -> None:
    patient = replace(TARGET, budgets=replace(BUDGETS, startup_s=500))
    deploy(cluster, Rolling(cluster), manifests(), target=patient)
    stuck = Rolling(cluster, replaces=1)
    outcome = deploy(cluster, stuck, manifests("vllm:2"), target=patient, rollback=False)
    assert outcome.problems[0].startswith("1 of 2 pods exist, 1 of the old template after 30")
    assert outcome.seconds == pytest.approx(410 + 300, abs=4)


def test_a_load_that_failed_is_no_failure_of_the_deployment(cluster: MemoryCluster) -> None:
    """`bench` leaves its Job for a while, labelled as the endpoint's."""
    deploy(cluster, Kubelet(cluster, READY), manifests())
    job = an_object("batch/v1", "Job", "llama-bench-1", {})
    failed = {"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}
    cluster.put(job | {"status": {"conditions": [failed]}})
    outcome = deploy(cluster, Kubelet(cluster, CREATING, CREATING, READY), manifests("vllm:2"))
    assert (outcome.result, outcome.problems) == (Result.READY, ())


def test_a_role_that_may_not_list_what_it_does_not_make_watches_its_pods(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A LeaderWorkerSet needs no right to Deployments."""
    listed = cluster.list

    def refused(api_version: str, kind: str, **options: Any) -> tuple[Object, ...]:
        if kind == "Deployment":
            raise ShardwrightError(code="cluster-forbidden", what="no", remedy="ask")
        return listed(api_version, kind, **options)

    monkeypatch.setattr(cluster, "list", refused)
    assert deploy(cluster, Kubelet(cluster, READY), manifests()).result is Result.READY


def test_delete_keeps_claims_unless_purged(cluster: MemoryCluster) -> None:
    deploy(cluster, Kubelet(cluster, READY), manifests())
    record = find_inventory(cluster, "llama", "ml")
    assert record is not None
    gone = [str(ref) for ref in remove(cluster, record, purge=False)]
    assert gone == ["StatefulSet/llama", "Service/llama", "ConfigMap/llama-inventory"]
    left = find_inventory(cluster, "llama", "ml")
    assert left is not None
    assert [str(ref) for ref in remove(cluster, left, purge=True)] == [
        "PersistentVolumeClaim/llama-models"
    ]
    assert find_inventory(cluster, "llama", "ml") is None


def test_what_went_with_its_definition_holds_up_neither_update_nor_deletion(
    cluster: MemoryCluster,
) -> None:
    """KEDA was uninstalled, and its ScaledObject with it."""
    scaled = an_object("keda.sh/v1alpha1", "ScaledObject", "llama", {})
    deploy(cluster, Kubelet(cluster, READY), (*manifests(), scaled))
    cluster.delete(reference(scaled))
    cluster.unserved = frozenset({"ScaledObject"})
    record = find_inventory(cluster, "llama", "ml")
    assert record is not None
    outcome = deploy(cluster, Kubelet(cluster, READY), manifests("vllm:2"))
    assert outcome.result is Result.READY
    remove(cluster, record, purge=True)
    assert kinds(cluster) == set()


def test_what_is_being_deleted_is_not_owned_any_more(cluster: MemoryCluster) -> None:
    """A claim outlives its deletion while a pod that mounts it ends."""
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {}}
    meta = {"name": "llama-models", "namespace": "ml", "labels": LABELS}
    cluster.put({**claim, "metadata": meta})
    assert find_inventory(cluster, "llama", "ml") is not None
    cluster.put({**claim, "metadata": {**meta, "deletionTimestamp": "2026-11-27T08:00:00Z"}})
    assert find_inventory(cluster, "llama", "ml") is None


def test_a_lost_inventory_is_rebuilt_from_labels(cluster: MemoryCluster) -> None:
    deploy(cluster, Kubelet(cluster, READY), manifests())
    before = read_inventory(cluster, "llama", "ml")
    cluster.delete(inventory_ref("llama", "ml"))
    found = find_inventory(cluster, "llama", "ml")
    assert before is not None
    assert found is not None
    assert set(found.owned) == set(before.owned)


def test_pods_of_an_older_template_are_replaced_when_that_is_ours_to_do() -> None:
    def a_set(strategy: str, *, observed: int = 2) -> Object:
        meta = {"name": "llama", "uid": "u1", "generation": 2}
        status = {"updateRevision": "llama-new", "observedGeneration": observed}
        spec = {"updateStrategy": {"type": strategy}}
        return {"kind": "StatefulSet", "metadata": meta, "spec": spec, "status": status}

    old = pod(0, READY)
    old["metadata"] |= {
        "labels": {"controller-revision-hash": "llama-old"},
        "ownerReferences": [{"uid": "u1"}],
    }
    assert stale_pods((a_set("OnDelete"),), (old,)) == {"llama-0"}
    assert stale_pods((a_set("RollingUpdate"),), (old,)) == frozenset()
    assert stale_pods((a_set("OnDelete", observed=1),), (old,)) == frozenset()


def test_list_counts_ready_pods_of_every_endpoint(cluster: MemoryCluster) -> None:
    deploy(cluster, Kubelet(cluster, READY), manifests())
    cluster.put(pod(1, crashed(1)))
    other = Inventory(name="other", namespace="z")
    cluster.apply(to_object(replace(other, pending=True)))
    found = [
        (e.name, e.num_ready, len(e.pods), e.is_ready) for e in all_endpoints(cluster).endpoints
    ]
    assert found == [("llama", 1, 2, False), ("other", 0, 0, False)]
