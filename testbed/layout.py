"""Where the test bed keeps things and which addresses it makes: the one place that says so.

Everything lives below two directories. The cache survives (compiled components, images); the state
directory belongs to one running bed and is gone after `down`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BRIDGE = "swtb0"
"""The host's bridge between the machines; deleting it deletes every route the bed added."""

HOST_ADDRESS = "10.213.0.1"
NODE_NETWORK = "10.213.0.0/24"
CONTROL_ADDRESS = "10.213.0.10"
POD_NETWORK = "10.214.0.0/16"
SERVICE_NETWORK = "10.215.0.0/16"
DNS_ADDRESS = "10.215.0.10"
API_PORT = 6443
CGROUP = "shardwright-testbed"
NETNS_PREFIX = "swtb-"

MAX_NODES = 100
"""Node addresses run from .11 and pod ranges are one /24 a node."""


def cache_dir() -> Path:
    """Return the directory of compiled components and built images."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "shardwright" / "testbed"


def engines_dir() -> Path:
    """Return the directory of the real engines' environments, which every container sees."""
    return cache_dir().parent / "engines"


def state_dir() -> Path:
    """Return the directory of the running bed. On a disk, since overlay mounts need one."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "shardwright" / "testbed"


def kubeconfig_path() -> Path:
    """Return the administrator's kubeconfig of the running bed."""
    return state_dir() / "kubeconfig"


def newest_kubeconfig_path() -> Path:
    """Return the administrator's kubeconfig of the second API server, while there is one."""
    return state_dir() / "newest.kubeconfig"


def components_dir() -> Path:
    """Return the pinned Go modules."""
    return Path(__file__).parent / "components"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine of the bed: a set of namespaces with a supervisor as process 1."""

    name: str
    address: str
    pod_network: str | None
    """None for the control plane, which runs no pods."""

    @property
    def netns(self) -> str:
        """Return the name of its network namespace."""
        return NETNS_PREFIX + self.name

    @property
    def directory(self) -> Path:
        """Return its own directory below the state directory."""
        return state_dir() / self.name


NEWEST = Machine(name="newest", address="10.213.0.9", pod_network=None)
"""A second API server with an etcd of its own, of the newest Kubernetes; it has no nodes."""

CONTROL = Machine(name="control", address=CONTROL_ADDRESS, pod_network=None)


def node(index: int) -> Machine:
    """Return the node with an index from 1.

    >>> node(2).address, node(2).pod_network
    ('10.213.0.12', '10.214.2.0/24')
    """
    return Machine(
        name=f"node-{index}",
        address=f"10.213.0.{10 + index}",
        pod_network=f"10.214.{index}.0/24",
    )


def nodes(count: int) -> tuple[Machine, ...]:
    """Return the first `count` nodes."""
    return tuple(node(index) for index in range(1, count + 1))
