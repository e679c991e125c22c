"""What every engine's processes have in common: environment, probes, shared memory of NCCL."""

from __future__ import annotations

from shardwright.engines.engine import Serve
from shardwright.model.launch import Rendezvous
from shardwright.model.process import EnvVar, HttpCheck, Probe, Probes
from shardwright.model.text import text
from shardwright.model.units import GIB, MIB

NCCL_SHM_BYTES_PER_RANK = 16 * 10 * MIB
"""16 channels x 10 MiB of buffers (4 MiB simple, 5.6 MiB LL128, 0.5 MiB LL), should NCCL fall back
to shared memory within a node. Source: NCCL's default buffer sizes."""


def shm_for(local_ranks: int, own_bytes: int) -> int:
    """Shared memory of one member, whole GiB: NCCL's fallback and the engine's own part.

    >>> shm_for(8, GIB) // GIB, shm_for(1, 1) // GIB
    (3, 1)
    """
    nccl = local_ranks * NCCL_SHM_BYTES_PER_RANK if local_ranks > 1 else 0
    return -(-(nccl + own_bytes) // GIB) * GIB


def shm_bytes(local_ranks: int, copies: int, rendezvous: Rendezvous) -> int:
    """Shared memory of an engine with few queues or MPI segments of its own: 0.25 GiB, assumed.

    >>> shm_bytes(8, 1, None) // GIB
    2
    """
    del copies, rendezvous
    return shm_for(local_ranks, GIB // 4)


def shared_env(serve: Serve) -> list[EnvVar]:
    """Write the variables any engine wants: no hub, NCCL's choice in the log, the right network."""
    offline = "the weights are there; nothing is fetched at a start"
    env = [EnvVar(name="HF_HUB_OFFLINE", value=text("1"), why=offline)]
    if serve.num_members > 1:
        env.append(
            EnvVar(
                name="NCCL_DEBUG",
                value=text("INFO"),
                why="the transport NCCL chose is read from the log and checked",
            )
        )
    interface = serve.request.cluster.network_interface
    if interface:
        env.append(EnvVar(name="NCCL_SOCKET_IFNAME", value=text(interface)))
        env.append(EnvVar(name="GLOO_SOCKET_IFNAME", value=text(interface)))
    return env


def with_users(serve: Serve, env: list[EnvVar]) -> tuple[EnvVar, ...]:
    """Add the user's own variables, which win."""
    users = [EnvVar(name=name, value=text(value)) for name, value in serve.request.engine.env]
    overridden = {var.name for var in users}
    return (*(var for var in env if var.name not in overridden), *users)


def http_probes(serve: Serve, path: str) -> Probes:
    """Probe a server over HTTP: as long to start as budgeted, then ready or not within seconds."""
    check = HttpCheck(path=path, port="http")
    period_s = 10
    failures = -(-serve.budgets.startup_s // period_s)
    return Probes(
        startup=Probe(check=check, period_s=period_s, timeout_s=5, failures=failures),
        readiness=Probe(check=check, period_s=5, timeout_s=5, failures=3),
        liveness=Probe(check=check, period_s=10, timeout_s=10, failures=6),
    )
