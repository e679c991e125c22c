"""Which pod a rank is in, and which lines of its log are that rank's. Called by `logs NAME`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from shardwright.deploy.inventory import COMPONENT, INSTANCE, Inventory
from shardwright.deploy.members import Seated, has_successor, seated
from shardwright.engines import find_engine
from shardwright.engines.reading import Reading
from shardwright.model.cluster import Cluster
from shardwright.model.errors import ExitCode, ShardwrightError, usage_error


def chosen_pod(
    cluster: Cluster, record: Inventory, *, group: int, rank: int | None, member: int | None
) -> Seated:
    """Find the pod of a rank or a member. Raises ShardwrightError that says what there is."""
    if rank is not None:
        places = {each.rank: each.member for each in record.ranks}
        if rank not in places:
            known = f"ranks 0 to {len(places) - 1}" if places else "no ranks in its record"
            raise usage_error(
                "rank-unknown",
                f"{record.name} has {known}, not {rank}",
                remedy="deploy it again to write the record" if not places else "choose one",
            )
        member = places[rank]
    wanted = member or 0
    # while two groups stand beside each other, the new one is what people look at
    for instance in reversed(record.instances):
        labels = {INSTANCE: instance, COMPONENT: "serving"}
        found = cluster.list("v1", "Pod", namespace=record.namespace, labels=labels)
        pods = seated(each for each in found if not has_successor(each))
        for each in pods:
            if (each.group, each.member) == (group, wanted):
                return each
        if pods:
            there = ", ".join(f"{each.group}/{each.member} {each.name}" for each in pods)
            raise usage_error(
                "member-unknown",
                f"{record.name} has no member {wanted} in group {group}",
                cause=f"it has (group/member pod): {there}",
                remedy="choose one of these",
            )
    raise ShardwrightError(
        code="no-pods",
        what=f"{record.name} has no pods now",
        remedy=f"shardwright status {record.name} -n {record.namespace}",
        exit_code=ExitCode.FAILURE,
    )


def lines_of_rank(
    lines: Iterable[str], record: Inventory, member: int, rank: int | None
) -> Iterator[str]:
    """Leave out the lines of other ranks; all lines if no rank is asked for.

    A line that names no process (a traceback goes on) belongs to the one before it. Where a member
    holds one rank, or the engine does not mark its lines, everything in its log is that rank's.
    """
    reading = find_engine(record.engine).reading if record.engine else None
    here = [each for each in record.ranks if each.member == member]
    if rank is None or reading is None or len(here) < 2:
        yield from lines
        return
    yield from _marked(lines, record, reading, rank)


def _marked(lines: Iterable[str], record: Inventory, reading: Reading, rank: int) -> Iterator[str]:
    by_place = {(each.pipeline, each.tensor): each.rank for each in record.ranks}
    by_pid: dict[str, int] = {}
    current: int | None = None
    for line in lines:
        if match := re.search(reading.rank, line):
            by_pid[match["pid"]] = int(match["rank"])
        if match := re.search(reading.role, line):
            place = (int(match["pipeline"] or 0), int(match["tensor"] or 0))
            is_named = any(match.group("pipeline", "tensor"))
            current = by_place.get(place) if is_named else by_pid.get(match["pid"])
        elif re.match(r"\(\w+ pid=\d+\)|INFO |WARNING |ERROR ", line):
            current = None
        if current == rank:
            yield line
