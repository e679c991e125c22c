"""The rendered MPI cells, started for real: the job's keys, sshd, mpirun, a stand-in per rank."""

import re
import shutil
import time
from pathlib import Path

import pytest
import yaml

from .one_secret import made_keys
from .pods import can_make_namespaces, lose, network, start

GOLDEN = Path(__file__).parents[1] / "golden" / "render"
pytestmark = pytest.mark.skipif(
    not (can_make_namespaces() and shutil.which("mpirun") and Path("/usr/sbin/sshd").exists()),
    reason="needs root, ip, unshare, openmpi-bin and openssh-server",
)
STAND_IN = """#!/bin/bash
echo "STARTED rank=${OMPI_COMM_WORLD_RANK} of=${OMPI_COMM_WORLD_SIZE} at=$(hostname -I) $0 $*"
sleep 600
"""


def objects(case):
    folder = GOLDEN / case / "expected"
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.iterdir())]


def world(case, program, folder):
    """Start leader and worker of a golden case; yield their logs and processes."""
    found = objects(case)
    sets = {
        each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "StatefulSet"
    }
    guard = next(e for e in found if e["kind"] == "ConfigMap" and "guard" in e["metadata"]["name"])
    service = next(iter(sets.values()))["serviceName"]
    keys = made_keys(folder)
    files = {f"shardwright-ssh/{name}": text for name, text in keys.items()}
    files["shardwright/group.py"] = guard["data"]["group.py"]
    files[f"bin/{program}"] = STAND_IN
    pods = {
        name: f"{name}-{spec.get('ordinals', {}).get('start', 0)}" for name, spec in sets.items()
    }
    return sets, pods, service, files


@pytest.mark.parametrize(
    ("case", "program"),
    [("tensorrt-llm-mpi", "trtllm-llmapi-launch"), ("triton-engines-mpi", "tritonserver")],
)
def test_leader_starts_every_rank_where_it_belongs_and_ends_with_the_worker(
    case, program, tmp_path
):
    sets, pods, service, files = world(case, program, tmp_path)
    with network(["leader", "worker"]) as spaces:
        role = {name: "worker" if "worker" in name else "leader" for name in sets}
        hosts = {f"{pods[name]}.{service}.default.svc": spaces[role[name]][1] for name in sets}
        running = {}
        for name, spec in sets.items():
            container = spec["template"]["spec"]["containers"][0]
            running[role[name]] = start(
                container,
                space=spaces[role[name]][0],
                folder=tmp_path / role[name],
                files=files,
                hosts=hosts,
                env={**literal_env(container), "MEMBER_INDEX": pods[name].rsplit("-", 1)[1]},
            )
        log = tmp_path / "leader" / "log"
        started = ranks(log, want=16, within_s=300)
        assert sorted(started) == list(range(16)), log.read_text()
        for rank, line in started.items():
            assert spaces["leader" if rank < 8 else "worker"][1] in line
        if program == "tritonserver":
            assert "--load-model=ensemble" in started[0]
            assert "--allow-http=false" not in started[0]
            for rank in range(1, 16):
                assert "--allow-http=false --allow-grpc=false" in started[rank]
                assert f"shm-region-prefix-name=rank{rank}_" in started[rank]
                assert "--load-model=ensemble" not in started[rank]
        lose(spaces["worker"][0])
        running["worker"].wait(timeout=120)
        assert running["leader"].wait(timeout=240) != 0, "the leader must not outlive its worker"


def literal_env(container):
    return {var["name"]: var["value"] for var in container["env"] if "value" in var}


def ranks(log, want, within_s):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        lines = [line for line in log.read_text().splitlines() if "STARTED rank=" in line]
        found = {int(re.search(r"rank=(\d+)", line)[1]): line for line in lines}
        if len(found) >= want:
            return found
        time.sleep(0.5)
    return found
