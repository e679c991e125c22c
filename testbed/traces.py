"""What a bed leaves on the host, asked of the kernel: `down` fails if anything is still there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from testbed import network
from testbed.layout import (
    BRIDGE,
    CGROUP,
    NETNS_PREFIX,
    POD_NETWORK,
    SERVICE_NETWORK,
    cache_dir,
    state_dir,
)
from testbed.machines import cgroup_roots
from testbed.shell import run


def traces() -> tuple[str, ...]:
    """Name every namespace, link, route, mount, cgroup, process and directory of a bed."""
    return (*_network(), *_mounts(), *_cgroups(), *_processes(), *_directories())


def _network() -> Iterator[str]:
    yield from (f"network namespace {name}" for name in network.namespaces())
    for link in json.loads(run("ip", "-j", "link", "show")):
        if link["ifname"] == BRIDGE or link["ifname"].startswith(NETNS_PREFIX):
            yield f"link {link['ifname']}"
    ours = tuple(net.rsplit(".", 2)[0] + "." for net in (POD_NETWORK, SERVICE_NETWORK))
    for route in json.loads(run("ip", "-j", "-4", "route", "show") or "[]"):
        if str(route.get("dst", "")).startswith(ours):
            yield f"route {route['dst']}"


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        target = line.split()[4]
        if target.startswith(str(state_dir())):
            yield f"mount {target}"


def _cgroups() -> Iterator[str]:
    yield from (f"cgroup {root / CGROUP}" for root in cgroup_roots() if (root / CGROUP).exists())


def _processes() -> Iterator[str]:
    """Programs of the bed, and anything that still has a file of it for its program."""
    places = (str(cache_dir() / "bin"), str(state_dir()))
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is a kernel thread
            program = str((entry / "exe").readlink())
            if program.startswith(places):
                yield f"process {entry.name} {program}"


def _directories() -> Iterator[str]:
    if state_dir().exists():
        yield f"directory {state_dir()}"
