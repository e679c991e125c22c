"""Who noticed, and when a group is well again: read from pods, events and answers."""

from __future__ import annotations

from typing import Any

from shardwright.rehearse.cluster_drill import (
    Answer,
    Snapshot,
    all_ready,
    answers_again_at,
    first_sign,
    snapshot,
)


def pod(name: str, *, ready: bool = True, restarts: int = 0, uid: str = "u") -> dict[str, Any]:
    status = {
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": [{"restartCount": restarts}],
    }
    return {"metadata": {"name": name, "uid": uid}, "status": status}


def event(about: str, reason: str, *, count: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"uid": "e"},
        "involvedObject": {"kind": "Pod", "name": about},
        "source": {"component": "kubelet"},
        "reason": reason,
        "message": "said   so",
        "count": count,
    }


def answers(*failures: str | None) -> list[Answer]:
    return [Answer(done_s=10.0 * i, failure=each) for i, each in enumerate(failures)]


BEFORE = snapshot((pod("a"), pod("b")), (event("a", "Started"),))


def test_nothing_happened() -> None:
    assert first_sign(BEFORE, BEFORE, frozenset(), answers(None)) is None


def test_the_end_of_the_victim_is_no_sign() -> None:
    now = snapshot((pod("a"),), (event("b", "Killing", count=2),))
    assert first_sign(BEFORE, now, frozenset({"b"}), []) is None


def test_an_event_told_again_is_a_sign() -> None:
    now = snapshot((pod("a"), pod("b")), (event("a", "Unhealthy", count=2),))
    assert first_sign(BEFORE, now, frozenset(), []) == "kubelet (Unhealthy: said so)"


def test_a_restart_is_a_sign_without_an_event() -> None:
    now = snapshot((pod("a", ready=False, restarts=1), pod("b")), (event("a", "Started"),))
    assert first_sign(BEFORE, now, frozenset(), []) == "Kubernetes (a not-ready)"


def test_users_notice_last() -> None:
    assert first_sign(BEFORE, BEFORE, frozenset(), answers(None, "503")) == "users"


def test_well_again_from_the_first_answer_after_the_last_failure() -> None:
    assert answers_again_at(answers(None, "503", None, None, None)) == 20.0
    assert answers_again_at(answers("503", None, None)) is None
    assert answers_again_at(answers(None, None, None)) == 0.0


def test_a_group_is_ready_when_each_of_its_pods_is() -> None:
    assert all_ready(BEFORE, 2)
    assert not all_ready(BEFORE, 3)
    leaving = pod("b")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not all_ready(snapshot((pod("a"), leaving), ()), 2)
    assert not all_ready(Snapshot(), 2)
