"""Engines whose ranks are one MPI world: the port of ssh, and how they meet."""

from __future__ import annotations

from shardwright.engines.engine import Refusal
from shardwright.model.launch import Mpi, Rendezvous
from shardwright.model.request import Mechanism

SSH_PORT = 2222  # not 22: sshd runs without root


def meet_by_mpi(name: str, mechanism: Mechanism, num_members: int) -> Rendezvous | Refusal:
    """Say how members of an engine that is one MPI world find each other."""
    if mechanism in (Mechanism.RAY_STATEFULSET, Mechanism.KUBERAY):
        reason = f"{name} starts its ranks by MPI, not by Ray; use lws or mpi"
        return Refusal(code="engine-not-on-mechanism", reason=reason)
    if mechanism is Mechanism.STATEFULSET:
        reason = f"the ranks of {name} are one MPI world, started by mpirun over ssh; "
        reason += "use mpi, which is StatefulSets with sshd, or lws"
        return Refusal(code="engine-not-on-mechanism", reason=reason)
    if mechanism is Mechanism.DEPLOYMENT and num_members > 1:
        reason = f"a Deployment cannot hold a group of {num_members} members together; use lws"
        return Refusal(code="deployment-is-one-node", reason=reason)
    return Mpi(port=SSH_PORT)
