"""Which jobs must end before the pods after them can start, or should. Pure.

Keys that the cluster makes for itself: pods would wait for them in longer and longer steps of the
kubelet. Images pulled ahead: an update would stop what runs before the new image is there. Weights:
pods that wait for them would hold their GPUs for as long as the download takes. Called by the
dry run and the rollout; `jobwatch` does the waiting.
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.deploy.changes import WORKLOADS, ObjectChange, Verb
from shardwright.deploy.inventory import COMPONENT
from shardwright.model.cluster import Object, reference
from shardwright.model.launch import TaskKind

AWAITED = {
    "ssh-keys": "makes the ssh keys",
    "pre-pull": "pulls the images",
    TaskKind.DOWNLOAD.value: "fetches the weights",
    TaskKind.ENGINE_BUILD.value: "builds the engines",
}
"""Components of jobs that are waited for, and what each does, in words."""
_FILLING = frozenset({TaskKind.DOWNLOAD.value, TaskKind.ENGINE_BUILD.value})
_ON_GPUS = frozenset({TaskKind.ENGINE_BUILD.value})


def is_awaited(obj: Object) -> bool:
    """Tell whether what takes GPUs waits until an object is done."""
    return bool(obj["kind"] == "Job" and _component(obj) in AWAITED)


def takes_gpus(obj: Object) -> bool:
    """Tell whether an object waits for the jobs before it, since its pods hold GPUs."""
    on_gpus = obj["kind"] == "Job" and _component(obj) in _ON_GPUS
    return bool(obj["kind"] in WORKLOADS or on_gpus)


def has_failed(obj: Object) -> bool:
    """Tell whether an object is a job that gave up."""
    return obj["kind"] == "Job" and "Failed" in conditions(obj)


def is_complete(job: Object) -> bool:
    """Tell whether a job is done."""
    return "Complete" in conditions(job)


def conditions(job: Object) -> dict[str, Object]:
    """Return the conditions that hold of a job, by type."""
    told = job.get("status", {}).get("conditions", [])
    return {each["type"]: each for each in told if each["status"] == "True"}


def claims_of(job: Object) -> tuple[str, ...]:
    """Name the claims that the pods of a job mount."""
    volumes = job["spec"].get("template", {}).get("spec", {}).get("volumes", [])
    found = [each["persistentVolumeClaim"]["claimName"] for each in volumes
             if "persistentVolumeClaim" in each]  # fmt: skip
    return tuple(found)


def run_again(
    good: tuple[Object, ...], back: tuple[ObjectChange, ...], failed: tuple[Object, ...]
) -> tuple[ObjectChange, ...]:
    """Have the jobs of the last good manifests run again if those that failed brought others.

    Two revisions of a model share a folder, so the other's files may lie there now; a job whose
    files are still whole ends at once.
    """
    ours = {reference(each) for each in good if _component(each) in _FILLING}
    others = {reference(each) for each in failed if _component(each) in _FILLING} - ours
    if not any(each.kind == "Job" for each in others):
        return back
    return tuple(
        replace(each, verb=Verb.REPLACE)
        if each.ref.kind == "Job" and each.ref in ours and each.verb is Verb.KEEP
        else each
        for each in back
    )


def steps(objects: tuple[Object, ...], changes: tuple[ObjectChange, ...]) -> tuple[str, ...]:
    """Say which jobs run first and what waits for them; nothing if no job is to be run."""
    moving = {each.ref for each in changes if each.verb is not Verb.KEEP}
    jobs = [each for each in objects if is_awaited(each) and reference(each) in moving]
    if not jobs:
        return ()
    later = [str(reference(each)) for each in objects if each["kind"] in WORKLOADS]
    return (
        *(
            f"first   {reference(each)} {AWAITED[_component(each)]}{_at_most(each)}"
            for each in jobs
        ),
        f"then    {', '.join(later)}: no pod of it holds a GPU before",
    )


def _component(obj: Object) -> str:
    return str(obj["metadata"].get("labels", {}).get(COMPONENT, ""))


def _at_most(job: Object) -> str:
    limit = job["spec"].get("activeDeadlineSeconds")
    return f", in at most {limit:,} s" if limit else ""
