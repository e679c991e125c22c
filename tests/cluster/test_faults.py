"""Twenty planted faults, each caught by the net that is named beside it, on a real API server.

`SHARDWRIGHT_RECORD=1` writes what caught each, after how many seconds, to faults/measured.json;
`make docs` makes docs/faults.md of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.layout import engines_dir, kubeconfig_path
from tests.cluster.planting import NETS, Fault, Field, read_faults

from shardwright.drive.kube import connect

FAULTS = read_faults()
MEASURED = Path(__file__).with_name("faults") / "measured.json"


@pytest.fixture
def field(kubeconfig: Path, namespace: str, tmp_path: Path, idle: None) -> Iterator[Field]:
    """Where faults are planted; idle: GPUs that the one before still held were its shortage."""
    with connect(kubeconfig) as cluster:
        yield Field(cluster=cluster, namespace=namespace, folder=tmp_path)


def needs_bed(fault: Fault, kubeconfig: Path) -> None:
    """Taints and the image with the engine's Python are the test bed's own."""
    if fault.taint is None and fault.caught_by != "rehearsal":
        return
    if kubeconfig != kubeconfig_path():
        pytest.skip(f"needs the test bed; this is {kubeconfig}")
    if fault.caught_by == "rehearsal" and not list(engines_dir().glob("*/bin/vllm")):
        pytest.skip("no engine environment here: run `shardwright engines install vllm` first")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_first_net_catches_it(fault: Fault, field: Field, kubeconfig: Path) -> None:
    needs_bed(fault, kubeconfig)
    catch = field.first_catch(fault)
    assert catch is not None, "nothing caught it"
    assert catch.net == fault.caught_by, catch.codes
    assert fault.code in (catch.codes[:1] if catch.net == "rehearsal" else catch.codes)
    if os.environ.get("SHARDWRIGHT_RECORD"):
        known = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
        known[fault.name] = {"net": catch.net, "seconds": round(catch.seconds, 1)}
        MEASURED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def test_there_are_twenty() -> None:
    assert len(FAULTS) >= 20
    assert {fault.caught_by for fault in FAULTS} == set(NETS)


def test_the_stand_in_does_start(field: Field) -> None:
    """Without a fault the rehearsal with the stand-in becomes ready: it can tell the difference."""
    clean = Fault(name="none", planted="nothing", caught_by="rehearsal", code="none")
    assert field.rehearsed(clean) == ()
