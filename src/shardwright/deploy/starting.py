"""How far the ranks of starting pods are, read from their logs while the rollout waits.

Each log is fetched in pieces that overlap a little; what was seen is not told again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shardwright.deploy.members import Seated, seated
from shardwright.deploy.progress import PodProgress, Stage
from shardwright.deploy.target import Milestone, Target
from shardwright.model.cluster import Cluster, Object, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.running import Clock
from shardwright.verify.ranklog import RankLog, Reached, Step

LOG_EVERY_S = 6.0
"""Seconds between two looks at the logs: a request per pod, of what is new."""
OVERLAP_S = 4.0
FIRST_LINES = 20_000
"""Lines taken of a log when it is first seen; a start writes some hundreds."""
STARTED_BUDGET_S = 60


class Starts:
    """The logs of all groups of an endpoint. applied_s: when its pods were asked for."""

    def __init__(self, cluster: Cluster, clock: Clock, target: Target) -> None:
        self.cluster = cluster
        self.clock = clock
        self.target = target
        self.groups: dict[int, RankLog] = {}
        self._read_at: dict[str, float] = {}
        self._restarts: dict[str, int] = {}
        self._since: dict[tuple[int, int], float] = {}
        self.applied_s = clock.now()
        budgets = target.budgets
        self.budgets: Mapping[Step, float] = {
            Step.JOINED: budgets.rendezvous_s,
            Step.WEIGHTS: budgets.load_s,
            Step.COMPILED: budgets.compile_s,
            Step.GRAPHS: budgets.graphs_s,
            Step.STARTED: STARTED_BUDGET_S,
        }

    def look(
        self, pods: tuple[Object, ...], progress: Mapping[str, PodProgress], began: float
    ) -> Iterator[Milestone]:
        """Read what is new in the logs of pods that run; yield what their ranks reached."""
        if self.target.reading is None:
            return
        now = self.clock.now()
        for each in seated(pods):
            pod = progress.get(each.name)
            is_up = pod is not None and pod.stage in (Stage.STARTING, Stage.READY)
            if not is_up or pod is None or each.member >= len(self.target.ranks):
                continue
            if now - self._read_at.get(each.name, -LOG_EVERY_S) >= LOG_EVERY_S:
                yield from self._read(each, pod, now, began)

    def percent(self, group: int, member: int) -> int | None:
        """Return how much of the weights the slowest rank of a member has read, if it tells."""
        if group not in self.groups or member >= len(self.target.ranks):
            return None
        facts = [self.groups[group].facts[rank.index] for rank in self.target.ranks[member]]
        told = [f.percent for f in facts if f.percent is not None and Step.WEIGHTS not in f.steps]
        return min(told, default=None)

    def _read(
        self, each: Seated, pod: PodProgress, now: float, began: float
    ) -> Iterator[Milestone]:
        reading = self.target.reading
        if reading is None:
            return
        log = self.groups.setdefault(each.group, RankLog(reading, self.target.ranks))
        if self._restarts.setdefault(each.name, pod.restarts) != pod.restarts:
            self._restarts[each.name] = pod.restarts
            self._read_at.pop(each.name, None)
            log.forget(each.member)
        last = self._read_at.get(each.name)
        since_s = None if last is None else now - last + OVERLAP_S
        try:
            text = self.cluster.logs(
                reference(each.pod), self.target.container, tail_lines=FIRST_LINES, since_s=since_s
            )
        except ShardwrightError:  # progress is shown without logs where a role may not read them
            return
        self._read_at[each.name] = now
        yield from self._milestones(each, log.read(each.member, text), now, began)

    def _milestones(
        self, each: Seated, found: tuple[Reached, ...], now: float, began: float
    ) -> Iterator[Milestone]:
        for step in Step:
            reached = [item for item in found if item.step is step]
            if not reached:
                continue
            starts = [self._since.get((each.group, item.rank), self.applied_s) for item in reached]
            slowest = max((item.detail for item in reached), key=len)
            yield Milestone(
                pod=each.name,
                ranks=tuple(item.rank for item in reached),
                step=step,
                detail=slowest,
                after_s=now - began,
                took_s=now - min(starts),
                budget_s=self.budgets[step],
            )
            for item in reached:
                self._since[each.group, item.rank] = now
