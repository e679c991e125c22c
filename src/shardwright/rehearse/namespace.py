"""The namespace of a rehearsal on a cluster: made by one run, marked with it, removed by it alone.

Two people or a laptop and CI may rehearse one name at once, and a user may have a namespace of that
name. So it is created, never applied, and deleted by its uid. Called by cli/rehearse_cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.cluster import Cluster, ObjectRef
from shardwright.model.errors import ShardwrightError, usage_error
from shardwright.model.running import Clock, Leftovers

REMOVE_S = 120.0
RUN = "shardwright.dev/rehearsal-run"
BY = "shardwright.dev/rehearsed-by"
SINCE = "shardwright.dev/rehearsed-since"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who rehearses. run: told apart from every other; by and since: for people to read."""

    run: str
    by: str
    since: str


def acquire(
    cluster: Cluster, clock: Clock, name: str, holder: Holder, *, take_over: bool = False
) -> str:
    """Create the namespace and return its uid; wait for one that is being removed already.

    take_over: remove the namespace that another rehearsal holds, and what is in it, first. One that
    no rehearsal made is refused in any case.
    """
    space = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "annotations": {RUN: holder.run, BY: holder.by, SINCE: holder.since},
        },
    }
    end = clock.now() + REMOVE_S
    taken: str | None = None
    while True:
        try:
            return str(cluster.create(space)["metadata"]["uid"])
        except ShardwrightError as error:
            if error.code != "object-exists":
                raise
        found = cluster.get(_ref(name))
        if found is not None:
            meta = found["metadata"]
            marks = meta.get("annotations", {})
            if marks.get(RUN) == holder.run:
                return str(meta["uid"])  # created, and the answer got lost on its way
            if "deletionTimestamp" not in meta:
                # only the one that was there at first: others take over too
                if RUN not in marks or not take_over or taken not in (None, meta["uid"]):
                    raise _refusal(name, marks)
                taken = str(meta["uid"])
                cluster.delete(_ref(name), uid=taken)
            elif clock.now() >= end:
                raise _stays(name)
        clock.sleep(1.0)


def release(cluster: Cluster, name: str, uid: str) -> None:
    """Remove the namespace if it is still the one that was acquired."""
    cluster.delete(_ref(name), uid=uid)


def await_removed(cluster: Cluster, clock: Clock, name: str, uid: str) -> Leftovers:
    """Wait until the namespace is gone; another of its name is not ours."""
    end = clock.now() + REMOVE_S
    while (found := cluster.get(_ref(name))) is not None and found["metadata"]["uid"] == uid:
        if clock.now() > end:
            return Leftovers(remaining=(f"namespace {name}",))
        clock.sleep(1.0)
    return Leftovers(removed=(f"namespace {name}",))


def _ref(name: str) -> ObjectRef:
    return ObjectRef(api_version="v1", kind="Namespace", name=name)


def _refusal(name: str, marks: dict[str, str]) -> ShardwrightError:
    if RUN not in marks:
        return usage_error(
            "rehearsal-namespace-foreign",
            f"namespace {name} exists, and no rehearsal made it",
            cause="a rehearsal removes its namespace in the end, with all that is in it",
            remedy="give the spec another metadata.name, or look into the namespace and, if nobody"
            f" needs it, kubectl delete namespace {name}",
        )
    return usage_error(
        "rehearsal-under-way",
        f"namespace {name} is held by a rehearsal that {marks.get(BY)} began {marks.get(SINCE)}",
        cause="two rehearsals in one namespace would change and remove each other's objects",
        remedy="wait for it, or, if it was cut off, add --take-over: that removes what it left",
    )


def _stays(name: str) -> ShardwrightError:
    return usage_error(
        "rehearsal-namespace-stays",
        f"namespace {name} is being removed, and was not gone after {REMOVE_S:.0f} s",
        remedy=f"see what holds it: kubectl get namespace {name} -o jsonpath='{{.status}}'",
    )
