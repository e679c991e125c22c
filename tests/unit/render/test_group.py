"""The rules of the watch that keeps a group together."""

import io
import socket

import pytest

from shardwright.render.pods import group, leave


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


def test_members_may_end_once_no_request_has_been_left_for_a_while():
    left = iter([2, 1, 0, 0, 1, 0, 0, 0])
    drain = group.Drain(lambda: next(left), 10, 30)
    said = [drain.may_end(now) for now in (0, 4, 8, 12, 16, 20, 25, 30)]
    assert said == [False] * 7 + [True], "a request came at 16 s, and 20 s is the first quiet look"


def test_group_whose_engine_does_not_listen_may_end_at_once():
    assert group.Drain(lambda: None, 10, 30).may_end(0)


def test_leader_that_outlives_who_left_serves_again():
    drain = group.Drain(lambda: 0, 10, 30)
    assert not drain.is_leaving(1_000), "nobody has asked"
    drain.may_end(1_000)
    assert drain.is_leaving(1_030)
    assert not drain.is_leaving(1_031)
    assert not drain.may_end(1_040), "quiet is counted anew"


EXPOSED = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama 405b"} 2.0
vllm:num_requests_running{engine="1",model_name="llama 405b"} 1.0
vllm:num_requests_waiting{engine="0",model_name="llama 405b"} 4.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 4.0
vllm:kv_cache_usage_perc{engine="0"} 0.25
"""


def test_requests_in_flight_are_the_sum_of_the_named_gauges_over_all_engines():
    gauges = ["vllm:num_requests_running", "vllm:num_requests_waiting"]
    assert group.total(EXPOSED, gauges) == 7
    assert group.total(EXPOSED, ["vllm:absent"]) == 0


class Leader:
    """Answers a member that asks whether it may end; None: nobody listens."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def connect(self, address, timeout):
        assert timeout == leave.ANSWER_S
        self.asked.append(address)
        answer = self.answers.pop(0)
        if answer is None:
            raise ConnectionRefusedError
        return Says(answer)


class Says(io.BytesIO):
    def __init__(self, answer):
        super().__init__()
        self.answer = io.BytesIO(answer)

    def sendall(self, question):
        assert question == b'"leave"\n'

    def makefile(self, _mode):
        return self.answer


def left(monkeypatch, leader, limit_s):
    clock = [0.0]
    monkeypatch.setattr(
        leave.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds)
    )
    monkeypatch.setattr(leave.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(leave.socket, "create_connection", leader.connect)
    return leave.leave(NAME, limit_s, 1.0), clock[0]


def test_member_waits_while_the_leader_answers_requests(monkeypatch):
    leader = Leader(b"false\n", b"false\n", None, b"", b"false\n", b"true\n")
    assert left(monkeypatch, leader, 90.0) == ("the group may end", 5.0)


def test_follower_outlives_its_leader_and_no_longer(monkeypatch):
    leader = Leader(b"false\n", None, None, None)
    assert left(monkeypatch, leader, 90.0) == ("the leader is gone", 3.0)


def test_member_waits_no_longer_than_it_may(monkeypatch):
    leader = Leader(*[b"false\n"] * 8)
    assert left(monkeypatch, leader, 8.0) == ("requests are left after 8 s", 8.0)
