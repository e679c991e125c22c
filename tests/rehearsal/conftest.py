"""Real processes: a stand-in engine for what is about us, the real one for the rest."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from shardwright.drive.proctree import processes, shm_names

ROOT = Path(__file__).parents[2]
OURS = ("hub", "member0", "member1")
STAND_IN = Path(__file__).parent / "stand_in"


class Leftovers:
    """What lay about before a test, and what a test left behind."""

    shm_names = ("shardwright_test_",)
    """Beginnings of the names to look for; other programs of the machine use /dev/shm as well."""

    def __init__(self, scratch, directory):
        self.scratch, self.directory = scratch, directory
        self.before = self.now()

    def now(self):
        ours, mapped = set(), set()
        for process in processes():
            try:
                # a program may overwrite its environment with its title, but not where it works
                directory = str(Path(f"/proc/{process.pid}/cwd").readlink())
            except OSError:
                continue
            if directory.startswith(str(self.directory)):
                ours.add(f"{process.pid} {process.name}")
            mapped |= shm_names(process.pid)
        shm = {p.name for p in Path("/dev/shm").iterdir() if p.name.startswith(self.shm_names)}
        return {
            "processes": ours,
            "shm": shm - mapped,
            "scratch": {p.name for p in self.scratch.iterdir()},
            "devices": {p.name for p in Path("/sys/class/net").glob("*") if p.name in OURS},
        }

    def assert_none(self, within_s=120.0):
        deadline = time.monotonic() + within_s
        while True:
            now = self.now()
            left = {kind: sorted(now[kind] - self.before[kind]) for kind in now}
            left = {kind: names for kind, names in left.items() if names}
            if not left:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"left behind: {left}")
            time.sleep(0.2)


@pytest.fixture
def scratch():
    """A temporary directory of this test alone; short, as sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="swt") as folder:
        yield Path(folder)


@pytest.fixture
def leftovers(scratch, tmp_path):
    return Leftovers(scratch, tmp_path)


class Cli:
    """The command as a user runs it."""

    def __init__(self, tmp_path, scratch, engine):
        self.out = tmp_path / "rehearsals"
        self.env = {
            **os.environ,
            "TMPDIR": str(scratch),
            **({"SHARDWRIGHT_VLLM": str(engine)} if engine else {}),
        }

    def start(self, spec, *options):
        argv = [sys.executable, "-m", "shardwright", "rehearse", str(ROOT / "examples" / spec)]
        return subprocess.Popen(
            [*argv, "--out", str(self.out), *options],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, spec, *options, timeout_s=600):
        process = self.start(spec, *options)
        out, err = process.communicate(timeout=timeout_s)
        return process.returncode, out, err

    @staticmethod
    def wait_for(process, words, within_s=240):
        """Read the progress until words appear."""
        deadline = time.monotonic() + within_s
        seen = []
        for line in process.stderr:
            seen.append(line)
            if words in line:
                return
            if time.monotonic() > deadline:
                break
        raise AssertionError(f"never said {words!r}: {''.join(seen)}")


@pytest.fixture
def stand_in(tmp_path, scratch):
    """The command with an engine that meets, serves and litters like a real one, in no time."""
    home = tmp_path / "engine" / "bin"
    home.mkdir(parents=True)
    script = f'#!/bin/sh\nexec {sys.executable} {STAND_IN / "vllm.py"} "$@"\n'
    (home / "vllm").write_text(script)
    (home / "vllm").chmod(0o755)
    (home / "python").symlink_to(sys.executable)
    (home.parent / "lib/python3.11/site-packages/vllm-0.0.0.dist-info").mkdir(parents=True)
    return Cli(tmp_path, scratch, home / "python")


@pytest.fixture
def real(tmp_path, scratch):
    """The command with the real engine, installed on first use."""
    return Cli(tmp_path, scratch, None)
