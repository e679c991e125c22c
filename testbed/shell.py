"""Running programs: one way, with one kind of error."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_START = time.monotonic()


class TestbedError(Exception):
    """Something the developer must know: what failed, and what to do if that is known."""


def say(text: str) -> None:
    """Tell progress on standard error, with seconds since the command began."""
    print(f"{time.monotonic() - _START:6.1f}s  {text}", file=sys.stderr, flush=True)


def run(
    *argv: str | Path,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 120,
) -> str:
    """Run a program to its end and return what it wrote; raise with its last lines if it failed."""
    command = [str(word) for word in argv]
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=env,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise TestbedError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise TestbedError(f"{' '.join(command)} took over {timeout_s:.0f} s") from error
    if done.returncode != 0:
        tail = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise TestbedError(f"{' '.join(command)} ended with {done.returncode}:\n{tail}")
    return done.stdout


def succeeds(*argv: str | Path, timeout_s: float = 30) -> bool:
    """Tell whether a program ends well."""
    try:
        run(*argv, timeout_s=timeout_s)
    except TestbedError:
        return False
    return True


def wait_for(what: str, ready: Callable[[], object], *, timeout_s: float) -> None:
    """Wait until `ready()` is true; raise when it is not in time."""
    end = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > end:
            raise TestbedError(f"{what}: not within {timeout_s:.0f} s; see python -m testbed logs")
        time.sleep(0.5)


def missing_programs(names: Sequence[str]) -> tuple[str, ...]:
    """Return the programs that are not on PATH."""
    import shutil

    return tuple(name for name in names if shutil.which(name) is None)
