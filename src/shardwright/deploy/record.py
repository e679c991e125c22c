"""An endpoint's own record as evidence: what was planned, how far a deployment came, what is gone.

Called by evidence, for the doctor.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.deploy.inventory import Inventory
from shardwright.deploy.reading import Reading
from shardwright.diagnose.evidence import Hit, Source
from shardwright.diagnose.planned import Planned

PLAN_FILE = "plan.txt"
_SHORT_LIVED = ("Job",)
"""Kinds that Kubernetes itself removes when they are done (ttlSecondsAfterFinished)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The record as text, and what the doctor holds the rest against."""

    text: str
    planned: Planned | None


def recorded(reading: Reading, inventory: Inventory, *, deploying: bool = False) -> Recorded:
    """Write down the plan of an endpoint, and which objects of its record are no longer there.

    deploying: asked in the midst of a deployment, of whose objects some are not there yet.
    """
    lines = [f"endpoint {inventory.name}: revision {inventory.revision}"]
    if inventory.pending and not deploying:
        lines.append("a deployment began and did not end")
    if inventory.ranks:
        pipeline = 1 + max(each.pipeline for each in inventory.ranks)
        tensor = 1 + max(each.tensor for each in inventory.ranks)
        lines.append(
            f"planned: {inventory.engine}, tensor_parallel={tensor}, pipeline_parallel={pipeline}"
        )
    lines += [
        f"owned object missing: {ref}"
        for ref in (() if deploying else inventory.owned)
        if ref.kind not in _SHORT_LIVED and reading.is_missing(ref)
    ]
    links = inventory.links
    if links is None:
        return Recorded(text="\n".join(lines) + "\n", planned=None)
    fields = {
        "cluster.fabric": links.fabric and f"planned fabric: {links.fabric}",
        "cluster.gpu": links.scaleup and f"planned inside a member: {links.scaleup}",
        "cluster.rdmaResource": links.rdma_resource
        and f"planned RDMA resource: {links.rdma_resource}",
    }
    told: dict[str, Hit] = {}
    for field, line in fields.items():
        if line:
            lines.append(line)
            told[field] = Hit(
                document=PLAN_FILE, block=0, source=Source.MANIFEST, line=len(lines), text=line
            )
    return Recorded(text="\n".join(lines) + "\n", planned=Planned(links=links, lines=told))
