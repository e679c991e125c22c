"""Keys with which the members of an MPI world reach each other, by name; the cluster makes them."""

from __future__ import annotations

from shardwright.engines import Serve
from shardwright.model.launch import Mpi, SecretOrigin, SecretRef
from shardwright.model.volumes import Mount, VolumeKind

SSH_FOLDER = "/etc/shardwright-ssh"
SSH_KEYS = ("id_ed25519", "authorized_keys", "ssh_host_ed25519_key", "known_hosts")
"""One client key, which every member accepts, and one host key, which every member shows."""


def ssh_secrets(serve: Serve) -> tuple[SecretRef, ...]:
    """Name the keys of a group that needs them."""
    if not _needs_ssh(serve):
        return ()
    return (SecretRef(name=_name(serve), keys=SSH_KEYS, origin=SecretOrigin.GENERATED),)


def ssh_mounts(serve: Serve) -> tuple[Mount, ...]:
    """Mount the keys into a member of a group that needs them."""
    if not _needs_ssh(serve):
        return ()
    return (
        Mount(
            volume="ssh",
            kind=VolumeKind.SECRET,
            path=SSH_FOLDER,
            source=_name(serve),
            is_read_only=True,
            keys=SSH_KEYS,
        ),
    )


def _needs_ssh(serve: Serve) -> bool:
    return isinstance(serve.rendezvous, Mpi) and serve.num_members > 1


def _name(serve: Serve) -> str:
    return f"{serve.request.name}-ssh"
