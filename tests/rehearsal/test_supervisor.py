"""The supervisor's promises, kept by the real one and by the one in memory alike."""

import time

import pytest

from shardwright.drive.memory import MemoryClock, MemorySupervisor
from shardwright.drive.processes import LocalProcesses
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Command, Exited, Line, Seat

SCRIPTS = {
    "echo one; echo two; exit 3": ((0.0, "one"), (0.0, "two"), (0.1, 3)),
    "kill -9 $$": ((0.0, -9),),
    "echo here; sleep 1000": ((0.0, "here"),),
}


def command(script, member=0):
    return Command(
        member=member, name="p", argv=("/bin/sh", "-c", script), env=(("PATH", "/usr/bin:/bin"),)
    )


@pytest.fixture(params=["memory", "real"])
def supervisor(request, tmp_path, scratch, monkeypatch):
    if request.param == "memory":
        seats = tuple(Seat(member=i, address="127.0.0.1") for i in range(2))
        clock = MemoryClock()
        yield MemorySupervisor(seats=seats, clock=clock, script=lambda c: SCRIPTS[c.argv[2]])
        return
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with LocalProcesses(
        names=("a", "b"), shm_bytes=(1 << 20, 1 << 20), isolate=False, directory=tmp_path
    ) as real:
        yield real


def heard(supervisor, wanted, within_s=120.0):
    """Listen until something of this kind came."""
    deadline = time.monotonic() + within_s
    found = []
    while time.monotonic() < deadline:
        found += supervisor.poll(0.5)
        if any(isinstance(h, wanted) for h in found):
            return [h for h in found if isinstance(h, (Line, Exited))]
    raise AssertionError(f"no {wanted.__name__} among {found}")


def test_lines_come_in_order_and_before_the_end(supervisor):
    supervisor.start(command("echo one; echo two; exit 3", member=1))
    assert heard(supervisor, Exited) == [
        Line(member=1, process="p", text="one"),
        Line(member=1, process="p", text="two"),
        Exited(member=1, process="p", code=3),
    ]


def test_a_signal_is_a_negative_status(supervisor):
    supervisor.start(command("kill -9 $$"))
    assert heard(supervisor, Exited)[-1] == Exited(member=0, process="p", code=-9)


def test_a_stopped_program_is_heard_of_no_more_and_can_start_again(supervisor):
    supervisor.start(command("echo here; sleep 1000"))
    heard(supervisor, Line)
    assert supervisor.stop(1.0).remaining == ()
    assert [h for h in supervisor.poll(0.3) if isinstance(h, (Line, Exited))] == []
    supervisor.start(command("echo here; sleep 1000"))
    assert heard(supervisor, Line) == [Line(member=0, process="p", text="here")]


def test_a_program_that_is_not_there_is_refused_in_words(tmp_path, scratch, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with LocalProcesses(
        names=("a",), shm_bytes=(1 << 20,), isolate=False, directory=tmp_path
    ) as real:
        real.start(Command(member=0, name="p", argv=("no-such-program",), env=(("PATH", "/bin"),)))
        with pytest.raises(ShardwrightError) as caught:
            heard(real, Exited)
    assert caught.value.code == "process-refused"
    assert "no-such-program" in caught.value.cause


def test_only_our_own_processes_are_killed(tmp_path, scratch, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with LocalProcesses(
        names=("a",), shm_bytes=(1 << 20,), isolate=False, directory=tmp_path
    ) as real:
        real.kill(1)
        with pytest.raises(ShardwrightError) as caught:
            heard(real, Exited)
    assert "process 1 is not part of this rehearsal" in caught.value.cause
