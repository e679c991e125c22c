"""Installs, checks and removes the CPU environments of engines below the user's cache.

A marker is written last, so a half-installed environment is seen and mended: uv keeps every file it
has finished and fetches only what is missing. One install runs at a time.
"""

from __future__ import annotations

import csv
import ctypes
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from shardwright.drive.cache import cache_directory
from shardwright.drive.machine import cpu_flags
from shardwright.drive.uv import find_uv, run_uv
from shardwright.engines.cpu_environment import (
    ENGINE_LOCKS,
    EngineLock,
    find_lock,
    refuse_machine,
    too_little_disk,
)
from shardwright.model.errors import ShardwrightError, usage_error

MARKER = "installed.json"
IMPORT_S = 900.0
"""Seconds the first import may take: it writes bytecode for all of torch, on a slow disk too."""
Say = Callable[[str], None]


class State(Enum):
    """How far an environment has got."""

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An engine that can be started. programs: directory of its executables, `python` among them.

    version: of the engine's distribution. is_ours: installed by us, not pointed to by the user.
    """

    engine: str
    version: str
    programs: Path
    is_ours: bool

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.programs / "python"


def ensure(engine: str, say: Say) -> Environment:
    """Return the engine to rehearse with; install it first if it is not here.

    `SHARDWRIGHT_<ENGINE>` names a Python, or the engine's own command, to use instead. Raises
    ShardwrightError where that is no engine, or the machine cannot run ours.
    """
    chosen = pointed_to(engine)
    return chosen or install(find_lock(engine), say)


def pointed_to(engine: str) -> Environment | None:
    """Return the environment that `SHARDWRIGHT_<ENGINE>` names, or None if it is not set."""
    variable = f"SHARDWRIGHT_{engine.upper()}"
    value = os.environ.get(variable)
    if not value:
        return None
    program = Path(value).expanduser().absolute()
    if not (program.is_file() and os.access(program, os.X_OK)):
        raise usage_error(
            "engine-path-not-found",
            f"{variable} names {program}, which is not a program",
            remedy=f"name the Python of an environment that has {engine}, or unset {variable}",
        )
    version = _version_in(program.parent.parent, engine)
    if version is None:
        raise usage_error(
            "engine-not-in-environment",
            f"{variable} names {program}, whose environment has no {engine}",
            remedy=f"install {engine} there, or unset {variable}",
        )
    return Environment(engine=engine, version=version, programs=program.parent, is_ours=False)


def directory(lock: EngineLock) -> Path:
    """Where an environment lies, whether it is installed or not."""
    return cache_directory() / "engines" / lock.name


def state(lock: EngineLock) -> State:
    """Tell how far an environment has got, without starting it."""
    folder = directory(lock)
    if not folder.exists():
        return State.ABSENT
    is_whole = (folder / MARKER).is_file() and (folder / "bin" / "python").exists()
    return State.READY if is_whole else State.INCOMPLETE


def install(lock: EngineLock, say: Say) -> Environment:
    """Install an environment, or finish one; what is there is not fetched again."""
    folder = directory(lock)
    ready = Environment(
        engine=lock.engine, version=lock.version, programs=folder / "bin", is_ours=True
    )
    if state(lock) is State.READY:
        return ready
    _refuse_here(lock)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent, say):
        if state(lock) is State.READY:
            return ready
        size, disk = lock.download_bytes / 1e9, lock.disk_bytes / 1e9
        say(f"installing {lock.engine} {lock.version} for CPUs into {folder}")
        say(f"up to {size:.1f} GB to download, {disk:.1f} GB on disk; interrupt and resume freely")
        uv = find_uv(say)
        if not (folder / "bin" / "python").exists():
            make = ["venv", "--quiet", "--allow-existing", "--python", _python(lock), str(folder)]
            run_uv(uv, make, folder.parent, say)
        sync = ["pip", "sync", "--require-hashes", "--python", str(folder / "bin" / "python")]
        run_uv(uv, [*sync, str(lock.file)], folder.parent, say)
        if any(damaged_files(folder)):  # an install that was cut short may leave half a package
            run_uv(uv, [*sync, "--reinstall", str(lock.file)], folder.parent, say)
        if lock.metadata is not None:
            _supply_metadata(folder, *lock.metadata)
        say("checking that it starts")
        check_imports(lock)
        marker = {"engine": lock.engine, "version": lock.version, "lock": lock.digest}
        (folder / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
        say(f"{lock.engine} {lock.version} is ready")
    return ready


def verify(lock: EngineLock) -> tuple[str, ...]:
    """List what is wrong with an installed environment, in files and imports; empty if nothing.

    Files are compared with the sizes that each package's RECORD states.
    """
    if state(lock) is not State.READY:
        return (f"{lock.engine} {lock.version} is {state(lock).value}",)
    wrong = list(damaged_files(directory(lock)))
    if not wrong:
        try:
            check_imports(lock)
        except ShardwrightError as error:
            wrong.append(f"{error.what}: {error.cause}")
    return tuple(wrong)


def remove(lock: EngineLock) -> bool:
    """Remove an environment; tell whether there was one. uv's own cache is left as it is."""
    folder = directory(lock)
    was_there = folder.exists()
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return was_there


def all_locks() -> tuple[EngineLock, ...]:
    """Every environment that can be installed."""
    return ENGINE_LOCKS


def check_imports(lock: EngineLock) -> None:
    """Import the engine as a rehearsal will; also writes the bytecode that makes starts quick.

    Raises ShardwrightError with the last line of what went wrong.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    code = "".join(f"import {name}\n" for name in lock.imports)
    python = directory(lock) / "bin" / "python"
    argv = [str(python), "-c", code]
    try:
        ran = subprocess.run(
            argv, env=env, capture_output=True, text=True, check=False, timeout=IMPORT_S
        )
    except subprocess.TimeoutExpired:
        cause = f"the import did not end within {IMPORT_S:.0f} s"
    else:
        if not ran.returncode:
            return
        cause = (ran.stderr.strip().splitlines() or [f"it ended with code {ran.returncode}"])[-1]
    raise ShardwrightError(
        code="engine-does-not-start",
        what=f"{lock.engine} {lock.version} is installed but cannot be imported",
        cause=cause,
        remedy=f"remove it with `shardwright engines remove {lock.engine}` and install it "
        "again; if that does not help, report the cause above",
    )


def _refuse_here(lock: EngineLock) -> None:
    refusal = refuse_machine(platform.system(), platform.machine(), cpu_flags())
    if refusal is None:
        existing = next(p for p in (directory(lock), *directory(lock).parents) if p.exists())
        refusal = too_little_disk(lock, shutil.disk_usage(existing).free)
    if refusal is None:
        refusal = _missing_library(lock) or _missing_tool(lock)
    if refusal is not None:
        raise refusal


def _missing_library(lock: EngineLock) -> ShardwrightError | None:
    for library, package in lock.libraries.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            return ShardwrightError(
                code="library-missing",
                what=f"{lock.engine} needs the system library {library}, which is not here",
                remedy=f"install it: `apt-get install {package}`, or your system's package of it",
            )
    return None


def _missing_tool(lock: EngineLock) -> ShardwrightError | None:
    for tool, package in lock.tools.items():
        if shutil.which(tool) is None:
            return ShardwrightError(
                code="tool-missing",
                what=f"{lock.engine} calls {tool} when it starts, which is not here",
                remedy=f"install it: `apt-get install {package}`, or your system's package of it",
            )
    return None


def _python(lock: EngineLock) -> str:
    """This Python where the engine has wheels for it; otherwise any that it has wheels for."""
    first, last = lock.pythons
    if sys.version_info[0] == 3 and first <= sys.version_info[1] <= last:
        return sys.executable
    return f">=3.{first},<3.{last + 1}"


def site_packages(folder: Path) -> Path:
    """Return the packages' directory of an environment."""
    found = sorted((folder / "lib").glob("python3.*/site-packages"))
    return found[-1] if found else folder / "lib"


def _version_in(folder: Path, engine: str) -> str | None:
    for found in site_packages(folder).glob("*.dist-info"):
        name, _, version = found.name.removesuffix(".dist-info").partition("-")
        if name.lower() in (engine, f"{engine}_cpu"):
            return version
    return None


def _supply_metadata(folder: Path, name: str, version: str) -> None:
    """Supply a distribution's name and version where the engine asks its own metadata for them."""
    info = site_packages(folder) / f"{name}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(text, encoding="utf-8")


def damaged_files(folder: Path) -> Iterator[str]:
    """Name the files of an environment that are missing or cut short, by their packages' RECORD."""
    site = site_packages(folder)
    for record in sorted(site.glob("*.dist-info/RECORD")):
        with record.open(newline="", encoding="utf-8") as file:
            for name, _, size in csv.reader(file):
                try:
                    found = (site / name).stat().st_size
                except OSError:
                    yield f"{name} is missing"
                else:
                    if size and found != int(size):
                        yield f"{name} has {found} bytes, not {size}"


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Hold the lock of all environments; wait, and say so, while another process holds it."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another shardwright is installing an engine: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
