"""Finds uv, or puts it into the user's cache with pip; runs it with its talk passed on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from shardwright.drive.cache import cache_directory
from shardwright.model.errors import ShardwrightError

OLDEST = "0.8"
_TAIL = 12
_SETTINGS = {"UV_HTTP_TIMEOUT": "300", "UV_CONCURRENT_DOWNLOADS": "4"}
"""Few files at a time: a finished one survives an interruption, a part of one does not."""
_PACKAGE_LINES = (" + ", " - ", " ~ ")
"""How uv lists each package it has installed: too many lines to be news."""


def find_uv(say: Callable[[str], None]) -> Path:
    """Return a uv: from PATH, beside this Python, or from the cache, where it is put if need be."""
    beside = Path(sys.executable).with_name("uv")
    cached = cache_directory() / "tools" / "bin" / "uv"
    for candidate in (shutil.which("uv"), beside, cached):
        if candidate and _works(Path(candidate)):
            return Path(candidate)
    say(f"uv is not installed: putting it into {cached.parents[1]}")
    tools = cached.parents[1]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True, capture_output=True)
        install = [str(tools / "bin" / "pip"), "install", "--quiet", f"uv>={OLDEST}"]
        subprocess.run(install, check=True, capture_output=True, text=True)
    except (subprocess.CalledProcessError, OSError) as error:
        raise ShardwrightError(
            code="uv-not-installed",
            what="uv, which installs engines, is not here and could not be installed",
            cause=_last_line(getattr(error, "stderr", None) or str(error)),
            remedy="install uv (`pip install uv`) and run the command again",
        ) from error
    return cached


def run_uv(uv: Path, arguments: Sequence[str], cwd: Path, say: Callable[[str], None]) -> None:
    """Run uv, telling each line it writes. Raises ShardwrightError with its last lines.

    The directory keeps uv from reading a project's settings; the user's own (index, proxy) hold.
    """
    env = {**_SETTINGS, **os.environ}
    env.pop("VIRTUAL_ENV", None)
    last: deque[str] = deque(maxlen=_TAIL)
    with subprocess.Popen(
        [str(uv), *arguments],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        if process.stdout is None:
            raise RuntimeError("uv was started without a pipe")
        for line in process.stdout:
            if line.strip():
                last.append(line.rstrip())
                if not line.startswith(_PACKAGE_LINES):
                    say(line.rstrip())
    if process.returncode:
        raise ShardwrightError(
            code="engine-install-failed",
            what="uv could not install the engine",
            details=tuple(last),
            remedy="run the command again: what was downloaded is kept. Behind a proxy set "
            "HTTPS_PROXY; for a mirror of PyPI set UV_DEFAULT_INDEX",
        )


def _works(uv: Path) -> bool:
    try:
        return (
            subprocess.run([str(uv), "--version"], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason was given"
