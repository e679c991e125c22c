"""Which environments of CPU engines, and of the load tool, exist and where they run. Pure.

An environment is a locked list of packages with the hash of every file, apart from Shardwright's
own. `shardwright.drive.environment` installs it; the locks are made by `scripts/lock`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shardwright.model.errors import ShardwrightError, usage_error
from shardwright.model.units import GIB

LOCKS = Path(__file__).parent / "locks"


@dataclass(frozen=True, kw_only=True)
class EngineLock:
    """One engine at one version, for CPUs; or the load tool, which has an environment as well.

    pythons: first and last minor version of Python 3 that every package has a wheel for.
    metadata: (name, version) of a distribution to supply, where the engine's own build carries
    another name than the engine asks for; None where it does not.
    imports: modules that must load in it, heaviest first. libraries: shared libraries of the system
    it needs, with the Debian package of each. tools: programs of the system it calls, likewise.
    download_bytes, disk_bytes: measured on x86-64.
    """

    engine: str
    version: str
    pythons: tuple[int, int]
    metadata: tuple[str, str] | None
    imports: tuple[str, ...]
    libraries: Mapping[str, str]
    tools: Mapping[str, str]
    download_bytes: int
    disk_bytes: int

    @property
    def file(self) -> Path:
        """The list of packages and hashes, as `uv pip sync` reads it."""
        return LOCKS / f"{self.engine}-{self.version}.txt"

    @cached_property
    def digest(self) -> str:
        """Names the content: another lock or another supplied distribution, another directory."""
        content = self.file.read_bytes() + repr(self.metadata).encode()
        return hashlib.sha256(content).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Directory name of the environment."""
        return f"{self.engine}-{self.version}-{self.digest}"


ENGINE_LOCKS = (
    EngineLock(
        engine="vllm",
        version="0.32.0",
        pythons=(11, 14),
        metadata=("vllm", "0.32.0+cpu"),
        imports=(
            "vllm.entrypoints.openai.api_server",
            "vllm.v1.engine.core",
            "vllm.v1.worker.cpu_worker",
            "vllm.v1.executor.multiproc_executor",
            "ray",
        ),
        libraries={"libnuma.so.1": "libnuma1"},
        tools={"g++": "g++"},  # torch's inductor is called once at the start, eager mode or not
        download_bytes=3_030_000_000,
        disk_bytes=5_400_000_000,
    ),
    EngineLock(
        engine="aiperf",
        version="0.13.0",
        pythons=(11, 13),
        metadata=None,
        imports=("aiperf.cli",),
        libraries={},
        tools={},
        download_bytes=250_000_000,
        disk_bytes=880_000_000,
    ),
)

ARCHITECTURES: Mapping[str, tuple[str, ...]] = {"x86_64": ("avx2",), "aarch64": ()}
"""Architectures with wheels, and the instructions without which the engine cannot start."""


def find_lock(engine: str) -> EngineLock:
    """Return an engine's lock. Raises ShardwrightError if the engine has none."""
    for lock in ENGINE_LOCKS:
        if lock.engine == engine:
            return lock
    known = ", ".join(lock.engine for lock in ENGINE_LOCKS)
    raise usage_error(
        "engine-not-packaged",
        f"there is no CPU environment of {engine!r}",
        remedy=f"use one of: {known}",
    )


def refuse_machine(
    system: str, architecture: str, cpu_flags: frozenset[str]
) -> ShardwrightError | None:
    """Say why the engines cannot run here, or None if they can.

    >>> refuse_machine("Darwin", "arm64", frozenset()).code
    'platform-not-rehearsed'
    """
    if system != "Linux" or architecture not in ARCHITECTURES:
        return ShardwrightError(
            code="platform-not-rehearsed",
            what=f"engines are not packaged for CPUs of {system} on {architecture}",
            cause="their wheels exist for Linux on x86_64 and aarch64 only",
            remedy="rehearse in a Linux container or virtual machine (on a Mac: "
            "`docker run --shm-size=1g -v $PWD:/w -w /w python:3.12 ...`), or in CI; "
            "plan, render, lint and doctor run here",
        )
    missing = sorted(set(ARCHITECTURES[architecture]) - cpu_flags)
    if missing:
        return ShardwrightError(
            code="cpu-too-old",
            what=f"this CPU lacks instructions the engine is compiled for: {', '.join(missing)}",
            remedy="rehearse on another machine: the engine would die of an illegal instruction",
        )
    return None


def too_little_disk(lock: EngineLock, free_bytes: int) -> ShardwrightError | None:
    """Say that the disk is too small, or None. Twice the download lies there for a while."""
    needed = lock.disk_bytes + lock.download_bytes
    if free_bytes >= needed:
        return None
    return ShardwrightError(
        code="disk-too-small",
        what=f"{lock.engine} {lock.version} needs {needed / GIB:.1f} GiB; "
        f"{free_bytes / GIB:.1f} GiB is free",
        remedy="free some space, or set XDG_CACHE_HOME (and UV_CACHE_DIR) to a larger disk",
    )
