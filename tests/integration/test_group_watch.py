"""The watch that keeps a group together: real members on loopback, started as rendered."""

import signal
import socket
import subprocess
import sys
import time

import pytest
from tests.integration.watched_group import WatchedGroup, await_greetings

from shardwright.render.pods import group


@pytest.fixture
def members(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    running = {}

    def start(index):
        # every worker greets the leader at an address of its own, so that they can be told apart
        argv = [sys.executable, group.__file__, f"--index={index}", f"--leader=127.0.0.{1 + index}"]
        argv += [f"--port={port}", f"--broken-file={tmp_path / str(index)}"]
        running[index] = subprocess.Popen([*argv, "--period-s=0.1", "--patience-s=5"])

    for index in range(3):
        start(index)
    for index in (1, 2):
        await_greetings(f"127.0.0.{1 + index}", port)
    yield running, start, tmp_path
    for process in running.values():
        process.kill()
        process.wait()


def broken(folder, index, within_s=120.0):
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


@pytest.fixture
def group_of_two(tmp_path):
    found = WatchedGroup(tmp_path)
    yield found
    found.close()


def eventually(found, member, within_s=120.0):
    """What the liveness probe of a member says once it fails, or None."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        well, why = found.asked(member, "livenessProbe")
        if not well and why:
            return why
        time.sleep(0.1)
    return None


def stays_alive(found, seconds=3.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert found.asked(0, "livenessProbe") == (True, "")
        assert found.asked(1, "livenessProbe") == (True, "")
        time.sleep(0.2)


def test_worker_alone_and_then_a_healthy_group_pass_their_liveness(group_of_two):
    group_of_two.engine.hung.clear()  # as one that loads its weights: nothing answers yet
    group_of_two.start(1)
    stays_alive(group_of_two)
    group_of_two.start(0)
    stays_alive(group_of_two)
    group_of_two.engine.hung.set()
    stays_alive(group_of_two)


def test_worker_whose_leader_is_gone_fails_its_liveness(group_of_two):
    leader = group_of_two.meet()
    stays_alive(group_of_two, seconds=1)
    leader.kill()
    leader.wait()
    assert "the leader has been silent" in eventually(group_of_two, 1)


def test_worker_of_a_hung_leader_fails_its_liveness(group_of_two):
    leader = group_of_two.meet()
    stays_alive(group_of_two, seconds=1)
    leader.send_signal(signal.SIGSTOP)
    assert "the leader has been silent" in eventually(group_of_two, 1)


def test_worker_whose_leader_is_another_one_fails_its_liveness(group_of_two):
    leader = group_of_two.meet()
    stays_alive(group_of_two, seconds=1)
    leader.kill()
    leader.wait()
    group_of_two.start(0)
    assert eventually(group_of_two, 1) == "the leader was restarted"


def test_leader_whose_engine_hangs_after_it_served_fails_its_liveness(group_of_two):
    group_of_two.meet()
    assert group_of_two.engine.served.wait(60)
    stays_alive(group_of_two, seconds=1)
    group_of_two.engine.hung.clear()
    assert "the engine has failed its health check" in eventually(group_of_two, 0)


def becomes(found, wanted, within_s=60.0):
    """Wait for a verdict of the leader's readiness probe."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found.asked(0, "readinessProbe")[0] is wanted:
            return True
        time.sleep(0.1)
    return False


def test_leader_told_to_end_waits_for_its_requests_and_so_do_its_workers(group_of_two):
    group_of_two.meet()
    assert becomes(group_of_two, wanted=True)
    group_of_two.engine.in_flight = 2
    ending = [group_of_two.end(member) for member in (0, 1)]
    assert becomes(group_of_two, wanted=False), "a leader that is leaving is in no Service"
    time.sleep(2)  # longer than it must be quiet
    assert [process.poll() for process in ending] == [None, None]
    group_of_two.engine.in_flight = 0
    for process in ending:
        assert process.wait(60) == 0
        assert process.stdout.read() == "the group may end\n"


def test_worker_that_is_evicted_alone_makes_the_leader_leave_its_service_first(group_of_two):
    group_of_two.meet()
    assert becomes(group_of_two, wanted=True)
    group_of_two.engine.in_flight = 1
    worker = group_of_two.end(1)
    assert becomes(group_of_two, wanted=False)
    time.sleep(2)
    assert worker.poll() is None
    group_of_two.engine.in_flight = 0
    assert worker.wait(60) == 0


def test_leader_of_a_group_that_lost_a_worker_waits_for_no_request(group_of_two):
    leader = group_of_two.start(0)
    worker = group_of_two.start(1)
    await_greetings("127.0.0.1", group_of_two.port)
    assert becomes(group_of_two, wanted=True)
    group_of_two.engine.in_flight = 1  # it hangs: nobody finishes it
    ending = group_of_two.end(0)
    assert becomes(group_of_two, wanted=False)
    worker.kill()
    worker.wait()
    assert ending.wait(60) == 0
    assert leader.poll() is None


def test_worker_does_not_wait_for_a_leader_that_is_gone(group_of_two):
    leader = group_of_two.meet()
    group_of_two.engine.in_flight = 1
    worker = group_of_two.end(1)
    assert becomes(group_of_two, wanted=False)
    leader.kill()
    leader.wait()
    assert worker.wait(60) == 0
    assert worker.stdout.read() == "the leader is gone\n"


def test_member_of_a_broken_group_waits_for_nobody(group_of_two):
    leader = group_of_two.meet()
    assert becomes(group_of_two, wanted=True)
    group_of_two.engine.in_flight = 1
    leader.kill()
    leader.wait()
    group_of_two.start(0)
    assert eventually(group_of_two, 1) == "the leader was restarted"
    assert group_of_two.end(1).wait(60) == 0
    time.sleep(1)
    assert becomes(group_of_two, wanted=True), "the new leader was not told to leave"


def test_leader_that_starts_again_is_ready_again(group_of_two):
    leader = group_of_two.meet()
    assert group_of_two.end(0).wait(60) == 0
    assert becomes(group_of_two, wanted=False)
    leader.kill()
    leader.wait()
    group_of_two.start(0)
    assert becomes(group_of_two, wanted=True)
