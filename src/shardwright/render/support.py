"""What runs under what: engine x mechanism, each cell asked of the engine itself.

The table of docs/support.md is written from here; a test keeps it so.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.engines import ENGINES, Engine, Refusal
from shardwright.model.launch import Mpi, Ray, Rendezvous, TorchStore
from shardwright.model.request import Mechanism

TITLES = {
    Mechanism.DEPLOYMENT: "Deployment (one node)",
    Mechanism.STATEFULSET: "StatefulSets, Ray-free",
    Mechanism.RAY_STATEFULSET: "StatefulSets with Ray",
    Mechanism.LWS: "LeaderWorkerSet",
    Mechanism.KUBERAY: "KubeRay RayCluster",
    Mechanism.MPI: "MPI over ssh, no operator",
}
LOSS = {
    Mechanism.DEPLOYMENT: "The pod is replaced; there is no group to break.",
    Mechanism.STATEFULSET: (
        "A watch in every member fails its liveness probe within 45 s of a lost or restarted peer, "
        "and the leader's within 90 s of an engine that no longer answers, so all members start "
        "again together. A pod on a lost node comes back once the node is "
        "back or its pod is deleted by force: Kubernetes never runs a StatefulSet's pod twice."
    ),
    Mechanism.RAY_STATEFULSET: "As Ray-free StatefulSets; Ray itself is started anew with them.",
    Mechanism.LWS: (
        "The controller recreates the whole group as soon as one pod is lost or one container "
        "restarts (RecreateGroupOnPodRestart); pods leave a lost node after 30 s, not 300. "
        "A watch in every member fails its liveness probe within 45 s of a peer that is silent, "
        "and the leader's within 90 s of an engine that no longer answers."
    ),
    Mechanism.KUBERAY: (
        "KubeRay replaces a lost worker. The engine on the head would wait 300 s for the old one, "
        "so a watch in every member fails its liveness probe within 45 s of a lost or restarted "
        "peer: a new head starts, and the workers start again to join it."
    ),
    Mechanism.MPI: "As Ray-free StatefulSets; mpirun ends the world when it loses a rank.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One engine release under one mechanism: how its members meet, or why it is refused."""

    engine: str
    version: str
    mechanism: Mechanism
    meeting: Rendezvous | Refusal

    @property
    def is_supported(self) -> bool:
        """Whether it is rendered."""
        return not isinstance(self.meeting, Refusal)


def cells(engine: Engine, version: str) -> tuple[Cell, ...]:
    """Ask one engine release about every mechanism; two members where there can be several."""
    return tuple(
        Cell(
            engine=engine.name,
            version=version,
            mechanism=mechanism,
            meeting=engine.meet(version, mechanism, 1 if mechanism is Mechanism.DEPLOYMENT else 2),
        )
        for mechanism in Mechanism
    )


def support() -> tuple[tuple[Cell, ...], ...]:
    """Ask every engine: its newest release, and each older one that answers otherwise."""
    rows: list[tuple[Cell, ...]] = []
    for engine in ENGINES:
        seen: list[tuple[object, ...]] = []
        for version in engine.versions:
            row = cells(engine, version)
            answers = tuple(type(cell.meeting) for cell in row)
            if answers not in seen:
                seen.append(answers)
                rows.append(row)
    return tuple(rows)


def markdown() -> str:
    """Write the page of the table, its refusals and the life of a group."""
    head = ["Engine", *TITLES.values()]
    lines = [
        "# What runs under what",
        "",
        "Generated from the code (`shardwright.render.support`). A number is a refusal, below.",
        "Releases between two rows behave like the newer one unless their answer differs.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
    ]
    reasons: list[str] = []
    for row in support():
        shown = [_cell(cell, reasons) for cell in row]
        lines.append(f"| {row[0].engine} {row[0].version} | {' | '.join(shown)} |")
    lines += ["", "## Refusals", ""]
    lines += [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    lines += ["", "## When a member is lost", ""]
    lines += [f"- **{TITLES[mechanism]}**: {text}" for mechanism, text in LOSS.items()]
    return "\n".join([*lines, ""])


def _cell(cell: Cell, reasons: list[str]) -> str:
    match cell.meeting:
        case Refusal(reason=reason):
            if reason not in reasons:
                reasons.append(reason)
            return f"- ({reasons.index(reason) + 1})"
        case Ray():
            return "yes, over Ray (image must contain Ray)"
        case Mpi():
            return "yes, one MPI world"
        case TorchStore():
            return "yes"
        case None:
            return "yes"
