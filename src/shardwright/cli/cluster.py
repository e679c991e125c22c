"""Options and words that commands on a live cluster share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from shardwright.deploy.changes import ObjectChange
    from shardwright.deploy.progress import PodProgress
    from shardwright.model.finding import Finding

Command = TypeVar("Command", bound=Callable[..., Any])


def cluster_options(command: Command) -> Command:
    """Add --kubeconfig and --context."""
    context = click.option("--context", help="Context of the kubeconfig; default: its current one.")
    kubeconfig = click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Kubeconfig file; default: $KUBECONFIG, ~/.kube/config, or the pod's own account.",
    )
    return kubeconfig(context(command))


namespace_option = click.option(
    "-n", "--namespace", help="Namespace; default: that of the context."
)


def finding_lines(finding: Finding) -> list[str]:
    """Write a finding as a block like an error's."""
    lines = [f"{finding.severity.value}: {finding.code}", f"what:   {finding.what}"]
    if finding.why:
        lines.append(f"cause:  {finding.why}")
    if finding.remedy:
        lines.append(f"remedy: {finding.remedy}")
    return lines


def change_line(change: ObjectChange) -> str:
    """Write what happens to one object on one line, fields named when there are few.

    >>> from shardwright.deploy.changes import ObjectChange, Verb
    >>> from shardwright.model.cluster import ObjectRef
    >>> ref = ObjectRef(api_version="v1", kind="Service", name="llama")
    >>> change_line(ObjectChange(ref=ref, verb=Verb.CREATE))
    'create  Service/llama'
    """
    line = f"{change.verb.value:<7} {change.ref}"
    if change.fields:
        named = ", ".join(each.path for each in change.fields[:3])
        more = f" and {len(change.fields) - 3} more" if len(change.fields) > 3 else ""
        line += f"  ({named}{more})"
    return line + ("  RESTARTS its pods" if change.restarts else "")


def change_json(change: ObjectChange) -> dict[str, Any]:
    """Shape a change for -o json."""
    return {
        "apiVersion": change.ref.api_version,
        "kind": change.ref.kind,
        "name": change.ref.name,
        "verb": change.verb.value,
        "restarts": change.restarts,
        "fields": [{"path": f.path, "old": f.old, "new": f.new} for f in change.fields],
    }


def pod_line(pod: PodProgress) -> str:
    """Write how far one pod is.

    >>> from shardwright.deploy.progress import PodProgress, Stage
    >>> pod_line(PodProgress(name="llama-leader-0", node="gpu-1", stage=Stage.READY))
    'llama-leader-0  ready       on gpu-1'
    """
    parts = [f"{pod.name}  {pod.stage.value:<11}"]
    parts += [f"on {pod.node}"] if pod.node else []
    parts += [f"{pod.restarts} restarts"] if pod.restarts else []
    parts += [pod.detail] if pod.detail else []
    return " ".join(parts).rstrip()


def pod_json(pod: PodProgress) -> dict[str, Any]:
    """Shape a pod's progress for -o json."""
    return {
        "name": pod.name,
        "node": pod.node,
        "stage": pod.stage.value,
        "detail": pod.detail,
        "restarts": pod.restarts,
        "broken": pod.is_broken,
    }
