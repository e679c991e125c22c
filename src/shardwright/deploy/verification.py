"""What a ready endpoint must show: it answers, and it is what was planned.

A completion and a stream; each rank and its layers; memory and KV tokens in the engine's log;
the way NCCL sends; the most of /dev/shm in use. Called by deploy and by rehearsals on a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shardwright.deploy.members import Seated, seated, seats_of
from shardwright.deploy.usage import Shared, SharedPeaks
from shardwright.engines import find_engine
from shardwright.engines.rehearsal import Rehearsal
from shardwright.launch.transport import (
    PlannedLinks,
    Transport,
    transport_problems,
    transports,
)
from shardwright.model.cluster import Cluster, Object, ObjectRef, reference
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan
from shardwright.model.plan import Plan
from shardwright.model.running import Clock, Line
from shardwright.render.names import object_name
from shardwright.verify.attempts import Check
from shardwright.verify.client import Client
from shardwright.verify.first_use import FirstUse
from shardwright.verify.identity import RankMatch, match_ranks, ranks_seen
from shardwright.verify.quantities import Quantity, quantities
from shardwright.verify.ranklog import RankLog

LOG_LINES = 20_000
"""Last lines taken of each member's log. NCCL writes some hundreds a rank, an engine a start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found. problems: where it is not what was planned, one sentence each."""

    checks: tuple[Check, ...] = ()
    ranks: tuple[RankMatch, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    links: tuple[Transport, ...] = ()
    shared: tuple[Shared, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def serves(self) -> bool:
        """Tell whether everything that was asked of it, and might be, was answered."""
        return all(each.passed for each in self.checks)

    def as_text(self) -> str:
        """Write it as JSON, for the record in the cluster: what was measured, not what was asked.

        >>> Verification().as_text()
        '{"links": {}, "problems": [], "quantities": {}, "sharedMemory": {}}'
        """
        return json.dumps(
            {
                "quantities": {
                    each.name: {
                        "unit": each.unit,
                        "planned": each.planned,
                        "seen": each.seen,
                        "differencePercent": each.difference_percent,
                    }
                    for each in self.quantities
                },
                "links": {each.host: dict(each.links) for each in self.links},
                "sharedMemory": {each.pod: each.used_bytes for each in self.shared},
                "problems": list(self.problems),
            },
            sort_keys=True,
        )


class Verifier:
    """Looks at one endpoint. layout: its plan, for memory; None where another model runs.

    links: what is planned to connect its GPUs; None: NCCL's choice is not judged.
    """

    def __init__(
        self, cluster: Cluster, clock: Clock, plan: LaunchPlan, layout: Plan | None = None,
        *, links: PlannedLinks | None = None, tell: Callable[[Check], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.cluster = cluster
        self.clock = clock
        self.plan = plan
        self.layout = layout
        self.links = links
        self.tell = tell
        self.peaks = SharedPeaks(cluster, plan)

    def through_pods(self, pods: tuple[Object, ...]) -> tuple[Check, ...]:
        """Ask each leader itself, before the Service sends anybody there."""
        out: list[Check] = []
        for each in seated(pods):
            if each.member == 0:
                out += self._ask(reference(each.pod), self._port_number())
        return tuple(out)

    def through_service(self) -> tuple[Check, ...]:
        """Ask the endpoint as its clients do, through the API server."""
        return tuple(self._ask(self.service(), self._port_name()))

    def service(self) -> ObjectRef:
        """Name the Service that clients use."""
        return ObjectRef(
            api_version="v1",
            kind="Service",
            name=object_name("Service", self.plan.name),
            namespace=self.plan.namespace,
        )

    def whole(self, pods: tuple[Object, ...]) -> Verification:
        """Look at everything, through the Service and in the pods."""
        checks = self.through_service()
        logs = {each.name: self._log(each.pod) for each in seated(pods)}
        ranks = self.identify(pods, logs)
        found = tuple(transports(line for log in logs.values() for line in log.splitlines()))
        slow = transport_problems(found, self.links) if self.links else ()
        mismatches = [difference for match in ranks for difference in match.differences]
        failed = [f"{each.name}: {each.detail}" for each in checks if not each.passed]
        return Verification(
            checks=checks,
            ranks=ranks,
            quantities=self._quantities(seated(pods), logs),
            links=found,
            shared=self.peaks.look(pods),
            problems=(*failed, *mismatches, *slow),
        )

    def identify(self, pods: tuple[Object, ...], logs: dict[str, str]) -> tuple[RankMatch, ...]:
        """Hold each rank of the first group against the plan; nothing where no log tells."""
        rules = self._rules()
        if rules is None:
            return ()
        members = [each for each in seated(pods) if each.group == 0]
        lines = [
            Line(member=each.member, process=self.plan.engine, text=line)
            for each in members
            for line in logs.get(each.name, "").splitlines()
        ]
        seen = ranks_seen(lines, rules, seats_of(pods))
        return match_ranks(self.plan, seen) if seen else ()

    def logs(self, pods: tuple[Object, ...]) -> dict[str, str]:
        """Fetch the engine's log of every pod, by pod name."""
        return {each["metadata"]["name"]: self._log(each) for each in pods}

    def _ask(self, ref: ObjectRef, port: str) -> Iterator[Check]:
        """Ask what we may: a role without the right to a proxy does not make an endpoint bad."""
        endpoint, base = self.plan.endpoints[0], self.cluster.proxy_base(ref, port)
        if not self.cluster.may("get", ref, "proxy"):
            return
        client = Client(http=self.cluster.http(), base=base, model=self.plan.served_name)
        use = FirstUse(client=client, clock=self.clock, health_path=endpoint.health_path)
        # the API server keeps the Authorization header to itself, so a key cannot be shown
        may_post = endpoint.api_key is None and self.cluster.may("create", ref, "proxy")
        for check in use.checks(without_key=not may_post):
            self.tell(check)
            yield check

    def _rules(self) -> Rehearsal | None:
        return find_engine(self.plan.engine).rehearsal

    def _port_name(self) -> str:
        return self.plan.endpoints[0].port

    def _port_number(self) -> str:
        wanted = self._port_name()
        processes = self.plan.group.members[0].processes
        ports = [port.number for each in processes for port in each.ports if port.name == wanted]
        return str(ports[0])

    def _log(self, pod: Object) -> str:
        try:
            return self.cluster.logs(reference(pod), self.plan.engine, tail_lines=LOG_LINES)
        except ShardwrightError:  # what a role may not read is not held against the endpoint
            return ""

    def _quantities(
        self, members: tuple[Seated, ...], logs: dict[str, str]
    ) -> tuple[Quantity, ...]:
        reading = find_engine(self.plan.engine).reading
        if reading is None or self.layout is None:
            return ()
        log = RankLog(reading, (member.ranks for member in self.plan.group.members))
        for each in members:
            if each.group == 0 and each.member < len(self.plan.group.members):
                log.read(each.member, logs.get(each.name, ""))
        return quantities(self.plan, self.layout, log)
