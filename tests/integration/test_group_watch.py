"""The watch that keeps a group together: three real members on loopback."""

import socket
import subprocess
import sys
import time

import pytest

from shardwright.render.pods import group


@pytest.fixture
def members(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    running = {}

    def start(index):
        argv = [sys.executable, group.__file__, f"--index={index}", "--leader=127.0.0.1"]
        argv += [f"--port={port}", f"--broken-file={tmp_path / str(index)}"]
        running[index] = subprocess.Popen([*argv, "--period-s=0.1", "--patience-s=3"])

    for index in range(3):
        start(index)
    yield running, start, tmp_path
    for process in running.values():
        process.kill()
        process.wait()


def broken(folder, index, within_s=30.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if (folder / str(index)).exists():
            time.sleep(0.05)
            return (folder / str(index)).read_text().strip()
        time.sleep(0.05)
    return None


def test_real_members_notice_a_lost_worker_and_settle_once_all_started_again(members):
    running, start, folder = members
    assert broken(folder, 0, within_s=1.0) is None
    running[2].kill()
    running[2].wait()
    assert "member 2 has been silent" in broken(folder, 0)
    running[0].kill()
    running[0].wait()
    start(0)  # as the liveness probe would
    assert broken(folder, 1) == "the leader was restarted"
    for index in (1, 2):
        running[index].kill()
        running[index].wait()
        start(index)
    time.sleep(5)
    assert [broken(folder, index, within_s=0.1) for index in range(3)] == [None, None, None]
