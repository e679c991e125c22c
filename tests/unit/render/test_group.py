"""The rules of the watch that keeps a group together."""

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
