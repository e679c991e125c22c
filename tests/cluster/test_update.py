"""Updates of an endpoint that serves, on a real API server, asked all the while."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tests.cluster.small_endpoint import IMAGE, deployment

from shardwright.cli.deploy import Decision, Deployment, look, roll_out
from shardwright.deploy.logs import chosen_pod, lines_of_rank
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.removal import find_inventory, remove
from shardwright.deploy.strategy import Way
from shardwright.deploy.verification import Verifier
from shardwright.drive.clock import SystemClock
from shardwright.drive.kube import KubeCluster
from shardwright.model.cluster import ObjectRef, reference

SCHEDULE_S = 60
pytestmark = pytest.mark.usefixtures("bed")


@pytest.fixture
def bed(cluster: KubeCluster) -> None:
    nodes = cluster.list("v1", "Node")
    images = {
        name for n in nodes for i in n["status"].get("images", []) for name in i["names"] or ()
    }
    if IMAGE not in images:
        pytest.skip(f"no node has {IMAGE}: it is the test bed's own")


class Client:
    """A client of the endpoint, which asks through the Service without a pause."""

    def __init__(self, cluster: KubeCluster, made: Deployment) -> None:
        verifier = Verifier(cluster, SystemClock(), made.launch)
        base = cluster.proxy_base(verifier.service(), "http")
        self.answers: list[str] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(cluster, base), daemon=True)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _ask(self, cluster: KubeCluster, base: str) -> None:
        http = cluster.http()
        while not self._ends.is_set():
            reply = http.send(
                f"{base}/v1/completions", body={"prompt": "1"}, key=None, timeout_s=10
            )
            said = reply.body.decode()
            self.answers.append(said.split('"text": "')[1][0] if reply.status == 200 else "none")
            time.sleep(0.1)


def put(cluster: KubeCluster, made: Deployment, update: str = "auto") -> tuple[Decision, Outcome]:
    findings, decision = look(cluster, made, update, SCHEDULE_S)
    assert decision is not None, findings
    return decision, roll_out(cluster, made, decision, SCHEDULE_S, rollback=True)


@pytest.mark.parametrize("launch", ["statefulset", "lws"])
def test_an_update_with_gpus_to_spare_is_not_noticed_by_clients(
    cluster: KubeCluster, namespace: str, tmp_path: Path, launch: str
) -> None:
    first = deployment(tmp_path, namespace, launch)
    assert put(cluster, first)[1].result is Result.READY
    decision, again = put(cluster, first)
    assert (decision.strategy.way, again.result) == (Way.NOTHING, Result.UNCHANGED)

    with Client(cluster, first) as client:
        decision, outcome = put(cluster, deployment(tmp_path, namespace, launch, VERSION="2"))
        time.sleep(1)
    assert decision.strategy.way is Way.BESIDE
    assert (outcome.result, outcome.revision) == (Result.READY, 2)
    assert (client.answers[0], client.answers[-1]) == ("1", "2")
    assert "none" not in client.answers
    record = find_inventory(cluster, "small", namespace)
    assert record is not None
    assert (record.slot, record.pending) == ("green", False)

    # and the way back uses the first names again
    assert put(cluster, first)[1].revision == 3
    record = find_inventory(cluster, "small", namespace)
    assert record is not None
    assert record.slot == ""
    assert not [ref for ref in record.owned if "green" in ref.name]
    remove(cluster, record, purge=True)


def test_a_new_group_that_does_not_answer_never_gets_traffic(
    cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    first = deployment(tmp_path, namespace)
    put(cluster, first)
    with Client(cluster, first) as client:
        outcome = put(cluster, deployment(tmp_path, namespace, VERSION="2", REFUSES="1"))[1]
    assert (outcome.result, outcome.rolled_back_to) == (Result.FAILED, 1)
    assert any("answered 500" in each for each in outcome.problems)
    assert set(client.answers) == {"1"}
    names = {pod["metadata"]["name"] for pod in cluster.list("v1", "Pod", namespace=namespace)
             if "deletionTimestamp" not in pod["metadata"]}  # fmt: skip
    assert names == {"small-leader-0", "small-worker-1"}


def test_stop_then_start_replaces_every_pod(
    cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    put(cluster, deployment(tmp_path, namespace))
    before = {pod["metadata"]["uid"] for pod in cluster.list("v1", "Pod", namespace=namespace)}
    made = deployment(tmp_path, namespace, VERSION="2")
    decision, outcome = put(cluster, made, update="stop")
    assert decision.strategy.way is Way.STOP_THEN_START
    assert (outcome.result, outcome.revision) == (Result.READY, 2)
    after = {pod["metadata"]["uid"] for pod in cluster.list("v1", "Pod", namespace=namespace)
             if "deletionTimestamp" not in pod["metadata"]}  # fmt: skip
    assert not before & after


def test_what_is_verified_is_what_the_log_says(
    cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    """The engine says 14.2 GiB of weights where the plan has twice that: seen and recorded."""
    outcome = put(cluster, deployment(tmp_path, namespace, WEIGHTS_GIB="14.20"))[1]
    found = outcome.verification
    assert found is not None
    assert [(c.name, c.passed) for c in found.checks] == [
        ("health", True), ("models", True), ("completion", True), ("stream", True),
    ]  # fmt: skip
    assert len(found.ranks) == 16
    assert not [match for match in found.ranks if match.differences]
    weights = {q.name: q.difference_percent for q in found.quantities}
    assert weights["weights, fullest rank of stage 0"] == pytest.approx(-50, abs=1)
    record = find_inventory(cluster, "small", namespace)
    assert record is not None
    assert '"differencePercent": -50' in record.verified

    seat = chosen_pod(cluster, record, group=0, rank=11, member=None)
    assert seat.name == "small-worker-1"
    log = cluster.logs(reference(seat.pod), "vllm").splitlines()
    own = list(lines_of_rank(log, record, seat.member, 11))
    assert len(own) == 4
    assert all("rank=11" in line or "PP1_TP3" in line for line in own)


def test_killed_while_pods_start_a_second_run_goes_on(
    cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    made = deployment(tmp_path, namespace, LOADS_S="5")
    for dies_at in ("StatefulSet", "Service"):

        class Mortal(KubeCluster):
            def apply(self, obj: dict, *, dry_run: bool = False) -> dict:
                done = super().apply(obj, dry_run=dry_run)
                if not dry_run and obj["kind"] == dies_at:  # noqa: B023
                    raise KeyboardInterrupt
                return done

        dying = Mortal(cluster._client, cluster.access)
        findings, decision = look(dying, made, "auto", SCHEDULE_S)
        assert decision is not None, findings
        with pytest.raises(KeyboardInterrupt):
            roll_out(dying, made, decision, SCHEDULE_S, rollback=True)
        record = find_inventory(cluster, "small", namespace)
        assert record is not None
        assert record.pending
    outcome = put(cluster, made)[1]
    assert (outcome.result, outcome.revision) == (Result.READY, 1)


def test_a_crash_names_its_cause_and_leaves_nothing(
    cluster: KubeCluster, namespace: str, tmp_path: Path
) -> None:
    outcome = put(cluster, deployment(tmp_path, namespace, CRASHES="1"))[1]
    assert (outcome.result, outcome.rolled_back_to) == (Result.FAILED, 0)
    assert outcome.report is not None
    assert outcome.report.findings[0].code == "gpu-oom"
    space = ObjectRef(api_version="v1", kind="Service", name="small", namespace=namespace)
    assert cluster.get(space) is None
