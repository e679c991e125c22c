"""Debian's part of the bed: the container runtime, CNI plugins and packet filters."""

from __future__ import annotations

import os

from testbed.images import installed
from testbed.shell import TestbedError, missing_programs, run, say

PACKAGES = (
    "busybox-static",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "iproute2",
    "iptables",
    "openssl",
    "runc",
    "util-linux",
)
FIREWALL = ("ipset",)
"""What kube-router runs besides."""
PROGRAMS = ("apt-get", "dpkg-query", "go")


def ensure(more: tuple[str, ...] = ()) -> None:
    """Install what is missing. Nothing of it is started: the bed starts its own containerd."""
    if os.geteuid() != 0:
        raise TestbedError("the test bed needs root: it makes namespaces, mounts and a bridge")
    if missing := missing_programs(PROGRAMS):
        raise TestbedError(
            f"not installed: {', '.join(missing)} (Debian or Ubuntu, and Go >= 1.26)"
        )
    wanted = [name for name in (*PACKAGES, *more) if not installed(name)]
    if not wanted:
        return
    say(f"installing {' '.join(wanted)}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", RUNLEVEL="1")
    run("apt-get", "update", env=env, timeout_s=300)
    run("apt-get", "install", "-y", "--no-install-recommends", *wanted, env=env, timeout_s=600)
