"""What a deployment would change, by the server's own dry run of each object. Changes nothing.

Called before a deployment, so that its changes can be said first, and by the way back.
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.deploy.changes import ObjectChange, Verb, compare, is_leaving
from shardwright.deploy.inventory import Inventory, is_kept, references
from shardwright.deploy.jobs import claims_of, has_failed
from shardwright.deploy.removal import find_inventory
from shardwright.deploy.replicas import freed, try_out
from shardwright.deploy.target import Target
from shardwright.model.cluster import Cluster, Object, reference
from shardwright.model.errors import ShardwrightError


def planned_changes(
    cluster: Cluster, target: Target, objects: tuple[Object, ...]
) -> tuple[ObjectChange, ...]:
    """Ask the server what applying would do to each object; then what has to go."""
    record = find_inventory(cluster, target.name, target.namespace)
    scalers = freed(record.owned if record else (), objects)
    changes = [_planned(cluster, each, is_freed=reference(each) in scalers) for each in objects]
    anew = {c.ref.name for c in changes if is_kept(c.ref) and c.verb is Verb.CREATE}
    changes = [
        replace(change, verb=Verb.REPLACE)
        if change.verb is Verb.KEEP and each["kind"] == "Job" and anew & set(claims_of(each))
        else change
        for change, each in zip(changes, objects, strict=True)
    ]  # what a job put into a claim went with it
    return (*changes, *removals(record, objects))


def _planned(cluster: Cluster, obj: Object, *, is_freed: bool) -> ObjectChange:
    live = cluster.get(reference(obj))
    if live is not None and is_leaving(live):
        return ObjectChange(ref=reference(obj), verb=Verb.CREATE)
    try:
        change = compare(live, try_out(cluster, live, obj, is_freed=is_freed))
    except ShardwrightError as error:
        # what cannot be changed (a Job, a workload's selector) is deleted and made anew
        if error.code != "object-refused" or live is None or is_kept(reference(obj)):
            raise
        return replace(compare(live, _made_anew(cluster, obj)), verb=Verb.REPLACE)
    # a Job that gave up never runs again
    return replace(change, verb=Verb.REPLACE) if live is not None and has_failed(live) else change


def _made_anew(cluster: Cluster, obj: Object) -> Object:
    """Ask the server what it would make of an object that it has never seen.

    Raises ShardwrightError if it refuses that as well: then what is wrong is not that a field
    cannot change, and the object that serves must not be deleted for one that cannot be made.
    """
    meta = obj["metadata"]
    name = f"{meta['name'][:50].rstrip('-.')}-anew"
    made = cluster.apply({**obj, "metadata": {**meta, "name": name}}, dry_run=True)
    return {**made, "metadata": {**made["metadata"], "name": meta["name"]}}


def removals(inventory: Inventory | None, objects: tuple[Object, ...]) -> tuple[ObjectChange, ...]:
    """Return what an endpoint owns and these manifests lack, claims aside."""
    owned = inventory.owned if inventory else ()
    gone = set(owned) - set(references(objects))
    return tuple(
        ObjectChange(ref=ref, verb=Verb.REMOVE) for ref in sorted(gone) if not is_kept(ref)
    )
