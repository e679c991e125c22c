"""The watch that keeps a group together: its rules, and three real members on loopback."""

import socket
import subprocess
import sys
import time

import pytest

from shardwright.render.pods import group


def test_worker_of_this_generation_that_comes_back_breaks_the_group():
    roll = group.Roll("leader-1", 30)
    assert roll.greet(1, "w1", None, 0) is None, "not yet told which generation it is in"
    assert roll.greet(1, "w1", "leader-1", 3) is None
    assert roll.greet(1, "w2", "leader-1", 6) == "member 1 was restarted"


def test_worker_of_an_earlier_generation_does_not_break_a_new_leader():
    roll = group.Roll("leader-2", 30)
    assert roll.greet(1, "w1", "leader-1", 0) is None
    assert roll.silent(1000) is None
    assert roll.greet(1, "w2", "leader-2", 5) is None


def test_silent_worker_breaks_the_group_after_its_patience_only():
    roll = group.Roll("leader-1", 30)
    roll.greet(2, "w", "leader-1", 100)
    assert roll.silent(130) is None
    assert roll.silent(131) == "member 2 has been silent for 31 s"


def test_worker_that_never_met_its_leader_waits_for_it():
    follower = group.Follower(30)
    assert follower.silent(10_000) is None
    assert follower.heard("leader-1", 0) is None
    assert follower.silent(31) == "the leader has been silent for 31 s"
    assert follower.heard("leader-2", 31) == "the leader was restarted"


@pytest.fixture
def members(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    running = {}

    def start(index):
        argv = [sys.executable, group.__file__, f"--index={index}", "--leader=127.0.0.1"]
        argv += [f"--port={port}", f"--broken-file={tmp_path / str(index)}"]
        running[index] = subprocess.Popen([*argv, "--period-s=0.1", "--patience-s=1"])

    for index in range(3):
        start(index)
    yield running, start, tmp_path
    for process in running.values():
        process.kill()
        process.wait()


def broken(folder, index, within_s=30.0):  # a busy machine starts Python slowly
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
    time.sleep(1.5)
    assert [broken(folder, index, within_s=0.1) for index in range(3)] == [None, None, None]
