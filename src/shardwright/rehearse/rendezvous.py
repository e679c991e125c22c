"""The rendezvous of a launch plan as programs: what Kubernetes objects do by other means.

Ray becomes one `ray start` per member; torch's store needs no program, the engine brings it.
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.model.launch import LaunchPlan, Member, Ray, Role
from shardwright.model.process import Port, Probe, Probes, Process, TcpCheck
from shardwright.model.text import LeaderHost, OwnAddress, text

RAY = "ray"


def with_rendezvous(plan: LaunchPlan) -> LaunchPlan:
    """Add the programs of the rendezvous to the members that do not have them yet."""
    ray = plan.group.rendezvous
    if not isinstance(ray, Ray) or any(p.name == RAY for p in plan.group.members[0].processes):
        return plan
    members = tuple(
        replace(
            member,
            processes=(
                _ray_node(member, ray, plan),
                *(replace(p, after=(*p.after, RAY)) for p in member.processes),
            ),
        )
        for member in plan.group.members
    )
    return replace(plan, group=replace(plan.group, members=members))


def _ray_node(member: Member, ray: Ray, plan: LaunchPlan) -> Process:
    """One Ray node. Its workers run the leader's engine, so it has the leader's environment."""
    tail = (
        text("--node-ip-address=", OwnAddress()),
        text(f"--num-gpus={member.gpus}"),
        text("--disable-usage-stats"),
        text("--block"),
    )
    env = plan.group.members[0].processes[0].env
    if member.role is Role.LEADER:
        port = Port(name="gcs", number=ray.port)
        argv = (text("ray"), text("start"), text("--head"), text(f"--port={ray.port}"), *tail)
        probe = Probe(check=TcpCheck(port="gcs"), period_s=1, timeout_s=2, failures=300)
        return Process(
            name=RAY, argv=argv, env=env, ports=(port,), probes=Probes(startup=probe)
        )  # fmt: skip
    join = text("--address=", LeaderHost(), f":{ray.port}")
    return Process(name=RAY, argv=(text("ray"), text("start"), join, *tail), env=env)
