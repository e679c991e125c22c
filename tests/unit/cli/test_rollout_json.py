"""The steps of a deployment, as a script reads them: from the events that are told on stderr."""

import io

from shardwright.cli.rollout_json import steps_json, verified_json
from shardwright.cli.rollout_output import Teller
from shardwright.deploy.changes import ObjectChange, Verb
from shardwright.deploy.progress import PodProgress, Stage
from shardwright.deploy.target import Done, Milestone, Moved, Told, Waiting
from shardwright.deploy.verification import Verification
from shardwright.model.cluster import ObjectRef
from shardwright.model.launch import Rank
from shardwright.verify.attempts import Check
from shardwright.verify.identity import RankMatch
from shardwright.verify.ranklog import Step


def moved(name, stage, after_s, budget_s):
    return Moved(pod=PodProgress(name=name, node="n1", stage=stage), after_s=after_s,
                 budget_s=budget_s)  # fmt: skip


def test_each_stage_ends_as_the_next_of_its_pod_begins_and_waiting_is_no_step():
    ref = ObjectRef(api_version="v1", kind="Service", name="llama")
    teller = Teller(io.StringIO())
    for event in (
        Told(text="revision 1"),
        Done(change=ObjectChange(ref=ref, verb=Verb.CREATE)),
        moved("llama-0", Stage.IMAGE, 2.04, 600.0),
        moved("llama-1", Stage.IMAGE, 3.0, 600.0),
        Waiting(what="llama-0", after_s=30, since_s=28, budget_s=600),
        moved("llama-0", Stage.READY, 61.0, None),
        Milestone(pod="llama-0", ranks=(0, 1), step=Step.WEIGHTS, detail="9 GiB", after_s=50.0,
                  took_s=30.0, budget_s=120.0),
    ):  # fmt: skip
        teller(event)
    steps = steps_json(tuple(teller.told))
    assert [(s["kind"], s["name"], s["verb"]) for s in steps["applied"]] == [
        ("Service", "llama", "create")
    ]
    times = [(p["pod"], p["stage"], p["startSeconds"], p["endSeconds"], p["budgetSeconds"])
             for p in steps["pods"]]  # fmt: skip
    assert times == [
        ("llama-0", "image", 2.0, 61.0, 600.0),
        ("llama-1", "image", 3.0, None, 600.0),
        ("llama-0", "ready", 61.0, None, None),
    ]
    assert steps["ranks"] == [
        {"pod": "llama-0", "ranks": [0, 1], "step": "weights", "detail": "9 GiB",
         "startSeconds": 20.0, "endSeconds": 50.0, "budgetSeconds": 120.0}
    ]  # fmt: skip


def test_a_rank_that_was_not_seen_is_told_from_one_that_agrees():
    def match(index, seen, *differences):
        planned = Rank(index=index, pipeline=0, tensor=index, local_device=index, layers=(0, 3))
        return RankMatch(planned=planned, member=0, seen=seen, differences=differences)

    found = verified_json(
        Verification(
            checks=(Check(name="completion", passed=True, detail="4 tokens", took_s=0.25),),
            ranks=(match(3, None, "rank 3: not seen"),),
        )
    )
    assert found["checks"] == [
        {"name": "completion", "passed": True, "detail": "4 tokens", "seconds": 0.25}
    ]
    assert found["ranks"] == [
        {"rank": 3, "member": 0, "seen": False, "differences": ["rank 3: not seen"]}
    ]
    assert found["problems"] == []
