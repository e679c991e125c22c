"""Real processes: a stand-in engine for what is about us, the real one for the rest."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("hub", "member0", "member1")
STAND_IN = Path(__file__).parent / "stand_in"


class Leftovers:
    """What lay about before a test, and what a test left behind."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.before = self.now()

    def now(self):
        processes = set()
        for entry in Path("/proc").iterdir():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"SHARDWRIGHT_TEST_MARK=1" in environment and entry.name != str(os.getpid()):
                processes.add(entry.name)
        return {
            "processes": processes,
            "shm": {p.name for p in Path("/dev/shm").glob("shardwright_test_*")},
            "scratch": {p.name for p in self.scratch.iterdir()},
            "devices": {p.name for p in Path("/sys/class/net").glob("*") if p.name in OURS},
        }

    def assert_none(self, within_s=20.0):
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
def leftovers(scratch):
    return Leftovers(scratch)


@pytest.fixture
def needs_root():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root here")


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


@pytest.fixture
def stand_in(tmp_path, scratch):
    """The command with an engine that meets, serves and litters like a real one, in no time."""
    home = tmp_path / "engine" / "bin"
    home.mkdir(parents=True)
    script = (
        f'#!/bin/sh\nSHARDWRIGHT_TEST_MARK=1 exec {sys.executable} {STAND_IN / "vllm.py"} "$@"\n'
    )
    (home / "vllm").write_text(script)
    (home / "vllm").chmod(0o755)
    (home / "python").symlink_to(sys.executable)
    return Cli(tmp_path, scratch, home / "python")


@pytest.fixture
def real(tmp_path, scratch):
    """The command with the real engine, installed on first use."""
    return Cli(tmp_path, scratch, None)
