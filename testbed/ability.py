"""Whether a bed can run on this machine, tried out before anything long begins.

Called by `python -m testbed able`. Everything that is made to find out is removed again.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from testbed import debian
from testbed.layout import CGROUP, cache_dir, components_dir
from testbed.machines import cgroup_roots
from testbed.shell import missing_programs, run, succeeds

GO = (1, 26)
"""The oldest Go that compiles the newest Kubernetes."""
DISK_GB = 20
"""Of 10^9 bytes: compiled programs 1, Go's caches 12, images and volumes 2, and room to work."""
MEMORY_GIB = 12
"""Two ranks' pods of the small model peak at 2 GiB each beside a control plane of 1.5 GiB."""


def obstacles() -> Iterator[str]:
    """Say what keeps a bed from running here; nothing if it can."""
    if sys.platform != "linux":
        yield f"it needs Linux; this is {sys.platform}"
        return
    if os.geteuid() != 0:
        yield "it needs root: it makes namespaces, mounts and a bridge"
        return
    if missing := missing_programs(debian.PROGRAMS):
        yield f"not installed: {', '.join(missing)} (Debian or Ubuntu, and Go >= 1.26)"
        return
    if too_old := _go():
        yield too_old
    yield from _sizes()
    yield from _kernel()


def _go() -> str | None:
    # the folder's go.mod may name a toolchain that Go fetches by itself
    said = run("go", "env", "GOVERSION", cwd=components_dir() / "apiserver").strip()
    found = re.match(r"go(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) >= GO:
        return None
    return f"Go {GO[0]}.{GO[1]} or newer is needed; this is {said}"


def _sizes() -> Iterator[str]:
    place = next(path for path in (cache_dir(), *cache_dir().parents) if path.exists())
    free = shutil.disk_usage(place).free / 1e9
    if free < DISK_GB:
        yield f"{free:.0f} GB are free at {place}; it needs {DISK_GB}"
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    if total < MEMORY_GIB:
        yield f"the machine has {total:.0f} GiB of memory; it needs {MEMORY_GIB}"


def _kernel() -> Iterator[str]:
    spaces = ("--mount", "--uts", "--ipc", "--pid", "--net", "--fork")
    bridge = "ip link add swtb-try type bridge && mount -t tmpfs tmpfs /mnt && hostname swtb-try"
    if not succeeds("unshare", *spaces, "sh", "-c", bridge):
        yield "no namespaces with a bridge, a mount and a host name can be made here"
    for root in cgroup_roots():
        trial = root / f"{CGROUP}-try"
        try:
            trial.mkdir(exist_ok=True)
            trial.rmdir()
        except OSError as error:
            yield f"no cgroup can be made in {root}: {error.strerror}"
            return
    if not Path("/proc/sys/net/ipv4/ip_forward").exists():
        yield "the kernel does not route between networks"
