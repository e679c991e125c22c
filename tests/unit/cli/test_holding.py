"""`deploy` and `delete` hold the endpoint they change, and wait for nobody who does not."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shardwright.cli.holding import holding, lock_of
from shardwright.cli.main import shardwright
from shardwright.cli.render import launch_plan
from shardwright.deploy import lock as locks
from shardwright.deploy import preflight
from shardwright.deploy.inventory import Inventory, to_object
from shardwright.deploy.lock import Holder, Lock
from shardwright.drive import clock as clocks
from shardwright.drive import kube
from shardwright.drive.kube_memory import MemoryCluster
from shardwright.drive.memory import MemoryClock
from shardwright.model.cluster import ObjectRef
from shardwright.model.errors import ShardwrightError

SPEC = Path(__file__).parents[3] / "examples" / "llama-3.1-405b.yaml"
ANNA = Holder(by="anna@laptop (process 41)", command="deploy", since="2026-11-27T02:00:00Z")


@pytest.fixture
def endpoint() -> tuple[str, str]:
    plan = launch_plan(SPEC)
    return plan.name, plan.namespace


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryCluster:
    made = MemoryCluster()
    monkeypatch.chdir(tmp_path)  # where the evidence of a failure goes
    monkeypatch.setattr(kube, "connect", lambda *_: nullcontext(made))
    monkeypatch.setattr(preflight, "preflight", lambda *_: ())
    monkeypatch.setattr(clocks, "SystemClock", MemoryClock)
    return made


def invoke(*words: str) -> Result:
    return CliRunner().invoke(shardwright, words, standalone_mode=False)


@pytest.mark.parametrize("command", ["deploy", "delete"])
def test_an_endpoint_that_another_changes_is_left_alone(
    command: str, endpoint: tuple[str, str], cluster: MemoryCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    annas = Lock(cluster, MemoryClock(), endpoint, ANNA, lambda _: None)

    class Alive(MemoryClock):
        """Time in which Anna's command renews its lock."""

        def sleep(self, duration_s: float) -> None:
            super().sleep(duration_s)
            annas.renew()

    monkeypatch.setattr(clocks, "SystemClock", Alive)
    name, namespace = endpoint
    words = ("deploy", str(SPEC)) if command == "deploy" else ("delete", name, "-n", namespace)
    with annas.held():
        cluster.apply(to_object(Inventory(name=name, namespace=namespace, pending=True)))
        before = set(cluster.objects)
        done = invoke(*words)
        assert isinstance(done.exception, ShardwrightError)
        assert done.exception.code == "endpoint-busy"
        assert set(cluster.objects) == before
        assert invoke("deploy", str(SPEC), "--dry-run").exception is None  # changes nothing


def test_delete_leaves_nothing_and_removes_the_lock_of_one_that_died(
    endpoint: tuple[str, str], cluster: MemoryCluster
) -> None:
    name, namespace = endpoint
    cluster.apply(to_object(Inventory(name=name, namespace=namespace)))
    done = invoke("delete", name, "-n", namespace)
    assert done.exception is None
    assert f"deleted ConfigMap/{name}-inventory" in done.stdout
    assert not cluster.objects
    held = Lock(cluster, MemoryClock(), endpoint, ANNA, lambda _: None).held()
    held.__enter__()
    again = invoke("delete", name, "-n", namespace)
    assert isinstance(again.exception, ShardwrightError)
    assert again.exception.code == "endpoint-not-found"
    assert not cluster.objects


def test_a_name_that_is_none_is_said_before_anything_is_written(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(MemoryCluster, "create")
    done = invoke("delete", "lama", "-n", "ml")
    assert isinstance(done.exception, ShardwrightError)
    assert done.exception.code == "endpoint-not-found"
    assert not cluster.objects


def test_a_holder_renews_while_it_waits_and_until_it_is_done(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "RENEW_S", 0.001)
    is_renewed = threading.Event()
    cluster.on_apply = lambda obj: is_renewed.set() if "renewals" in obj["data"] else None
    ref = ObjectRef(api_version="v1", kind="ConfigMap", name="llama-lock", namespace="ml")
    num_threads = threading.active_count()
    with holding(lock_of(cluster, ("llama", "ml"), "deploy", lambda _: None)):
        assert is_renewed.wait(10)
        is_renewed.clear()
        assert is_renewed.wait(10)
        data = cluster.objects[ref]["data"]
        assert (data["command"], int(data["renewals"]) >= 2) == ("deploy", True)
    assert threading.active_count() == num_threads
    assert ref not in cluster.objects
