"""The fault drill on a real Kubernetes with the real engine: who notices, and who recovers.

Minutes for each incident. `SHARDWRIGHT_RECORD=1` writes what was seen to drill.json beside this
file; `make docs` makes docs/drill.md of it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
from testbed import machines
from testbed.kubectl import kubectl
from testbed.layout import CONTROL
from tests.cluster.real_group import standing

from shardwright.cli.cluster_drill import Group, member_killed, pod_deleted, shm_filled
from shardwright.rehearse.cluster_drill import MARGIN_S, Aftermath, Incident

pytestmark = pytest.mark.long
RECORD = Path(__file__).with_name("drill.json")
CELLS = ("lws", "statefulset", "ray-statefulset", "kuberay", "deployment")
MEMBERS = (0, 1)
STRIKES: dict[str, Callable[[Group], Incident]] = {
    **{f"pod-{i}-deleted": partial(pod_deleted, index=i) for i in reversed(MEMBERS)},
    **{f"member-{i}-killed": partial(member_killed, index=i) for i in MEMBERS},
    "shm-filled": shm_filled,
}


def suffered(group: Group, incident: Incident) -> Aftermath:
    *notes, last = group.drill().suffer(incident)
    print(*notes, last, sep="\n")
    assert isinstance(last, Aftermath)
    return last


def record(cell: str, seen: dict[str, object]) -> None:
    if os.environ.get("SHARDWRIGHT_RECORD"):
        known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        if "start" in seen:  # a new recording of the cell: what was noted about the last is over
            known.get(cell, {}).pop("note", None)
        known.setdefault(cell, {}).update(seen)
        RECORD.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def as_record(aftermath: Aftermath) -> dict[str, object]:
    return asdict(aftermath) | {"users": aftermath.users}


@pytest.fixture(scope="module", params=CELLS)
def cell(
    request: pytest.FixtureRequest, engine_bed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Group]]:
    """A group of each launch mechanism, which suffers one incident after the other."""
    name = str(request.param)
    with standing(f"drill-{name}", name, engine_bed, tmp_path_factory.mktemp(name)) as (
        group,
        outcome,
    ):
        limit_s = group.plan.budgets.startup_s + MARGIN_S
        record(name, {"start": {"ready_s": outcome.seconds, "limit_s": limit_s}})
        assert len(group.plan.group.members) == (1 if name == "deployment" else len(MEMBERS))
        yield name, group


@pytest.mark.parametrize("strike", STRIKES)
def test_the_group_comes_back(strike: str, cell: tuple[str, Group]) -> None:
    """Whichever member is lost, in every cell, within the start budget and a minute."""
    name, group = cell
    if "-1-" in strike and len(group.plan.group.members) == 1:
        pytest.skip("a Deployment's group is one member")
    seen = suffered(group, STRIKES[strike](group))
    record(name, {strike: as_record(seen)})
    assert seen.recovered_s is not None


def test_what_happens_to_the_cluster(engine_bed: Path, tmp_path: Path) -> None:
    """A node is drained, DNS is cut, the API server restarts: others on the bed feel it as well."""
    seen: list[Aftermath] = []

    def suffer(group: Group, incident: Incident) -> None:
        seen.append(suffered(group, incident))
        record("lws", {incident.name: as_record(seen[-1])})

    with standing("drill-lws", "lws", engine_bed, tmp_path) as (group, _):
        suffer(group, dns_cut())
        suffer(group, dns_cut_and_killed(group))
        with uncordoned() as cordon:
            suffer(group, node_drained(group, cordon))
    assert [each.incident for each in seen if each.recovered_s is None] == []


def test_the_api_server_restarts_while_deploying(engine_bed: Path, tmp_path: Path) -> None:
    """The rollout goes on: it waits for the API server, and finds everything as it was."""
    timer = threading.Timer(15, restart_api_server)
    timer.start()
    with standing("drill-statefulset", "statefulset", engine_bed, tmp_path) as (group, outcome):
        answer = group.ask()
    timer.join()
    assert answer
    record("statefulset", {"api-restart": {"ready_s": outcome.seconds}})


def restart_api_server() -> None:
    pid = (CONTROL.directory / "logs" / "kube-apiserver.pid").read_text().strip()
    machines.inside(CONTROL, "kill", "-9", pid)


def scale_dns(replicas: int) -> None:
    kubectl("-n", "kube-system", "scale", "deployment/coredns", f"--replicas={replicas}")
    if replicas:
        kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=60s")


def dns_cut() -> Incident:
    return Incident(
        name="dns-cut", title="cutting DNS for a minute",
        strike=lambda: scale_dns(0), mend=lambda: scale_dns(1), mend_after_s=60,
    )  # fmt: skip


def dns_cut_and_killed(group: Group) -> Incident:
    killed = member_killed(group, 1)

    def strike() -> None:
        scale_dns(0)
        killed.strike()

    return Incident(
        name="dns-cut-member-killed", title="cutting DNS for a minute and killing a worker in it",
        strike=strike, mend=lambda: scale_dns(1), mend_after_s=60,
    )  # fmt: skip


@contextmanager
def uncordoned() -> Iterator[list[str]]:
    """Nodes that are drained inside and may be used again afterwards."""
    names: list[str] = []
    try:
        yield names
    finally:
        for name in names:
            kubectl("uncordon", name)


def node_drained(group: Group, cordoned: list[str]) -> Incident:
    pod = group.member(1)
    name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]

    def strike() -> None:
        cordoned.append(node)
        kubectl("cordon", node)
        path = f"/api/v1/namespaces/{group.plan.namespace}/pods/{name}"
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        kubectl("create", "--raw", f"{path}/eviction", "-f", "-", stdin=json.dumps(eviction))

    return Incident(
        name="node-drained", title="draining a worker's node", strike=strike,
        victims=frozenset({name}),
    )  # fmt: skip
