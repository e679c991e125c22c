"""The rules of the watch that keeps a group together."""

import io
import socket

import pytest

from shardwright.render.pods import group


def test_worker_of_this_generation_that_comes_back_breaks_the_group():
    roll = group.Roll("leader-1", 30)
    assert roll.greet("1", "w1", None, 0) is None, "not yet told which generation it is in"
    assert roll.greet("1", "w1", "leader-1", 3) is None
    assert roll.greet("1", "w2", "leader-1", 6) == "member 1 was restarted"


def test_worker_of_an_earlier_generation_does_not_break_a_new_leader():
    roll = group.Roll("leader-2", 30)
    assert roll.greet("1", "w1", "leader-1", 0) is None
    assert roll.silent(1000) is None
    assert roll.greet("1", "w2", "leader-2", 5) is None


def test_silent_worker_breaks_the_group_after_its_patience_only():
    roll = group.Roll("leader-1", 30)
    roll.greet("2", "w", "leader-1", 100)
    assert roll.silent(130) is None
    assert roll.silent(131) == "member 2 has been silent for 31 s"


def test_worker_that_never_met_its_leader_waits_for_it():
    follower = group.Follower(30)
    assert follower.silent(10_000) is None
    assert follower.heard("leader-1", 0) is None
    assert follower.silent(31) == "the leader has been silent for 31 s"
    assert follower.heard("leader-2", 31) == "the leader was restarted"


def test_engine_that_never_answered_is_starting_and_one_that_did_has_its_patience():
    health = group.Health(60)
    assert health.asked(answered=False, now=10_000) is None
    assert health.asked(answered=True, now=10_010) is None
    assert health.asked(answered=False, now=10_070) is None
    broken = "the engine has failed its health check for 61 s"
    assert health.asked(answered=False, now=10_071) == broken


def test_engine_that_answers_again_in_time_is_well():
    health = group.Health(60)
    health.asked(answered=True, now=0)
    assert health.asked(answered=False, now=60) is None
    assert health.asked(answered=True, now=61) is None
    assert health.asked(answered=False, now=121) is None


class EnoughError(Exception):
    """The watch has been watched for long enough."""


class Answered(io.BytesIO):
    """A connection to a leader that answers with its id."""

    def __init__(self, leader_id):
        super().__init__()
        self.answer = io.BytesIO(f'"{leader_id}"\n'.encode())

    def sendall(self, greeting):
        self.greeting = greeting

    def makefile(self, _mode):
        return self.answer

    def getpeername(self):
        return ADDRESS


ADDRESS = ("10.214.1.7", 29599)
NAME = ("llama-0.llama-group", 29599)


def followed(monkeypatch, connect, *, looks):
    """Follow a leader for so many looks, 5 s apart; return what was reported."""
    clock, reports = [0.0], []

    def sleep(seconds):
        clock[0] += seconds
        if clock[0] >= 5.0 * looks:
            raise EnoughError

    monkeypatch.setattr(group.time, "sleep", sleep)
    monkeypatch.setattr(group.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(group.socket, "create_connection", connect)
    with pytest.raises(EnoughError):
        group.follow(NAME, "1", group.Follower(30.0), 5.0, reports.append)
    return reports


def test_a_leader_that_answers_is_followed_while_its_name_cannot_be_resolved(monkeypatch):
    asked = []

    def connect(address, timeout):
        assert timeout == group.ANSWER_S
        asked.append(address)
        if address == NAME and len(asked) > 1:
            raise socket.gaierror("Temporary failure in name resolution")
        return Answered("first")

    assert followed(monkeypatch, connect, looks=20) == []
    assert asked == [NAME] + [ADDRESS] * 19


def test_a_leader_that_moved_is_found_by_its_name(monkeypatch):
    asked = []

    def connect(address, timeout):
        asked.append(address)
        if address == ADDRESS:
            raise ConnectionRefusedError
        return Answered("first" if len(asked) == 1 else "second")

    assert followed(monkeypatch, connect, looks=3) == ["the leader was restarted"]
    assert asked == [NAME, ADDRESS, NAME]


def test_a_leader_that_neither_name_nor_address_reaches_is_silent(monkeypatch):
    asked = []

    def connect(address, timeout):
        asked.append(address)
        if len(asked) > 1:
            raise OSError("unreachable")
        return Answered("first")

    reports = followed(monkeypatch, connect, looks=9)
    assert reports[0] == "the leader has been silent for 35 s"
