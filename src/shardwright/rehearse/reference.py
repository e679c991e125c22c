"""The same small model in one process: what the distributed group is compared with."""

from __future__ import annotations

from dataclasses import replace

from shardwright.engines.rehearsal import Rehearsal
from shardwright.model.flags import drop_flag, set_flag
from shardwright.model.launch import LaunchPlan
from shardwright.model.process import Process
from shardwright.model.text import text

NAME = "reference"


def single_process(plan: LaunchPlan, rules: Rehearsal) -> LaunchPlan:
    """Reduce a rehearsal's plan to its server alone, one rank that holds every layer."""
    leader, served = plan.group.members[0], plan.endpoints[0].process
    server = next(process for process in leader.processes if process.name == served)
    ranks = [rank for member in plan.group.members for rank in member.ranks]
    whole = replace(ranks[0], layers=(0, max(rank.layers[1] for rank in ranks)))
    member = replace(leader, processes=(_alone(server, rules),), ranks=(whole,), gpus=1)
    return replace(
        plan,
        group=replace(plan.group, members=(member,), rendezvous=None),
        endpoints=(replace(plan.endpoints[0], process=NAME),),
    )


def _alone(server: Process, rules: Rehearsal) -> Process:
    argv = server.argv
    for flags in rules.meeting:
        argv = drop_flag(argv, flags)
    argv = set_flag(set_flag(argv, rules.tensor, "1"), rules.pipeline, "1")
    alone = {rules.ranks_env: "1", rules.partition_env: None}
    env = tuple(
        replace(var, value=text(alone[var.name] or "")) if var.name in alone else var
        for var in server.env
        if not (var.name in alone and alone[var.name] is None)
    )
    return replace(server, name=NAME, argv=argv, env=env, after=())
