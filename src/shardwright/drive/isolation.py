"""Members as network namespaces: own address, own /dev/shm, own /tmp, own host name, one bridge.

Used by the guardian only. The namespaces have no name and no file: the kernel removes them, with
their devices and mounts, when the last process in them has ended. Needs root, or a kernel that lets
anyone make user namespaces.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

# Source: linux/sched.h, linux/mount.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000

INTERFACE = "eth0"
"""As in a pod, so that a plan that names its interface finds it."""
_BRIDGE = "hub"
_SUBNET = "10.213.0"
_KINDS = ("net", "ipc", "uts", "mnt")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A member's namespaces, held open by file descriptors, and its /dev/shm."""

    address: str
    namespaces: tuple[int, ...]
    shm: int

    def enter(self, directory: Path) -> None:
        """Move this process in; for use between fork and exec."""
        for namespace in self.namespaces:
            _call("setns", namespace, 0)
        os.chdir(directory)

    def shm_used_bytes(self) -> int:
        """Bytes in use in the member's own /dev/shm."""
        stat = os.fstatvfs(self.shm)
        return (stat.f_blocks - stat.f_bfree) * stat.f_frsize

    def empty_shm(self) -> list[str]:
        """Remove every file of the member's own /dev/shm; return their names, with its address."""
        removed = []
        with os.scandir(self.shm) as entries:
            for entry in entries:
                os.unlink(entry.name, dir_fd=self.shm)
                removed.append(f"{self.address}:{entry.name}")
        return removed


def open_hub() -> None:
    """Move this process into a network namespace of its own that holds the bridge."""
    if os.geteuid() != 0:
        uid, gid = os.geteuid(), os.getegid()
        _call("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    else:
        _call("unshare", CLONE_NEWNET)
    _ip("link", "set", "lo", "up")
    _ip("link", "add", _BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{_SUBNET}.254/24", "dev", _BRIDGE)
    _ip("link", "set", _BRIDGE, "up")


def open_rooms(names: tuple[str, ...], shm_bytes: tuple[int, ...], scratch: Path) -> list[Room]:
    """Make one room per member, all on the bridge; every room knows every name.

    scratch: a directory in which each room gets its own content at the same path, scratch/tmp.
    """
    hosts = ["127.0.0.1 localhost"]
    hosts += [f"{_SUBNET}.{i + 1} {name}" for i, name in enumerate(names)]
    (scratch / "hosts").write_text("\n".join(hosts) + "\n")
    (scratch / "tmp").mkdir()
    return [_open_room(i, names[i], shm_bytes[i], scratch) for i in range(len(names))]


def _open_room(index: int, name: str, shm_bytes: int, scratch: Path) -> Room:
    own = scratch / f"m{index}"
    own.mkdir()
    address = f"{_SUBNET}.{index + 1}"
    ready_r, ready_w = os.pipe()
    go_r, go_w = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        os.close(ready_r)
        os.close(go_w)  # so that a parent that gives up is noticed
        try:
            _furnish(name, shm_bytes, scratch, own)
            os.write(ready_w, b"1")
            os.read(go_r, 1)
            _ip("link", "set", "lo", "up")
            _ip("addr", "add", f"{address}/24", "dev", INTERFACE)
            _ip("link", "set", INTERFACE, "up")
            _ip("route", "add", "default", "via", f"{_SUBNET}.254")
            os.write(ready_w, b"2")
            os.read(go_r, 1)
            status = 0
        except OSError as error:
            os.write(ready_w, f"!{error}".encode())
        finally:
            os._exit(status)
    try:
        _expect(ready_r, b"1")
        veth = f"member{index}"
        _ip("link", "add", veth, "type", "veth", "peer", "name", INTERFACE, "netns", str(child))
        _ip("link", "set", veth, "master", _BRIDGE, "up")
        os.write(go_w, b"1")
        _expect(ready_r, b"2")
        of_child = Path("/proc") / str(child)
        room = Room(
            address=address,
            namespaces=tuple(os.open(of_child / "ns" / kind, os.O_RDONLY) for kind in _KINDS),
            shm=os.open(of_child / "root/dev/shm", os.O_RDONLY | os.O_DIRECTORY),
        )
    finally:
        for end in (go_w, go_r, ready_r, ready_w):
            os.close(end)
        os.waitpid(child, 0)
    return room


def _furnish(name: str, shm_bytes: int, scratch: Path, own: Path) -> None:
    _call("unshare", CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS)
    _mount("none", Path("/"), MS_REC | MS_PRIVATE)
    _mount("tmpfs", Path("/dev/shm"), MS_NOSUID | MS_NODEV, f"size={shm_bytes},mode=1777")  # noqa: S108
    _mount(str(own), scratch / "tmp", MS_BIND)
    _mount(str(scratch / "hosts"), Path("/etc/hosts"), MS_BIND)
    encoded = name.encode()
    _call("sethostname", encoded, len(encoded))


def _expect(pipe: int, token: bytes) -> None:
    answer = os.read(pipe, 4096)
    if answer != token:
        raise OSError(answer.decode(errors="replace").removeprefix("!") or "a member's room closed")


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _mount(source: str, target: Path, flags: int, data: str = "") -> None:
    kind = source.encode() if source == "tmpfs" else None
    _call(
        "mount", source.encode(), str(target).encode(), kind, ctypes.c_ulong(flags), data.encode()
    )


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
