"""What `rehearse --cluster --drill` does to a running group: each harms nobody but that group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from shardwright.deploy.inventory import COMPONENT, INSTANCE
from shardwright.deploy.members import seated
from shardwright.drive.clock import SystemClock
from shardwright.drive.kubectl import Kubectl
from shardwright.model.cluster import Cluster, Object, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan
from shardwright.model.running import Clock
from shardwright.rehearse.cluster_drill import LOOK_EVERY_S, Aftermath, Drill, Incident
from shardwright.rehearse.events import Note

FILL = "/dev/shm/shardwright-drill"  # noqa: S108  (in the container)
EVERYTHING = "kill -9 -1"
"""Every process of the container but its first, which a container cannot kill from inside."""

MEMBER_S = 60.0
"""Seconds for a controller to make a member's pod anew, whatever it then takes to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The group that suffers: its plan, its cluster, and a hand inside its containers."""

    plan: LaunchPlan
    cluster: Cluster
    kubectl: Kubectl
    ask: Callable[[], object]
    clock: Clock = field(default_factory=SystemClock)

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of its pods."""
        return {INSTANCE: self.plan.name, COMPONENT: "serving"}

    def drill(self) -> Drill:
        """Put it under observation."""
        return Drill(
            cluster=self.cluster, clock=self.clock, ask=self.ask, namespace=self.plan.namespace,
            labels=self.labels, num_pods=self.plan.replicas * len(self.plan.group.members),
            start_budget_s=self.plan.budgets.startup_s,
        )  # fmt: skip

    def member(self, index: int) -> Object:
        """Return the pod that is this member now; one that is just made anew is waited for."""
        namespace = self.plan.namespace
        end = self.clock.now() + MEMBER_S
        while True:
            pods = seated(self.cluster.list("v1", "Pod", namespace=namespace, labels=self.labels))
            for each in pods:
                if (each.group, each.member) == (0, index):
                    return each.pod
            if self.clock.now() >= end:
                raise ShardwrightError(
                    code="member-absent",
                    what=f"{self.plan.name} has had no pod of member {index} for {MEMBER_S:.0f} s",
                    cause=f"pods there are: {', '.join(each.name for each in pods) or 'none'}",
                    remedy=f"kubectl -n {namespace} get events says why none is made",
                )
            self.clock.sleep(LOOK_EVERY_S)

    def inside(self, pod: Object, script: str) -> str:
        """Run a shell script in a pod's first container."""
        return self.kubectl.run(
            "exec", "-n", self.plan.namespace, pod["metadata"]["name"],
            "-c", pod["spec"]["containers"][0]["name"], "--", "/bin/bash", "-c", script,
        )  # fmt: skip


def incidents(group: Group) -> Iterator[Incident]:
    """Yield what can happen to one group; each looks up the pods of its own moment."""
    members = range(len(group.plan.group.members))
    for index in reversed(members):
        yield pod_deleted(group, index)
    for index in members:
        yield member_killed(group, index)
    yield shm_filled(group)


def pod_deleted(group: Group, index: int) -> Incident:
    """Delete the pod of a member, as an eviction or a lost node does."""
    pod = group.member(index)

    def deleted() -> None:
        group.cluster.delete(reference(pod))

    return Incident(
        name=f"pod-{index}-deleted", title=f"deleting the pod of member {index}", strike=deleted,
        victims=frozenset({pod["metadata"]["name"]}),
    )  # fmt: skip


def member_killed(group: Group, index: int) -> Incident:
    """Kill what runs in a member's container; its pod stays."""
    pod = group.member(index)

    def killed() -> None:
        with suppress(ShardwrightError):  # the shell inside may end with the rest
            group.inside(pod, EVERYTHING)

    title = f"killing every process of member {index}"
    return Incident(name=f"member-{index}-killed", title=title, strike=killed)


def shm_filled(group: Group) -> Incident:
    """Leave no shared memory to the leader, until somebody removes what fills it."""
    pod = group.member(0)

    def filled() -> None:
        group.inside(pod, f"head -c 1T /dev/zero >{FILL} 2>/dev/null; test -s {FILL}")

    def emptied() -> None:
        with suppress(ShardwrightError):  # a container that ended took the file with it
            group.inside(pod, f"rm -f {FILL}")

    return Incident(
        name="shm-filled", title="filling the leader's /dev/shm", strike=filled, mend=emptied
    )


def drilled(group: Group, tell: Callable[[Note], None]) -> tuple[Aftermath, ...]:
    """Let all of it happen, one after the other; ends early if the group does not recover."""
    out: list[Aftermath] = []
    for incident in incidents(group):
        for event in group.drill().suffer(incident):
            if isinstance(event, Note):
                tell(event)
            else:
                out.append(event)
        if out[-1].recovered_s is None:
            break
    return tuple(out)
