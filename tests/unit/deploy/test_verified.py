"""Pods that are ready are not enough: what does not answer is no deployment."""

from tests.unit.deploy.test_rollout import READY, TARGET, Kubelet, manifests, pod

from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.outcome import Result
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.verification import Verification
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.model.cluster import reference
from shardwright.verify.attempts import Check


class Verifier:
    """Finds of the endpoint what the test says."""

    links = peaks = None

    def __init__(self, *checks):
        self.found = Verification(checks=checks)

    def whole(self, pods):
        return self.found


def check(*, passed):
    return Check(name="completion", passed=passed, detail="answered 500", took_s=0.1)


def deployed(cluster, clock, verifier=None):
    objects = manifests()
    changes = planned_changes(cluster, TARGET, objects)
    return Rollout(cluster, clock, TARGET, lambda _: None, verifier).deploy(objects, changes)


def test_an_endpoint_that_is_ready_and_does_not_answer_has_failed():
    cluster = MemoryCluster()
    outcome = deployed(
        cluster, Kubelet(cluster, READY), Verifier(check(passed=True), check(passed=False))
    )
    assert outcome.result is Result.FAILED
    assert outcome.problems == ("completion: answered 500",)


def test_one_that_answers_is_recorded_with_what_was_found():
    cluster = MemoryCluster()
    outcome = deployed(cluster, Kubelet(cluster, READY), Verifier(check(passed=True)))
    assert (outcome.result, outcome.revision) == (Result.READY, 1)
    assert outcome.verification.serves


class Surplus(Kubelet):
    """For ten seconds a pod more than is wanted is there, ready like the others."""

    def _step(self):
        super()._step()
        third = pod(2, READY)
        if self.time < 10:
            self.cluster.put(third)
        else:
            self.cluster.delete(reference(third))


def test_a_pod_too_many_is_waited_for_to_go():
    cluster = MemoryCluster()
    outcome = deployed(cluster, Surplus(cluster, READY))
    assert outcome.result is Result.READY
    assert outcome.seconds >= 10
